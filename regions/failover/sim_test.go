package failover

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

// machine is what the simulations drive: the fleet, or one of the broken ones of controls_test.go.
type machine interface {
	Step(now time.Time, e Event) []Effect
	Regions() []Status
	Weights() map[string]float64
}

// sound is the real one.
type sound struct{ f Fleet }

func (m *sound) Step(now time.Time, e Event) (effects []Effect) {
	m.f, effects = Step(m.f, now, e)
	return effects
}
func (m *sound) Regions() []Status           { return m.f.Regions() }
func (m *sound) Weights() map[string]float64 { return m.f.Weights() }

// The invariants.
const (
	inRange  = "shares are within 0..1, 1 when on and 0 when off"
	sumToOne = "weights sum to 1"
	legal    = "state changes are legal and told"
	reasoned = "every state change has a cause"
	notAll   = "automation never turns all regions off"
	twoSee   = "one vantage never evacuates"
	notMe    = "a gateway that suspects itself evacuates nobody"
	obeyed   = "operators' orders are obeyed"
	room     = "an evacuation holds when capacity falls below demand"
	served   = "after 10 s without a region, one serves"
	unrushed = "nobody is called up while others serve"
)

var invariants = []string{inRange, sumToOne, legal, reasoned, notAll, twoSee, notMe, obeyed, room, served, unrushed}

// ways are the legal changes of state.
var ways = map[[2]regions.RegionState]bool{
	{regions.On, regions.DegradedRegion}:         true,
	{regions.On, regions.Evacuating}:             true,
	{regions.DegradedRegion, regions.On}:         true,
	{regions.DegradedRegion, regions.Evacuating}: true,
	{regions.Evacuating, regions.Off}:            true,
	{regions.Evacuating, regions.Recovering}:     true,
	{regions.Off, regions.Recovering}:            true,
	{regions.Recovering, regions.On}:             true,
	{regions.Recovering, regions.DegradedRegion}: true,
	{regions.Recovering, regions.Evacuating}:     true,
}

// known is what the referee knows of one region, from the events alone.
type known struct {
	checked           time.Time
	bad, good         int // checks in a row
	failing           bool
	health            float64
	demand, capacity  float64
	order             Order
	given             bool
	due               time.Time // when its traffic must be gone, as far as it is in force
	inForce, panicked bool
	reports           map[string]rumour // by REGION/NAME
}

type rumour struct {
	from    string
	failing bool
	at      time.Time
}

// referee judges every step by rules of its own, written from the issue and not from the code.
type referee struct {
	cfg     Config
	own     string
	now     time.Time
	names   []string
	all     map[string]*known
	last    []Status
	carried time.Time // when a region surely took the traffic last
	empty   time.Time // since when no region has a share
	broken  map[string]int
	example map[string]string
}

func newReferee(own string, names []string, m machine) *referee {
	cfg, _ := Config{}.WithDefaults()
	r := &referee{cfg: cfg, own: own, now: dawn, names: names, all: map[string]*known{}, last: m.Regions(), carried: dawn, broken: map[string]int{}, example: map[string]string{}}
	for _, n := range names {
		r.all[n] = &known{health: 1, reports: map[string]rumour{}}
	}
	return r
}

func (r *referee) fail(rule, format string, args ...any) {
	if r.broken[rule]++; r.broken[rule] == 1 {
		r.example[rule] = fmt.Sprintf(format, args...)
	}
}

// learn takes in an event before the machine does.
func (r *referee) learn(now time.Time, e Event) {
	if now.After(r.now) {
		r.now = now
	}
	switch e := e.(type) {
	case Check:
		k := r.all[e.Region]
		k.checked = r.now
		if e.Reachable {
			k.health = part(e.Health)
		}
		if !e.Reachable || e.BreakerOpen || !(e.Health > 0) {
			k.bad, k.good = k.bad+1, 0
		} else {
			k.bad, k.good = 0, k.good+1
		}
		k.failing = k.bad >= 3 || k.failing && k.good < 2
	case Report:
		at := r.now.Add(-max(e.Age, 0))
		if old, ok := r.all[e.Region].reports[e.From+"/"+e.Gateway]; !ok || !old.at.After(at) {
			r.all[e.Region].reports[e.From+"/"+e.Gateway] = rumour{e.From, e.Failing, at}
		}
	case Load:
		k := r.all[e.Region]
		k.demand, k.capacity = amount(e.Demand), amount(e.Capacity)
	case Order:
		r.ordered(e)
	}
}

func (r *referee) ordered(o Order) {
	k := r.all[o.Region]
	if k.given && (o.Version < k.order.Version || o.Version == k.order.Version && o.Gateway <= k.order.Gateway) {
		return
	}
	k.order, k.given = o, true
	k.inForce = false
	newest := ""
	for _, n := range r.names {
		if x := r.all[n]; !x.given || x.order.State == OrderOn {
			newest = "-"
			break
		} else if newest == "" || !r.all[newest].order.after(x.order) { // of equals the last by name
			newest = n
		}
	}
	for _, n := range r.names {
		x := r.all[n]
		was := x.inForce
		x.inForce = x.given && x.order.State != OrderOn && n != newest
		if x.inForce && !was {
			elapsed := time.Duration(0)
			if n == o.Region {
				elapsed = o.Elapsed
			}
			x.due, x.panicked = r.now.Add(max(0, x.order.Over-elapsed)), false
		}
		if was && !x.inForce {
			x.bad, x.good, x.failing = 0, 0, false // given back with a clean slate
		}
	}
	if o.State == OrderOn {
		k.bad, k.good, k.failing = 0, 0, false
	}
}

func (r *referee) fresh(at time.Time) bool {
	return !at.IsZero() && r.now.Sub(at) <= 3*r.cfg.Interval
}

// judge looks at a step after the machine has made it.
func (r *referee) judge(m machine, e Event, effects []Effect) {
	states := map[string]regions.RegionState{}
	for _, s := range r.last {
		states[s.Name] = s.State
	}
	for _, f := range effects {
		r.judgeEffect(f, states)
	}
	now := m.Regions()
	free, leftFree := 0, 0
	var shares float64
	for i, s := range now {
		if states[s.Name] != s.State {
			r.fail(legal, "%s is %s, told was %s", s.Name, s.State, states[s.Name])
		}
		if !(s.Share >= 0 && s.Share <= 1) || s.State == regions.Off && s.Share != 0 || s.State == regions.On && s.Share != 1 {
			r.fail(inRange, "%s is %s with %v", s.Name, s.State, s.Share)
		}
		k := r.all[s.Name]
		r.judgeOrder(s, k, e)
		r.judgeRoom(now, i)
		shares += s.Share
		if !k.inForce {
			free++
			leftFree += one(s.State != regions.Off && s.State != regions.Evacuating)
		}
	}
	if free == len(now) && leftFree == 0 {
		r.fail(notAll, "no order is in force, and no region is on: %+v", now)
	}
	r.judgeWeights(m, now)
	r.judgeService(now, shares)
	r.last = now
}

func (r *referee) judgeEffect(f Effect, states map[string]regions.RegionState) {
	if f.Cause == "" {
		r.fail(reasoned, "%v", f)
	}
	if f.From != states[f.Region] || f.Changed() && !ways[[2]regions.RegionState{f.From, f.To}] {
		r.fail(legal, "%v, it was %s", f, states[f.Region])
	}
	states[f.Region] = f.To
	if f.To != regions.Evacuating || !f.Changed() || r.all[f.Region].inForce {
		return
	}
	k := r.all[f.Region]
	others := false
	for _, v := range k.reports {
		others = others || v.failing && v.from != r.own && r.fresh(v.at)
	}
	if !k.failing || !r.fresh(k.checked) || !others {
		r.fail(twoSee, "%v, with %d checks failed and confirmed: %v", f, k.bad, others)
	}
	down, count := 0, 0
	for _, s := range r.last {
		if k := r.all[s.Name]; s.Name != r.own && !k.inForce && s.State != regions.Off {
			count++
			down += one((k.failing || k.bad > 0) && r.fresh(k.checked))
		}
	}
	if down >= 2 && down*2 > count {
		r.fail(notMe, "%v, with %d of %d down", f, down, count)
	}
}

func (r *referee) judgeOrder(s Status, k *known, e Event) {
	if s.Panic {
		k.panicked = true
		if k.inForce && k.order.State == OrderOff {
			r.fail(obeyed, "%s serves in panic although it is ordered off", s.Name)
		}
		return
	}
	if k.panicked { // taken up again, gradually
		k.panicked = false
		k.due = r.now.Add(r.cfg.Evacuate)
		return
	}
	o, isOrder := e.(Order)
	switch {
	case k.inForce && !r.now.Before(k.due):
		if s.Share != 0 || s.State != regions.Off || (k.order.State == OrderOff) != s.Barred {
			r.fail(obeyed, "%s is %s with %v, barred %v; due was %s over %s", s.Name, s.State, s.Share, s.Barred, k.order.State, k.order.Over)
		}
	case k.inForce:
		if s.State != regions.Evacuating && s.State != regions.Off {
			r.fail(obeyed, "%s is %s although ordered %s", s.Name, s.State, k.order.State)
		}
	case s.Barred:
		r.fail(obeyed, "%s is barred without an order", s.Name)
	case isOrder && o == k.order && o.Region == s.Name && o.State == OrderOn:
		if s.State == regions.Off || s.State == regions.Evacuating {
			r.fail(obeyed, "%s is %s right after it was ordered on", s.Name, s.State)
		}
	}
}

// judgeRoom: a share that an evacuation has just made smaller must leave room for the demand.
func (r *referee) judgeRoom(now []Status, i int) {
	s, k := now[i], r.all[now[i].Name]
	if k.inForce || s.Share >= r.last[i].Share || s.State != regions.Evacuating && s.State != regions.Off || r.last[i].Panic {
		return
	}
	demand, capacity := 0.0, k.capacity*s.Share
	for j, other := range now {
		x := r.all[other.Name]
		demand += x.demand
		if j == i || x.inForce || other.State == regions.Evacuating || other.State == regions.Off {
			continue
		}
		if x.capacity == 0 {
			return
		}
		capacity += x.capacity * max(other.Share, r.last[j].Share) // they move in the same step
	}
	if capacity < demand-1e-6 {
		r.fail(room, "%s goes from %v to %v with capacity %v for %v: %+v", s.Name, r.last[i].Share, s.Share, capacity, demand, now)
	}
}

func (r *referee) judgeWeights(m machine, now []Status) {
	sum := 0.0
	weights := m.Weights()
	for _, s := range now {
		w := weights[s.Name]
		sum += w
		if w < 0 || s.Barred && w != 0 {
			r.fail(sumToOne, "%s has weight %v", s.Name, w)
		}
	}
	if math.Abs(sum-1) > 1e-9 {
		r.fail(sumToOne, "%v sum to %v", weights, sum)
	}
}

// judgeService watches over the failover timeout.
func (r *referee) judgeService(now []Status, shares float64) {
	for i, s := range now {
		if s.Panic && !r.last[i].Panic && r.now.Sub(r.carried) < r.cfg.Timeout {
			r.fail(unrushed, "%s called up %s after the last one served", s.Name, r.now.Sub(r.carried))
		}
	}
	for _, s := range now {
		if k := r.all[s.Name]; s.Share > 0 && (k.checked.IsZero() || k.good >= 2 && k.health > 0) {
			r.carried = r.now
		}
	}
	switch {
	case shares > 0:
		r.empty = time.Time{}
	case r.empty.IsZero():
		r.empty = r.now
	case r.now.Sub(r.empty) >= r.cfg.Timeout:
		r.fail(served, "no region has a share for %s: %+v", r.now.Sub(r.empty), now)
	}
}

// truth is what is so of one region in the simulated world.
type truth struct {
	alive, open bool
	health      float64
	bad         map[string]int // failed checks in a row, by the gateway that made them
}

// world makes events: regions live and die, links are cut, gateways form opinions, operators give orders,
// and now and then somebody sends nonsense or the clock jumps.
type world struct {
	rnd     *rand.Rand
	names   []string
	at      map[string]*truth
	linked  map[[2]string]bool
	now     time.Time
	version uint64
	sent    []Order
	wild    bool
	queue   []Event
}

func newWorld(seed uint64, names []string) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 0)), names: names, at: map[string]*truth{}, linked: map[[2]string]bool{}, now: dawn}
	for _, n := range names {
		w.at[n] = &truth{alive: true, health: 1, bad: map[string]int{}}
		for _, o := range names {
			w.linked[[2]string{n, o}] = true
		}
	}
	return w
}

func (w *world) one() string { return w.names[w.rnd.IntN(len(w.names))] }

// next returns the next event and when it comes. A round is a second: what happens, then a tick; in every
// fifth everybody checks everybody.
func (w *world) next() (time.Time, Event) {
	for len(w.queue) == 0 {
		w.now = w.now.Add(time.Second)
		w.happen()
		if w.now.Unix()%5 == 0 {
			w.look()
		}
		w.queue = append(w.queue, Tick{})
	}
	e := w.queue[0]
	w.queue = w.queue[1:]
	now := w.now
	if w.wild && w.rnd.IntN(500) == 0 {
		now = now.Add(time.Duration(w.rnd.IntN(120)-60) * time.Second)
		w.now = now
	}
	return now, e
}

func (w *world) happen() {
	if w.now.Unix()%600 == 0 {
		w.wild = w.rnd.IntN(4) == 0
	}
	t := w.at[w.one()]
	switch w.rnd.IntN(300) {
	case 0, 1:
		t.alive = !t.alive
	case 2, 3, 4, 5, 6:
		t.alive, t.health, t.open = true, 1, false
	case 7:
		t.health = float64(w.rnd.IntN(6)) / 5
	case 8:
		t.open = !t.open
	case 9, 10:
		a, b := w.one(), w.one()
		cut := !w.linked[[2]string{a, b}]
		w.linked[[2]string{a, b}], w.linked[[2]string{b, a}] = cut, cut
	case 11:
		for pair := range w.linked {
			w.linked[pair] = true
		}
	case 12: // this gateway is cut off
		for _, n := range w.names[1:] {
			w.linked[[2]string{w.names[0], n}], w.linked[[2]string{n, w.names[0]}] = false, false
		}
	case 13, 18:
		w.order()
	case 14, 15:
		w.queue = append(w.queue, Order{Region: w.one(), State: OrderOn, By: "sim", Version: w.tick(), Gateway: "g"})
	case 16:
		for _, n := range w.names {
			l := Load{Region: n, Demand: float64(w.rnd.IntN(100)), Capacity: float64(w.rnd.IntN(200))}
			if w.rnd.IntN(3) == 0 {
				l.Capacity = 0
			}
			w.queue = append(w.queue, l)
		}
	case 17:
		w.nonsense()
	}
}

func (w *world) tick() uint64 { w.version++; return w.version }

func (w *world) order() {
	o := Order{
		Region: w.one(), State: OrderState(1 + w.rnd.IntN(2)), By: "sim", Version: w.tick(), Gateway: string(rune('a' + w.rnd.IntN(3))),
		Over: []time.Duration{0, 20 * time.Second, 5 * time.Minute}[w.rnd.IntN(3)], Elapsed: time.Duration(w.rnd.IntN(3)) * 7 * time.Second,
	}
	switch w.rnd.IntN(4) {
	case 0:
		o.Version -= min(o.Version-1, uint64(w.rnd.IntN(5))) // given elsewhere at the same time
	case 1:
		if len(w.sent) > 0 {
			o = w.sent[w.rnd.IntN(len(w.sent))] // one that was on the way for long
		}
	}
	w.sent = append(w.sent, o)
	w.queue = append(w.queue, o)
}

func (w *world) nonsense() {
	if !w.wild {
		return
	}
	w.queue = append(w.queue,
		Check{Region: w.one(), Reachable: true, Health: []float64{math.NaN(), math.Inf(1), -1, 7}[w.rnd.IntN(4)]},
		Load{Region: w.one(), Demand: math.NaN(), Capacity: math.Inf(1)},
		Load{Region: w.one(), Demand: 1e300, Capacity: -1},
		Report{Region: w.one(), From: w.one(), Gateway: "liar", Failing: w.rnd.IntN(2) == 0, Age: time.Duration(w.rnd.IntN(20)-5) * time.Second})
}

func (w *world) look() {
	own := w.names[0]
	for _, to := range w.names {
		t := w.at[to]
		for _, from := range w.names {
			up := t.alive && w.linked[[2]string{from, to}] && w.rnd.IntN(200) > 0
			if w.rnd.IntN(100) == 0 {
				continue // this one did not get round to it
			}
			if from == own {
				w.queue = append(w.queue, Check{Region: to, Reachable: up, BreakerOpen: t.open, Health: t.health})
				continue
			}
			if t.bad[from]++; up && !t.open && t.health > 0 {
				t.bad[from] = 0
			}
			if w.linked[[2]string{from, own}] && w.at[from].alive {
				w.queue = append(w.queue, Report{Region: to, From: from, Gateway: "gw-" + from, Failing: t.bad[from] >= 3, Age: time.Duration(w.rnd.IntN(2)) * time.Second})
			}
		}
	}
}

var simNames = []string{"r0", "r1", "r2", "r3"}

// simulate makes n steps, or stops at the first breach of the rule.
func simulate(m machine, seed uint64, n int, until string) (*referee, map[string]int) {
	w, r := newWorld(seed, simNames), newReferee(simNames[0], simNames, m)
	seen := map[string]int{}
	for i := range n {
		now, e := w.next()
		r.learn(now, e)
		effects := m.Step(now, e)
		for _, f := range effects {
			if f.Changed() {
				seen[f.To.String()]++
			}
			for word, means := range map[string]string{"confirmed by": "evacuated by automation", "held at": "held", "nothing took": "panic", "refused": "refused"} {
				if strings.Contains(f.Cause, word) && f.Changed() == (word == "confirmed by" || word == "nothing took") && f.To != regions.Off {
					seen[means]++
				}
			}
		}
		r.judge(m, e, effects)
		if until != "" && r.broken[until] > 0 {
			r.example[until] = fmt.Sprintf("after %d steps: %s", i+1, r.example[until])
			break
		}
	}
	return r, seen
}

func newSound(t testing.TB, cfg Config) *sound {
	f, err := New(cfg, simNames[0], simNames[1:], dawn)
	if err != nil {
		t.Fatal(err)
	}
	return &sound{f}
}

// seeds are two that are always tried, and one that never was.
func seeds() []uint64 { return []uint64{1, 2, rand.Uint64()} }

func TestSimulation(t *testing.T) {
	for _, seed := range seeds() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			r, seen := simulate(newSound(t, Config{}), seed, steps, "")
			for _, rule := range invariants {
				if r.broken[rule] > 0 {
					t.Errorf("%s: broken %d times: %s", rule, r.broken[rule], r.example[rule])
				}
			}
			t.Logf("seed %d, N=%d steps in %s: 0 of %d invariants broken; states entered: %v", seed, steps, time.Since(began).Round(time.Millisecond), len(invariants), seen)
			for _, state := range []string{"on", "degraded", "evacuating", "off", "recovering", "evacuated by automation", "held", "panic", "refused"} {
				if seen[state] < steps/100_000 {
					t.Errorf("%s was entered %d times: the simulation does not get there", state, seen[state])
				}
			}
		})
	}
}
