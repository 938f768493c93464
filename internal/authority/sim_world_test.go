package authority

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"
)

// plan is one schedule: the fleet, the paces and the faults.
type plan struct {
	n        int
	seed     uint64
	strategy int
	cuts     uint32 // bit i*n+j: the link from i to j is cut
	from, to time.Duration
	end      time.Duration

	interval, tick, fsync, silence time.Duration
	lease, margin                  time.Duration
	promise                        time.Duration
	drift                          float64 // clocks are up to this much fast or slow
	delay                          time.Duration
	late                           float64 // part of messages that take up to relay
	relay                          time.Duration
	loss, twice                    float64
	flaps                          int // times that the cut links become others
	slander, give                  float64
	suspect, leave, eachView       bool
	batch                          bool // some claims share an entry
	lag                            time.Duration
	restarts, stops, changes, wipe int
	suspends                       int
	voters                         int // at first; 0: all
	then                           []next
}

// next is a change of rule at a time.
type next struct {
	at          time.Duration
	strategy, k int
	promise     time.Duration
}

type event struct {
	at  time.Duration
	seq int
	f   func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// world is one run of a plan.
type world struct {
	plan  plan
	n     int
	rng   *rand.Rand
	now   time.Duration
	queue queue
	seq   int
	cut   [8][8]bool
	nodes []*node
	rules *thresholds
	flaws *flaws

	truth   *Machine // what is committed
	history []entry
	fenced  map[Life]bool
	lives   []Life
	voters  []VoterID // those that ever were
	tables  map[[2]Version][]bool
	found   string // the first violation
	steps   int
	seen    map[string]int
}

func newWorld(p plan, f *flaws, rules *thresholds) *world {
	w := &world{
		plan: p, n: p.n, rng: rand.New(rand.NewPCG(p.seed, 5)), rules: rules, flaws: f,
		fenced: map[Life]bool{}, tables: map[[2]Version][]bool{}, seen: map[string]int{},
	}
	w.truth, _ = NewMachine(MachineConfig{Rules: rules})
	for i := range p.n {
		n := &node{w: w, i: i, name: fmt.Sprintf("g%d", i), reported: map[string]bool{}}
		n.id = member(n.name).VoterID
		n.rate = 1 + p.drift*(2*w.rng.Float64()-1)
		n.offset = time.Duration(w.rng.Int64N(int64(time.Hour)))
		n.disk = NewRecord(n.id)
		if w.rng.IntN(3) == 0 {
			n.lag = p.lag
		}
		n.r.log = []entry{{0, Bootstrap{Cluster: "c", Quorum: w.quorum(p.strategy, w.first(), p.promise), Declared: p.n}}}
		w.nodes, w.voters = append(w.nodes, n), append(w.voters, n.id)
	}
	for _, n := range w.nodes {
		n.boot()
	}
	w.rounds()
	w.faults()
	return w
}

// first is how many voters there are at first.
func (w *world) first() int {
	if w.plan.voters > 0 {
		return w.plan.voters
	}
	return w.n
}

// strategies of the simulation, over the first k nodes.
var strategyNames = []string{"winner_takes_all", "oldest_node", "configured_master", "region_majority"}

func (w *world) quorum(strategy, k int, promise time.Duration) Quorum {
	var names []string
	for i := range k {
		names = append(names, fmt.Sprintf("g%d", i))
	}
	rule := majority(names...)
	switch strategy {
	case 1:
		rule = majority(names[0])
	case 2:
		rule = majority(names[k-1])
	case 3:
		half := (k + 2) / 3
		rule = regional(names[:half], names[half:k-1], names[k-1:])
	}
	q := quorum(rule, promise, names...)
	for i := range w.nodes {
		if i < k {
			q.Voters[i].VoterID = w.nodes[i].id
		}
	}
	return q
}

func (w *world) at(t time.Duration, f func()) {
	w.seq++
	heap.Push(&w.queue, event{t, w.seq, f})
}

func (w *world) rounds() {
	w.round()
	w.at(w.now+roundEvery, w.rounds)
}

func (w *world) some(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d) + 1)) }

func (w *world) lost() bool { return w.plan.loss > 0 && w.rng.Float64() < w.plan.loss }

// send takes a message over the link, if there is one when it is sent, and sometimes twice.
func (w *world) send(from, to int, f func(*node)) {
	w.carry(from, to, f)
	if w.plan.twice > 0 && w.rng.Float64() < w.plan.twice {
		w.carry(from, to, f)
	}
}

func (w *world) carry(from, to int, f func(*node)) {
	if from != to && (w.cut[from][to] || w.lost()) {
		return
	}
	d := time.Duration(0)
	if from != to {
		d = w.some(w.plan.delay)
	}
	if w.plan.late > 0 && w.rng.Float64() < w.plan.late {
		d += w.some(w.plan.relay)
	}
	n := w.nodes[to]
	w.at(w.now+d, func() {
		switch {
		case n.down:
		case w.now < n.until:
			n.after(0, func() { f(n) })
		default:
			f(n)
		}
	})
}

// faults plans what goes wrong.
func (w *world) faults() {
	p := w.plan
	during := func() time.Duration { return p.from + w.some(p.to-p.from-time.Nanosecond) }
	for range p.flaps {
		t, cuts := during(), links(w.n, w.rng.Uint64()&w.rng.Uint64())
		w.at(t, func() { w.links(cuts) })
	}
	if p.cuts != 0 || p.flaps > 0 {
		w.at(p.from, func() { w.links(p.cuts) })
		w.at(p.to, func() { w.links(0) })
	}
	for range p.restarts {
		n := w.nodes[w.rng.IntN(w.n)]
		w.at(during(), func() { w.restart(n, false) })
	}
	for range p.wipe {
		n := w.nodes[w.rng.IntN(w.n)]
		w.at(during(), func() { w.restart(n, true) })
	}
	for range p.stops {
		n, d := w.nodes[w.rng.IntN(w.n)], w.some(1500*time.Millisecond)
		w.at(during(), func() { n.until = max(n.until, w.now+d); w.seen["stops"]++ })
	}
	for range p.suspends {
		n, d := w.nodes[w.rng.IntN(w.n)], w.some(3*time.Second)
		w.at(during(), func() { n.suspend(d) })
	}
	for _, c := range p.then {
		w.at(c.at, func() { w.change(w.quorum(c.strategy, c.k, c.promise)) })
	}
	for range p.changes {
		strategy, k := w.rng.IntN(len(strategyNames)), 3+w.rng.IntN(w.n-2)
		promise := time.Duration(1+w.rng.IntN(4)) * 300 * time.Millisecond
		w.at(during(), func() { w.change(w.quorum(strategy, k, promise)) })
	}
}

func (w *world) links(cuts uint32) {
	for i := range w.n {
		for j := range w.n {
			w.cut[i][j] = cuts>>(i*w.n+j)&1 == 1
		}
	}
}

func (w *world) restart(n *node, wipe bool) {
	if n.down || n.asleep {
		return
	}
	n.kill()
	w.seen["restarts"]++
	if wipe {
		n.lost, n.disk = true, Record{}
		w.seen["stores lost"]++
	}
	w.at(w.now+w.some(400*time.Millisecond), n.boot)
}

// change has whoever leads begin a change of rule, and perhaps take it back.
func (w *world) change(q Quorum) {
	for _, n := range w.nodes {
		if n.running(w.now) && n.r.leading {
			n.propose(Change{From: n.m.View().Ruling.Version, Quorum: q, Declared: w.n})
		}
	}
	if w.rng.IntN(3) == 0 {
		w.at(w.now+w.some(2*time.Second), func() {
			for _, n := range w.nodes {
				if b := n.m.View().Ruling.Barrier; b != 0 && n.running(w.now) && n.r.leading {
					n.propose(Restore{Barrier: b})
				}
			}
		})
	}
}

// run goes on until t or the first violation.
func (w *world) run(t time.Duration) {
	for len(w.queue) > 0 && w.queue[0].at <= t && w.found == "" {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		w.steps++
		e.f()
	}
	if w.found == "" {
		w.now = t
	}
}
