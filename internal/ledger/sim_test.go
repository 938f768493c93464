package ledger

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

var simSeed = flag.Uint64("sim.seed", 0, "run one simulation with this seed")

// flaw leaves out a rule, to show that the simulation would notice.
type flaw string

const (
	tooFree  flaw = "a call that went out is withdrawn"
	takeOver flaw = "the open intent of a life that has ended is withdrawn, not unknown"
	noIntent flaw = "a call goes out whose intent is not known to be committed"
)

// world is a fleet with a log, faults, and nodes that journal what they execute.
type world struct {
	flaw flaw

	mu       sync.Mutex
	rng      *rand.Rand
	log      []logged
	gateways []*host
	executed map[string]int
	answers  map[string]int // by what agents were told
}

// logged is an entry of the log: a command of the ledger, or the end of a life.
type logged struct {
	command []byte
	ends    authority.Life
}

// host is one gateway.
type host struct {
	w       *world
	name    string
	part    *Part
	ledger  *Ledger
	life    authority.Life // what it takes for its life; 0: none
	open    bool           // its gate
	applied int
	ended   map[authority.Life]bool // as applied here
	cut     bool
	down    bool
}

var errSim = errors.New("sim: nobody leads")

func newWorld(seed uint64, f flaw) *world {
	w := &world{flaw: f, rng: rand.New(rand.NewPCG(seed, 1)), executed: map[string]int{}, answers: map[string]int{}}
	for i := range 3 {
		h := &host{w: w, name: fmt.Sprint("g", i), ended: map[authority.Life]bool{}}
		w.gateways = append(w.gateways, h)
		h.start()
	}
	return w
}

// start begins a process without memory.
func (h *host) start() {
	part := NewPart()
	l, err := New(Config{Part: part, Propose: h.propose, Patience: 2 * time.Second, Logger: slog.New(slog.DiscardHandler), Life: h.now, Ended: h.over})
	if err != nil {
		panic(err)
	}
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	h.part, h.ledger, h.applied, h.ended, h.down = part, l, 0, map[authority.Life]bool{}, false
	h.catchUp()
	h.join()
}

// join begins a life; w.mu is held. What of an earlier one has not ended ends first.
func (h *host) join() {
	h.w.log = append(h.w.log, logged{ends: h.life})
	h.life = authority.Life{Gateway: h.name, Incarnation: authority.Index(len(h.w.log))}
	h.open = true
	h.catchUp()
}

func (h *host) now() authority.Life {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	return h.life
}

func (h *host) over(l authority.Life) bool {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	return h.ended[l]
}

// catchUp applies what is committed; w.mu is held.
func (h *host) catchUp() (result []byte) {
	for ; h.applied < len(h.w.log); h.applied++ {
		e := h.w.log[h.applied]
		if e.command == nil {
			h.ended[e.ends] = true
			continue
		}
		var err error
		if result, err = h.part.Apply(uint64(h.applied+1), e.command); err != nil {
			panic(err)
		}
	}
	return result
}

// propose commits now, never, or late; and says so, or not.
func (h *host) propose(ctx context.Context, command []byte) ([]byte, error) {
	w := h.w
	if err := w.wait(ctx, 30); err != nil {
		return nil, err
	}
	if w.flaw == takeOver {
		command = withdrawn(command)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch n := w.rng.IntN(20); {
	case h.cut || h.down || !h.open || n == 0:
		return nil, errSim
	case n == 1: // it arrives when its sender has given it up
		time.AfterFunc(time.Duration(w.rng.IntN(8000))*time.Millisecond, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.log = append(w.log, logged{command: command})
		})
		return nil, errSim
	case n == 2: // it is committed, and the answer is lost
		w.log = append(w.log, logged{command: command})
		return nil, errSim
	}
	w.log = append(w.log, logged{command: command})
	return h.catchUp(), nil
}

// withdrawn is a command that frees the keys whose outcome it should say is unknown.
func withdrawn(b []byte) []byte {
	c, err := decode(b)
	if err != nil {
		panic(err)
	}
	for i := range c.Items {
		if c.Items[i].Op == opUnknown && c.Items[i].Attempt.Life != c.From {
			c.Items[i].Op = opWithdraw
		}
	}
	if b, err = c.encode(); err != nil {
		panic(err)
	}
	return b
}

// wait waits up to ms milliseconds.
func (w *world) wait(ctx context.Context, ms int) error {
	w.mu.Lock()
	d := time.Duration(w.rng.IntN(ms*1000)) * time.Microsecond
	w.mu.Unlock()
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *world) pick(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(n)
}

// send is an agent that sends one call to one gateway. It returns what it was told.
func (w *world) send(ctx context.Context, key string) string {
	h := w.gateways[w.pick(len(w.gateways))]
	w.mu.Lock()
	l, down := h.ledger, h.down
	w.mu.Unlock()
	if down {
		return "down"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	b, err := l.Begin(ctx, Call{Service: "s", Tool: "t", Key: key, Retention: time.Hour})
	switch {
	case errors.Is(err, ErrUnknown):
		return "unknown"
	case errors.Is(err, ErrRunning):
		return "running"
	case err != nil && w.flaw == noIntent && errors.Is(err, ErrNoQuorum):
		w.mu.Lock()
		defer w.mu.Unlock()
		w.executed[key]++
		return "ran"
	case err != nil:
		return "refused"
	case b.Intent == nil:
		if got, want := string(b.Outcome.Value), fmt.Sprintf("%q", key); got != want {
			panic(fmt.Sprintf("key %s was answered with %s", key, got))
		}
		return "stored"
	}
	return w.run(ctx, h, b.Intent, key)
}

// run carries a call out as a gateway does.
func (w *world) run(ctx context.Context, h *host, in *Intent, key string) string {
	_ = w.wait(ctx, 300)
	if !w.dispatch(h, in, key) {
		_ = in.Settle(Outcome{Kind: NotRun})
		return "refused"
	}
	_ = w.wait(context.Background(), 400)
	switch n := w.pick(12); {
	case w.flaw == tooFree && n < 6:
		_ = in.Settle(Outcome{Kind: NotRun})
	case n == 0:
		_ = in.Settle(Outcome{})
		return "unknown"
	case n == 1: // it never says a word
	default:
		_ = in.Settle(Outcome{Kind: Result, Value: fmt.Appendf(nil, "%q", key)})
	}
	return "ran"
}

// dispatch sends the call to a node, if it may go out at this very moment.
func (w *world) dispatch(h *host, in *Intent, key string) bool {
	current := in.Current() // it locks the world
	w.mu.Lock()
	defer w.mu.Unlock()
	allowed := current && h.open && h.life == in.attempt.Life && !h.down
	if !allowed {
		return false
	}
	w.executed[key]++
	return true
}

// trouble cuts, fences, and kills gateways.
func (w *world) trouble(ctx context.Context) {
	for w.wait(ctx, 1500) == nil {
		h := w.gateways[w.pick(len(w.gateways))]
		switch w.pick(3) {
		case 0:
			w.fence(ctx, h, false)
		case 1:
			w.fence(ctx, h, true)
		case 2:
			w.mu.Lock()
			h.cut = !h.cut
			w.mu.Unlock()
		}
	}
}

// fence ends a gateway's life as voters do: its gate is closed before that is committed. The gateway, or what is
// started in its place, hears of it later and begins another life.
func (w *world) fence(ctx context.Context, h *host, kill bool) {
	w.mu.Lock()
	h.open, h.down = false, kill
	ends := h.life
	w.mu.Unlock()
	_ = w.wait(ctx, 300)
	w.mu.Lock()
	w.log = append(w.log, logged{ends: ends})
	old := h.ledger
	w.mu.Unlock()
	_ = w.wait(ctx, 1000)
	if !kill {
		w.mu.Lock()
		defer w.mu.Unlock()
		h.catchUp()
		h.join()
		return
	}
	dead, cancel := context.WithCancel(ctx)
	cancel()
	old.Close(dead)
	h.start()
}

// follow applies the log everywhere, in its time.
func (w *world) follow(ctx context.Context) {
	for w.wait(ctx, 40) == nil {
		w.mu.Lock()
		if h := w.gateways[w.rng.IntN(len(w.gateways))]; !h.down && !h.cut {
			h.catchUp()
		}
		w.mu.Unlock()
	}
}

// simulate has agents send keys, each several times to any gateway, and returns how many keys ran more than once.
func simulate(t *testing.T, seed uint64, f flaw) (twice int, answers map[string]int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(seed, f)
		ctx, stop := context.WithCancel(t.Context())
		var world, agents sync.WaitGroup
		world.Go(func() { w.trouble(ctx) })
		world.Go(func() { w.follow(ctx) })
		for i := range 60 {
			agents.Go(func() {
				key := fmt.Sprint("k", i%30) // two agents share a key
				for range 6 {
					told := w.send(ctx, key)
					w.mu.Lock()
					w.answers[told]++
					w.mu.Unlock()
					_ = w.wait(ctx, 1500)
				}
			})
		}
		agents.Wait()
		stop()
		world.Wait()
		for _, h := range w.gateways {
			h.ledger.Close(ctx)
		}
		<-time.After(time.Minute) // what is on its way arrives
		for _, n := range w.executed {
			if n > 1 {
				twice++
			}
		}
		w.answers["executed"] = len(w.executed)
		answers = w.answers
	})
	return twice, answers
}

func TestKeysRunAtMostOnce(t *testing.T) {
	seeds := []uint64{*simSeed}
	if *simSeed == 0 {
		seeds = nil
		for range 40 {
			seeds = append(seeds, rand.Uint64())
		}
	}
	total := map[string]int{}
	for _, seed := range seeds {
		twice, answers := simulate(t, seed, "")
		if twice > 0 {
			t.Errorf("seed %d: %d keys ran more than once", seed, twice)
		}
		for told, n := range answers {
			total[told] += n
		}
	}
	t.Logf("%d runs: %v", len(seeds), total)
	if total["executed"] < 20*len(seeds) || total["stored"] < total["unknown"] {
		t.Errorf("too little was done: %v", total)
	}
}

func TestSimulationFindsFlaws(t *testing.T) {
	for _, f := range []flaw{tooFree, takeOver, noIntent} {
		found := uint64(0)
		for seed := uint64(1); seed <= 400 && found == 0; seed++ {
			if twice, _ := simulate(t, seed, f); twice > 0 {
				found = seed
			}
		}
		if found == 0 {
			t.Errorf("not found: %s", f)
		}
		t.Logf("%s: found with seed %d", f, found)
	}
}
