package failover

import (
	"math"
	"math/rand/v2"
	"time"
)

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
