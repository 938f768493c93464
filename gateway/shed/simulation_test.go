package shed

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// work is one request of the simulation.
type work struct {
	kind    Kind
	key     uint64
	service time.Duration
	arrived time.Time
	ticket  Ticket
}

type event struct {
	at   time.Time
	done *work // nil: an arrival
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any          { o := *e; x := o[len(o)-1]; *e = o[:len(o)-1]; return x }

// pool is a discrete simulation of workers with one queue behind a limiter, under open load: arrivals do
// not wait for answers.
type pool struct {
	l       *Limiter
	workers int
	make    func(*rand.Rand) *work
	rate    func(since time.Duration) float64 // arrivals per second

	rnd     *rand.Rand
	queue   []*work
	busy    int
	events  events
	good    map[int]int // served within patience, by second
	latency map[Kind][]time.Duration
	late    map[int]time.Duration // longest time of a served one, by second
	shed    [Kinds]int
	limit   int64 // in second 20
}

const patience = time.Second // an answer later than this is worth nothing

func (p *pool) run(seed uint64, length time.Duration) {
	p.rnd = rand.New(rand.NewPCG(seed, 7))
	p.good, p.latency, p.late = map[int]int{}, map[Kind][]time.Duration{}, map[int]time.Duration{}
	start := time.Unix(1_000_000, 0)
	heap.Push(&p.events, event{at: start})
	for p.events.Len() > 0 {
		e := heap.Pop(&p.events).(event)
		since := e.at.Sub(start)
		if e.done != nil {
			p.done(e.done, e.at, int(since.Seconds()))
			continue
		}
		if since > length {
			continue
		}
		p.arrive(e.at)
		gap := time.Duration(p.rnd.ExpFloat64() / p.rate(since) * float64(time.Second))
		heap.Push(&p.events, event{at: e.at.Add(gap)})
	}
}

func (p *pool) arrive(now time.Time) {
	w := p.make(p.rnd)
	w.arrived = now
	ticket, why := p.l.Admit(now, w.kind, false)
	if why != "" {
		p.shed[w.kind]++
		return
	}
	w.ticket = ticket
	p.queue = append(p.queue, w)
	p.start(now)
}

func (p *pool) start(now time.Time) {
	for p.busy < p.workers && len(p.queue) > 0 {
		w := p.queue[0]
		p.queue = p.queue[1:]
		p.busy++
		heap.Push(&p.events, event{at: now.Add(w.service), done: w})
	}
}

func (p *pool) done(w *work, now time.Time, second int) {
	p.busy--
	w.ticket.Done(now, w.key, true)
	took := now.Sub(w.arrived)
	if took <= patience {
		p.good[second]++
	}
	p.latency[w.kind] = append(p.latency[w.kind], took)
	if second == 20 {
		p.limit = p.l.Figures().Limit
	}
	p.late[second] = max(p.late[second], took)
	p.start(now)
}

func (p *pool) goodput(from, to int) float64 {
	n := 0
	for s := from; s < to; s++ {
		n += p.good[s]
	}
	return float64(n) / float64(to-from)
}

func p99(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)*99/100]
}

func limiter(t testing.TB, c Config) *Limiter {
	t.Helper()
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const service = 20 * time.Millisecond

// mixed is equal parts of the three classes, each with a tool of its own and 20 ms of work, ±25 %.
func mixed(r *rand.Rand) *work {
	k := Kind(r.IntN(3))
	return &work{kind: k, key: uint64(k) + 1, service: service*3/4 + time.Duration(r.Int64N(int64(service/2)))}
}

// At three times what the workers can do, what is served stays at their peak and fast requests stay fast. The
// control: with nothing learned, the queue eats everything.
func TestOverload(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	const workers = 8
	peak := float64(workers) / service.Seconds()
	overload := func(c Config) *pool {
		p := &pool{l: limiter(t, c), workers: workers, make: mixed, rate: func(at time.Duration) float64 {
			if at > 5*time.Second && at < 25*time.Second {
				return 3 * peak
			}
			return 0.5 * peak
		}}
		p.run(seed, 40*time.Second)
		return p
	}
	on, off := overload(Config{Adaptive: true}), overload(Config{Max: 10_000})
	row := func(name string, p *pool) (goodput float64, fast time.Duration) {
		goodput, fast = p.goodput(8, 25)/peak, p99(p.latency[Fast])
		t.Logf("seed %d, %s: goodput %.2f of peak, fast p99 %s, shed fast %d medium %d slow %d, limit %d", seed, name, goodput, fast, p.shed[Fast], p.shed[Medium], p.shed[Slow], p.limit)
		return goodput, fast
	}
	if goodput, fast := row("shedding", on); goodput < 0.9 || fast > 4*service || on.shed[Slow] <= on.shed[Fast] {
		t.Error("missed")
	}
	for s := 35; s < 40; s++ { // ten seconds after the end
		if on.late[s] > 6*service {
			t.Errorf("not normal in second %d: %s", s, on.late[s])
		}
	}
	if goodput, _ := row("off", off); goodput > 0.9 {
		t.Error("the control held the bar: the test shows nothing")
	}
	if f := on.l.Figures(); f.InFlight != 0 {
		t.Errorf("%d in flight at the end", f.InFlight)
	}
}

// Tools of 2 ms and 2 s in one pool: the slow ones do not look like an overload.
func TestToolsOfAllSizes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	p := &pool{l: limiter(t, Config{Adaptive: true}), workers: 64, rate: func(time.Duration) float64 { return 200 }, make: func(r *rand.Rand) *work {
		if r.IntN(20) == 0 {
			return &work{kind: Slow, key: 1, service: 2 * time.Second}
		}
		return &work{kind: Fast, key: 2, service: 2 * time.Millisecond}
	}}
	p.run(seed, 60*time.Second)
	t.Logf("seed %d: shed %v, limit %d", seed, p.shed, p.l.Figures().Limit)
	if p.shed[Fast] > 0 || p.shed[Slow] > 20 {
		t.Error("shed without need")
	}
}

// A pool that bears more than the limit begins with is found out.
func TestLimitGrowsWithThePool(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	p := &pool{l: limiter(t, Config{Adaptive: true}), workers: 500, make: mixed, rate: func(time.Duration) float64 { return 15_000 }}
	p.run(seed, 20*time.Second)
	t.Logf("seed %d: limit %d, goodput %.0f/s of 15000 asked for", seed, p.l.Figures().Limit, p.goodput(10, 20))
	if p.goodput(10, 20) < 0.9*15_000 {
		t.Error("held back")
	}
}
