package committed

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// writers are agents' gateways that take records from each other, change them and look at them, and the history that
// they leave.
type writers struct {
	f       *fleet
	look    func(*member, context.Context, Key) (Record, bool, error)
	began   time.Time
	ballots atomic.Uint64
	keys    int

	mu      sync.Mutex
	history []porcupine.Operation
	counts  map[string]int
}

func newWriters(f *fleet, keys int) *writers {
	return &writers{
		f: f, keys: keys, began: time.Now(), counts: map[string]int{},
		look: func(m *member, ctx context.Context, k Key) (Record, bool, error) { return m.client.Look(ctx, k) },
	}
}

// note adds a call to the history. One whose outcome nobody knows may take effect at any later time.
func (w *writers) note(worker int, in asked, call int64, seen state, err error) {
	o := porcupine.Operation{ClientId: worker, Input: in, Call: call, Return: time.Since(w.began).Nanoseconds()}
	out := told{outcome: done, seen: seen}
	switch {
	case err == nil:
	case errors.Is(err, ErrUnknown):
		out, o.Return = told{}, math.MaxInt64
	case errors.Is(err, ErrNoQuorum):
		w.count(in, "not asked")
		return
	case errors.Is(err, ErrStale):
		out = told{outcome: stale}
	case errors.Is(err, ErrDeleted):
		out = told{outcome: deleted}
	default:
		w.f.t.Errorf("%+v: %v", in, err)
	}
	o.Output = out
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[fmt.Sprintf("op %d: %d", in.op, out.outcome)]++
	if in.op != opLook || out.outcome != 0 {
		w.history = append(w.history, o)
	}
}

func (w *writers) count(in asked, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[fmt.Sprintf("op %d: %s", in.op, what)]++
}

// key is one of those that are used now. Others take their place every few seconds: what a checker has to go through
// grows with the calls about one record whose outcome nobody knows.
func (w *writers) key(r *rand.Rand) Key {
	return Key{1, fmt.Sprint(int(time.Since(w.began)/(3*time.Second))*w.keys + r.IntN(w.keys))}
}

func seen(r Record, found bool) state {
	return state{found: found, deleted: r.Deleted, ballot: r.Ballot, version: r.Version, contents: string(r.Contents)}.saw()
}

// call makes one call at a gateway, as it is now, and notes it.
func (w *writers) call(worker int, m *member, in asked) error {
	ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer cancel()
	r := Record{Key: in.key, Owner: m.name, Ballot: in.ballot, Version: in.version, Until: math.MaxInt64, Contents: []byte(in.contents)}
	call := time.Since(w.began).Nanoseconds()
	var found bool
	var err error
	var got Record
	switch in.op {
	case opPut:
		err = m.client.Put(ctx, r)
	case opDrop:
		err = m.client.Drop(ctx, r)
	case opTake:
		got, found, err = m.client.Take(ctx, r)
	case opLook:
		got, found, err = w.look(m, ctx, in.key)
	}
	w.note(worker, in, call, seen(got, found), err)
	return err
}

// work takes a record, changes it some times, looks at others in between, and goes on to another record.
func (w *writers) work(ctx context.Context, worker int, r *rand.Rand) {
	for ctx.Err() == nil {
		m := w.f.at(w.f.names[r.IntN(len(w.f.names))])
		key := w.key(r)
		ballot := w.ballots.Add(1)
		err := w.call(worker, m, asked{key: key, op: opTake, ballot: ballot})
		for version := uint64(1); err == nil && version < uint64(2+r.IntN(6)); version++ {
			err = w.call(worker, m, asked{key: key, op: opPut, ballot: ballot, version: version, contents: fmt.Sprintf("%d.%d", ballot, version)})
			other := w.f.at(w.f.names[r.IntN(len(w.f.names))])
			_ = w.call(worker, other, asked{key: w.key(r), op: opLook})
		}
		if r.IntN(40) == 0 {
			_ = w.call(worker, m, asked{key: key, op: opDrop, ballot: ballot, version: 99})
		}
		if errors.Is(err, ErrNoQuorum) {
			pass(ctx, 100*time.Millisecond)
		}
	}
}

// pass lets time pass.
func pass(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// trouble kills the leader, cuts gateways off, alone or the leader, and heals, until the context ends.
func (w *writers) trouble(ctx context.Context, r *rand.Rand) (faults []string) {
	for ctx.Err() == nil {
		pass(ctx, time.Duration(300+r.IntN(700))*time.Millisecond)
		name := w.f.names[r.IntN(len(w.f.names))]
		if r.IntN(2) == 0 {
			name = w.f.leader().name
		}
		down := time.Duration(300+r.IntN(1500)) * time.Millisecond
		if r.IntN(2) == 0 {
			faults = append(faults, "kill "+name)
			w.f.at(name).vanish()
			pass(ctx, down)
			w.f.again(name)
			continue
		}
		faults = append(faults, "cut "+name)
		w.f.partition([]string{name})
		pass(ctx, down)
		w.f.partition()
	}
	return faults
}

// run has workers and trouble for a time, and returns the verdict on what they saw.
func (w *writers) run(seed uint64, d time.Duration) porcupine.CheckResult {
	t := w.f.t
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() { w.work(ctx, i, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	faults := w.trouble(ctx, rand.New(rand.NewPCG(seed, 99)))
	all.Wait()
	t.Logf("%d calls, %v, faults %q", len(w.history), w.counts, faults)
	return porcupine.CheckOperationsTimeout(model(), w.history, time.Minute)
}

// Whoever writes where, and whoever is killed or cut off: records behave as one would that is in one place.
// QUORATE_COMMITTED_SECONDS and QUORATE_COMMITTED_SEED make it longer, and repeat a seed.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	seconds, seed := 6, rand.Uint64()
	if s := os.Getenv("QUORATE_COMMITTED_SECONDS"); s != "" {
		var err error
		seconds, err = strconv.Atoi(s)
		must(t, err)
	}
	if s := os.Getenv("QUORATE_COMMITTED_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		must(t, err)
	}
	t.Logf("seed %d, %d s", seed, seconds)
	f := newFleet(t, 0, "a", "b", "c")
	w := newWriters(f, 4)
	if got := w.run(seed, time.Duration(seconds)*time.Second); got != porcupine.Ok {
		t.Errorf("the history is %s", got)
	}
	for _, name := range f.names {
		within(t, 30*time.Second, name+" may write", f.at(name).node.Allow)
	}
	f.agree()
	used := map[Key]bool{}
	for _, o := range w.history {
		used[o.Input.(asked).key] = true
	}
	for key := range used { // what was acknowledged is there after all faults
		must(t, w.call(-1, f.at("a"), asked{key: key, op: opLook}))
	}
	if got := porcupine.CheckOperationsTimeout(model(), w.history, time.Minute); got != porcupine.Ok {
		t.Errorf("after all faults the history is %s", got)
	}
}

// The checker sees a read that did not wait for the log: of a gateway that is cut off, and of a delayed one.
func TestStaleReadIsSeen(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0, "a", "b", "c")
	key := Key{1, "x"}
	for _, tc := range []struct {
		name string
		look func(*member, context.Context, Key) (Record, bool, error)
		want porcupine.CheckResult
	}{
		{"with the wait", newWriters(f, 1).look, porcupine.Ok},
		{"without", func(m *member, _ context.Context, k Key) (Record, bool, error) {
			r, found := m.part.Get(k)
			return r, found, nil
		}, porcupine.Illegal},
	} {
		w := newWriters(f, 1)
		w.look = tc.look
		key.ID += "y"
		must(t, w.call(0, f.at("a"), asked{key: key, op: opPut, version: 1, contents: "one"}))
		f.agree()
		f.partition([]string{"c"})
		within(t, 10*time.Second, "the others commit", func() bool {
			return w.call(0, f.at("a"), asked{key: key, op: opPut, version: 2, contents: "two"}) == nil
		})
		_ = w.call(1, f.at("c"), asked{key: key, op: opLook})
		f.partition()
		if got := porcupine.CheckOperationsTimeout(model(), w.history, time.Minute); got != tc.want {
			t.Errorf("%s: %s, not %s", tc.name, got, tc.want)
		}
		for _, name := range f.names {
			within(t, 30*time.Second, name+" may write", f.at(name).node.Allow)
		}
	}
}

// The checker sees acknowledged changes that are lost, and writers that are let in after a promise.
func TestModelJudges(t *testing.T) {
	k := Key{1, "x"}
	put := func(ballot, version uint64) asked {
		return asked{key: k, op: opPut, ballot: ballot, version: version, contents: "c"}
	}
	at := func(ballot, version uint64) state {
		return state{found: true, ballot: ballot, version: version, contents: "c"}
	}
	ok := told{outcome: done}
	type pair struct {
		in  asked
		out told
	}
	for name, tc := range map[string]struct {
		calls []pair
		want  porcupine.CheckResult
	}{
		"in order":                  {[]pair{{put(0, 1), ok}, {asked{key: k, op: opTake, ballot: 5}, told{done, at(0, 1)}}, {put(5, 1), ok}, {put(0, 2), told{outcome: stale}}, {asked{key: k, op: opLook}, told{done, at(5, 1)}}}, porcupine.Ok},
		"lost":                      {[]pair{{put(0, 1), ok}, {put(0, 2), ok}, {asked{key: k, op: opLook}, told{done, at(0, 1)}}}, porcupine.Illegal},
		"lost in a take":            {[]pair{{put(0, 1), ok}, {asked{key: k, op: opTake, ballot: 5}, told{outcome: done}}}, porcupine.Illegal},
		"let in after a promise":    {[]pair{{asked{key: k, op: opTake, ballot: 5}, ok}, {put(0, 1), ok}}, porcupine.Illegal},
		"back after a deletion":     {[]pair{{put(0, 1), ok}, {asked{key: k, op: opDrop}, ok}, {put(0, 2), ok}}, porcupine.Illegal},
		"unknown, seen and unseen":  {[]pair{{put(0, 1), ok}, {put(0, 2), told{}}, {asked{key: k, op: opLook}, told{done, at(0, 2)}}}, porcupine.Ok},
		"unknown, and not seen yet": {[]pair{{put(0, 1), ok}, {put(0, 2), told{}}, {asked{key: k, op: opLook}, told{done, at(0, 1)}}}, porcupine.Ok},
	} {
		var history []porcupine.Operation
		for i, c := range tc.calls {
			o := porcupine.Operation{Input: c.in, Output: c.out, Call: int64(2 * i), Return: int64(2*i + 1)}
			if c.out.outcome == 0 {
				o.Return = math.MaxInt64
			}
			history = append(history, o)
		}
		if got := porcupine.CheckOperationsTimeout(model(), history, time.Minute); got != tc.want {
			t.Errorf("%s: %s, not %s", name, got, tc.want)
		}
	}
}
