package keeper

import (
	"context"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/keeper/sessionid"
)

func recordOf(key []byte, id string) (string, authority.Life) {
	sid, err := sessionid.Parse(key, id)
	if err != nil {
		panic(err)
	}
	return sid.Record(), sid.Minter
}

// history is what one run did.
type history struct {
	bad  []string
	seen map[string]int
}

// run lives through a minute with ends of lives, cuts, gateways that stand still, and agents that go anywhere.
func run(t *testing.T, seed uint64, flaw string) (h history) {
	synctest.Test(t, func(t *testing.T) {
		names := []string{"a", "b", "c"}
		w := newWorld(t, seed, names...)
		w.flaw = flaw
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		for _, m := range w.gws {
			work.Go(func() { m.follow(ctx) })
		}
		<-time.After(time.Second)
		if w.chance(0.7) {
			w.loss = 0.1
		}
		for i := range 6 {
			id := w.open(ctx, names[i%len(names)])
			for range 2 {
				work.Go(func() { w.agent(ctx, id, names) })
			}
		}
		work.Go(func() { w.trouble(ctx, names) })
		<-time.After(time.Minute)
		w.calm(names)
		<-time.After(10 * time.Second)
		cancel()
		work.Wait()
		<-time.After(5 * time.Second) // what is on its way
		h = history{w.bad, w.seen}
	})
	return h
}

// open begins a session at a gateway.
func (w *world) open(ctx context.Context, at string) string {
	m := w.gws[at]
	id, life := m.keeper.Mint()
	if life == 0 {
		w.t.Fatal("no life")
	}
	m.restore(id, session.Found{Life: life, Contents: contentsOf(0)})
	if err := m.keeper.Keep(ctx, "s", id, contentsOf(0), session.Opening); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// agent asks one gateway for a while, then another.
func (w *world) agent(ctx context.Context, id string, names []string) {
	at := names[0]
	for ctx.Err() == nil {
		if w.chance(0.1) {
			w.mu.Lock()
			at = names[w.rand.IntN(len(names))]
			w.mu.Unlock()
		}
		bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
		if _, unknown := w.gws[at].request(bounded, id, false); unknown {
			w.count("unknown")
		}
		cancel()
		w.delay(200 * time.Millisecond)
	}
}

// trouble ends lives, cuts links and has gateways stand still.
func (w *world) trouble(ctx context.Context, names []string) {
	for ctx.Err() == nil {
		w.delay(2 * time.Second)
		w.mu.Lock()
		name, kind := names[w.rand.IntN(len(names))], w.rand.IntN(4)
		other := names[w.rand.IntN(len(names))]
		w.mu.Unlock()
		switch kind {
		case 0:
			w.end(name)
			w.delay(time.Second)
			w.join(name)
		case 1:
			w.flip(name, other)
		case 2:
			w.stand(name, true)
			w.end(name)
			w.delay(2 * time.Second)
			w.stand(name, false)
			<-time.After(200 * time.Millisecond)
			w.join(name)
		case 3:
			w.flip(name, other)
			w.delay(time.Second)
			w.flip(name, other)
		}
	}
}

func (w *world) flip(a, b string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	link := [2]string{min(a, b), max(a, b)}
	w.cut[link] = !w.cut[link] && a != b
}

func (w *world) stand(name string, still bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gws[name].still = still
}

// calm ends what is wrong.
func (w *world) calm(names []string) {
	for _, n := range names {
		w.stand(n, false)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.cut)
	w.loss = 0
}

// TestOneServes: two gateways never both serve a session while both may write. QUORATE_KEEPER_SEEDS runs are made, from
// QUORATE_KEEPER_START on.
func TestOneServes(t *testing.T) {
	runs, start := number(t, "QUORATE_KEEPER_SEEDS", 20), number(t, "QUORATE_KEEPER_START", 1)
	all := map[string]int{}
	for seed := start; seed < start+runs; seed++ {
		h := run(t, seed, "")
		for _, b := range h.bad {
			t.Errorf("seed %d: %s", seed, b)
		}
		for what, n := range h.seen {
			all[what] += n
		}
	}
	t.Logf("%d runs from seed %d: %v", runs, start, all)
	for _, what := range []string{"served", "restored", "relayed", "released", "lives ended"} {
		if all[what] == 0 {
			t.Errorf("nothing was %s: the runs show nothing", what)
		}
	}
	if all["unknown"] > 0 {
		t.Errorf("%d times an agent was told that its session is unknown", all["unknown"])
	}
}

// TestFlawsAreFound breaks one clause at a time.
func TestFlawsAreFound(t *testing.T) {
	for _, flaw := range []string{"the gate stays open", "anybody may claim", "the owner goes on"} {
		found := false
		for seed := uint64(1); seed < 20 && !found; seed++ {
			found = len(run(t, seed, flaw).bad) > 0
		}
		if !found {
			t.Errorf("%s: not found in 20 runs", flaw)
		}
	}
}

func number(t *testing.T, variable string, otherwise uint64) uint64 {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
