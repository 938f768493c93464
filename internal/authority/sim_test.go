package authority

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// How much is simulated comes from the environment, where the defaults are what go test can afford:
//
//	QUORATE_AUTHORITY_PARTS, _PART  one in PARTS of the cut sets of four gateways, those from PART on (64, any)
//	QUORATE_AUTHORITY_SEEDS         schedules for each cut set of three and four, and strategy, with all that may go wrong (2)
//	QUORATE_AUTHORITY_FIVE, _START  schedules of five gateways, and the first seed (800, any)
//	QUORATE_AUTHORITY_STEPS         one in so many of the cuts into a change of rule (16)
//	QUORATE_AUTHORITY_MINUTES       of the lossy day (60)
//	QUORATE_AUTHORITY_FROM, _HUNT   first seed of the hunt for every planted bug (one known to find it), and how many (5000)

// calm is a fleet with nothing wrong but the links.
func calm(n, strategy int, cuts uint32, seed uint64) plan {
	return plan{
		n: n, seed: seed, strategy: strategy, cuts: cuts,
		from: 1500 * time.Millisecond, to: 3500 * time.Millisecond, end: 6500 * time.Millisecond,
		interval: 200 * time.Millisecond, tick: 100 * time.Millisecond, fsync: 20 * time.Millisecond, silence: 700 * time.Millisecond,
		promise: 600 * time.Millisecond, drift: 0.01, delay: 10 * time.Millisecond, relay: time.Second,
	}
}

// wild adds all that may go wrong, in a mixture drawn from the seed.
func wild(n, strategy int, cuts uint32, seed uint64) plan {
	p := calm(n, strategy, cuts, seed)
	r := rand.New(rand.NewPCG(seed, 7))
	sometimes := func(f func()) {
		if r.IntN(2) == 0 {
			f()
		}
	}
	p.suspect, p.leave, p.eachView = true, r.IntN(2) == 0, r.IntN(2) == 0
	sometimes(func() { p.restarts = 1 + r.IntN(3) })
	sometimes(func() { p.stops = 1 + r.IntN(3) })
	sometimes(func() { p.changes = 1 + r.IntN(3) })
	sometimes(func() { p.slander = 0.02 })
	sometimes(func() { p.give = 0.05 })
	sometimes(func() { p.lag = 1500 * time.Millisecond })
	sometimes(func() { p.loss = 0.1 })
	sometimes(func() { p.late = 0.05 })
	sometimes(func() { p.fsync = 500 * time.Millisecond })
	sometimes(func() { p.delay = 60 * time.Millisecond })
	sometimes(func() { p.twice = 0.05 })
	if r.IntN(8) == 0 {
		p.wipe = 1
	}
	if r.IntN(4) == 0 {
		p.suspends = 1 + r.IntN(3)
	}
	if r.IntN(4) == 0 {
		p.flaps = 1 + r.IntN(4)
	}
	if r.IntN(4) == 0 {
		p.lease = p.promise * 2 / 3
	}
	p.batch = r.IntN(2) == 0 // the last to be drawn: seeds that are known to find a bug go on to
	return p
}

// tally is what a set of runs did.
type tally struct {
	runs, steps int
	seen        map[string]int
	began       time.Time
}

func newTally() *tally { return &tally{seen: map[string]int{}, began: time.Now()} }

func (y *tally) add(w *world) {
	y.runs++
	y.steps += w.steps
	for k, v := range w.seen {
		y.seen[k] += v
	}
}

func (y *tally) String() string {
	return fmt.Sprintf("N=%d schedules, %d steps in %s: %v", y.runs, y.steps, time.Since(y.began).Round(time.Millisecond), y.seen)
}

// stand runs a calm plan and returns what is wrong with who may write: a promise after the cut nobody who does
// not reach voters enough both ways, in the cut exactly those that do, after it everybody.
func stand(p plan, rules *thresholds, y *tally) string {
	w := newWorld(p, &flaws{}, rules)
	defer func() { y.add(w) }()
	for _, t := range []struct {
		at    time.Duration
		name  string
		exact bool
	}{{p.from - time.Millisecond, "before the cut", true}, {p.from + p.promise, "a promise after the cut", false}, {p.to - time.Millisecond, "in the cut", true}, {p.end, "after the heal", true}} {
		w.run(t.at)
		if w.found != "" {
			return w.found
		}
		for _, n := range w.nodes {
			if want := w.expect(n); n.open() != want && (t.exact || n.open()) {
				return fmt.Sprintf("%s: %s may write: %t, want %t", t.name, n.name, n.open(), want)
			}
		}
	}
	return ""
}

// rage runs a wild plan and returns the violation, or who cannot write again after the heal.
func rage(p plan, f *flaws, rules *thresholds, y *tally) string {
	w := newWorld(p, f, rules)
	defer func() { y.add(w) }()
	w.run(p.to)
	w.calmDown()
	w.at(w.now+time.Second, w.replace)
	w.run(p.to + 10*time.Second)
	if w.found != "" {
		return w.found
	}
	for _, n := range w.nodes {
		if !n.open() && w.survives() {
			return fmt.Sprintf("10 s after the heal %s may not write: %s, suspicions %v", n.name, n.gate.Life(), w.truth.View().Lives)
		}
	}
	return ""
}

// calmDown ends what goes wrong at random; restarts and stops that are under way take their course.
func (w *world) calmDown() {
	w.plan.slander, w.plan.give, w.plan.loss, w.plan.late, w.plan.twice = 0, 0, 0, 0, 0
	w.plan.fsync, w.plan.delay = 20*time.Millisecond, 10*time.Millisecond
	for _, n := range w.nodes {
		n.lag = 0
	}
}

// survives reports whether the voters that have their stores satisfy the rule.
func (w *world) survives() bool {
	return w.table(&w.truth.s.Ruling)[w.among(func(*node) bool { return true })]
}

// replace brings the voters without a store back as others, by changes of the rule, until that is done.
func (w *world) replace() {
	strangers := 0
	for _, n := range w.nodes {
		if n.lost && !n.down && !n.asleep {
			n.returns()
		}
		if !slices.ContainsFunc(w.truth.s.Ruling.Now.Voters, func(m Member) bool { return m.VoterID == n.id }) {
			strangers++
		}
	}
	if strangers > 0 && !w.truth.s.Ruling.Joint() {
		w.change(w.quorum(w.plan.strategy, w.n, w.plan.promise))
	}
	w.at(w.now+time.Second, w.replace)
}

// links returns the cut set with this number: the diagonal of the matrix is no link.
func links(n int, number uint64) (cuts uint32) {
	for i := range n {
		for j := range n {
			if i != j {
				cuts |= uint32(number&1) << (i*n + j)
				number >>= 1
			}
		}
	}
	return cuts
}

// amount reads how many schedules to run from the environment.
func amount(t *testing.T, name string, normal int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return normal
	}
	k, err := strconv.Atoi(v)
	if err != nil || k < 0 {
		t.Fatalf("%s=%q is no count", name, v)
	}
	return k
}

// cutsOf runs one set of cut links under every strategy: once with nothing else wrong, and seeds times with much
// else. Numbers and seeds are printed with what they find.
func cutsOf(t *testing.T, n int, number uint64, seeds int, rules *thresholds, y *tally) {
	t.Helper()
	for strategy, name := range strategyNames {
		if bad := stand(calm(n, strategy, links(n, number), number), rules, y); bad != "" {
			t.Fatalf("%s, %d gateways, cut set %b, nothing else: %s", name, n, number, bad)
		}
		for i := range seeds {
			seed := number*1_000_003 + uint64(i)
			if bad := rage(wild(n, strategy, links(n, number), seed), &flaws{}, rules, y); bad != "" {
				t.Fatalf("%s, %d gateways, cut set %b, seed %d: %s", name, n, number, seed, bad)
			}
		}
	}
}

func TestEveryCutOfThree(t *testing.T) {
	y, rules := newTally(), newThresholds()
	for number := uint64(0); number < 1<<6; number += share {
		cutsOf(t, 3, number, amount(t, "QUORATE_AUTHORITY_SEEDS", 2), rules, y)
	}
	t.Logf("one in %d of the 64 cut sets of 3: %s", share, y)
}

// TestEveryCutOfFour takes a part of the cut sets, a random one each time, or all of them by environment.
func TestEveryCutOfFour(t *testing.T) {
	y, rules := newTally(), newThresholds()
	parts := uint64(amount(t, "QUORATE_AUTHORITY_PARTS", 64*share))
	part := uint64(amount(t, "QUORATE_AUTHORITY_PART", rand.IntN(int(parts))))
	for number := part; number < 1<<12; number += parts {
		cutsOf(t, 4, number, amount(t, "QUORATE_AUTHORITY_SEEDS", 2), rules, y)
	}
	t.Logf("part %d of %d of the 4096 cut sets of 4: %s", part, parts, y)
}

// TestSeededCutsOfFive draws cut sets, any or a split in two, and all that may go wrong besides. One of four
// schedules goes on until everybody may write again; one of sixteen has nothing but the cut.
func TestSeededCutsOfFive(t *testing.T) {
	y, rules := newTally(), newThresholds()
	start := uint64(amount(t, "QUORATE_AUTHORITY_START", rand.IntN(1<<30)))
	for i := range uint64(amount(t, "QUORATE_AUTHORITY_FIVE", 800/share)) {
		seed := start + i
		r := rand.New(rand.NewPCG(seed, 3))
		number, strategy := r.Uint64()&r.Uint64()&(1<<20-1), r.IntN(len(strategyNames))
		if i%2 == 0 {
			number = split(5, r.Uint64())
		}
		p := wild(5, strategy, links(5, number), seed)
		var bad string
		switch {
		case i%16 == 0:
			bad = stand(calm(5, strategy, links(5, number), seed), rules, y)
		case i%4 == 0:
			bad = rage(p, &flaws{}, rules, y)
		default:
			bad = hunt(p, &flaws{}, rules, y)
		}
		if bad != "" {
			t.Fatalf("START=%d, %s, cut set %b: %s", seed, strategyNames[strategy], number, bad)
		}
	}
	t.Logf("cut sets of 5 from START=%d: %s", start, y)
}

// split returns the number of the cut set that parts those whose bit in side is set from the others.
func split(n int, side uint64) (number uint64) {
	bit := 0
	for i := range n {
		for j := range n {
			if i == j {
				continue
			}
			if side>>i&1 != side>>j&1 {
				number |= 1 << bit
			}
			bit++
		}
	}
	return number
}

// TestChangeCutAtEveryStep takes a fleet of 5 from 3 voters to 4 to 5, and the master from one to the next (the
// master of k voters is the last of them), with gateways and voters that are behind. Another link, or all links
// of one node, are cut every 50 ms of it.
func TestChangeCutAtEveryStep(t *testing.T) {
	y, rules := newTally(), newThresholds()
	every := amount(t, "QUORATE_AUTHORITY_STEPS", 16*share)
	nth := rand.IntN(every)
	for strategy, name := range strategyNames {
		for cut := range 20 + 5 {
			for step := range 40 {
				if nth++; nth%every != 0 {
					continue
				}
				p := calm(5, strategy, links(5, 1<<cut), uint64(nth))
				if cut >= 20 {
					p.cuts = links(5, split(5, 1<<(cut-20)))
				}
				p.voters, p.lag, p.suspect, p.leave = 3, 1500*time.Millisecond, true, step%2 == 0
				p.from, p.to, p.end = 1500*time.Millisecond+time.Duration(step)*50*time.Millisecond, 5*time.Second, 8*time.Second
				p.then = []next{{1500 * time.Millisecond, strategy, 4, 900 * time.Millisecond}, {2500 * time.Millisecond, strategy, 5, p.promise}}
				if bad := rage(p, &flaws{}, rules, y); bad != "" {
					t.Fatalf("%s, cut %d at step %d, seed %d: %s", name, cut, step, nth, bad)
				}
			}
		}
	}
	t.Logf("one in %d of 4000 cuts into a change: %s", every, y)
}

// TestSlowLossyDay keeps 5 gateways open at 250 ms round trips and 1 % loss: no gate closes, nobody is fenced.
func TestSlowLossyDay(t *testing.T) {
	minutes := amount(t, "QUORATE_AUTHORITY_MINUTES", 60/share)
	p := calm(5, 0, 0, rand.Uint64())
	p.delay, p.loss, p.suspect, p.interval = 250*time.Millisecond, 0.01, true, 250*time.Millisecond
	p.promise, p.silence = DefaultPromise(p.interval, 250*time.Millisecond), 2*time.Second
	w := newWorld(p, &flaws{}, newThresholds())
	w.run(10 * time.Second)
	closed, asked := 0, 0
	var watch func()
	watch = func() {
		for _, n := range w.nodes {
			asked++
			if !n.open() {
				closed++
			}
		}
		w.at(w.now+20*time.Millisecond, watch)
	}
	watch()
	w.run(time.Duration(minutes)*time.Minute + 10*time.Second)
	t.Logf("seed %d: %d min, %d steps, gates asked %d times, closed %d; fences %d, suspicions %d", p.seed, minutes, w.steps, asked, closed, w.seen["fenced"], w.seen["suspected"])
	if w.found != "" || closed > 0 || w.seen["fenced"] > 0 {
		t.Errorf("%s", w.found)
	}
}

// hunt is rage that looks for violations only.
func hunt(p plan, f *flaws, rules *thresholds, y *tally) string {
	w := newWorld(p, f, rules)
	w.run(p.end)
	y.add(w)
	return w.found
}
