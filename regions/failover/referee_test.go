package failover

import (
	"fmt"
	"math"
	"time"

	"github.com/quorate/quorate/regions"
)

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
