package replica

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// world is what the test knows of every record: who may write it, and what was confirmed.
type world struct {
	f     *fleet
	rng   *rand.Rand
	names []string
	next  uint64 // ballot
	recs  map[Key]*known
	done  map[string]int
}

// known is a record as its owner and those who asked for it know it.
type known struct {
	owner   string
	ballot  uint64
	version uint64
	deleted bool
	sure    mark // confirmed by another gateway, or read by a claimant
}

// TestConverge: stores, with random changes, deletions, claims, cuts, hangs, crashes and restarts. In the end everybody
// agrees, and nothing that was confirmed is lost while one of its copies lived. REPLICA_SEED repeats a run.
func TestConverge(t *testing.T) {
	seed := rand.Uint64()
	if s := os.Getenv("REPLICA_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("seed %d", seed)
	plan := Plan{Copies: 2, Timeout: 200 * time.Millisecond, Retries: 1, MaxLag: time.Hour}
	f := newFleet(t, t.TempDir(), plan, "a1", "a2", "b1", "b2", "c1")
	f.ready()
	w := &world{f: f, rng: rand.New(rand.NewPCG(seed, 2)), names: []string{"a1", "a2", "b1", "b2", "c1"}, recs: map[Key]*known{}, done: map[string]int{}}
	for range 600 {
		w.step()
	}
	w.heal()
	f.settle(20 * time.Second)
	for _, bad := range w.judge() {
		t.Error(bad)
	}
	t.Logf("done: %v", w.done)
	w.control()
}

func (w *world) step() {
	switch n := w.rng.IntN(100); {
	case n < 35:
		w.create()
	case n < 70:
		w.change()
	case n < 80:
		w.remove()
	case n < 88:
		w.claim()
	case n < 92:
		w.part()
	case n < 95:
		w.heal()
	case n < 97:
		w.restart(w.pick(), true)
	case n < 98:
		w.damage(w.pick())
	case n < 99:
		w.hang(w.pick())
	default:
		w.restart(w.pick(), false)
	}
}

func (w *world) pick() *member { return w.f.members[w.names[w.rng.IntN(len(w.names))]] }

func (w *world) put(m *member, k Key, x *known, deleted bool) {
	r := rec(k, x.version+1, fmt.Sprintf("%s %d/%d", k.ID, x.ballot, x.version+1))
	if r.Ballot, r.Deleted = x.ballot, deleted; deleted {
		r.Contents = nil
	}
	ctx, cancel := context.WithTimeout(w.f.t.Context(), 500*time.Millisecond)
	defer cancel()
	err := m.store.Put(ctx, r, 1)
	switch {
	case err == nil && m.store.has(k, r.mark()):
		x.version, x.deleted, x.sure = r.Version, deleted, r.mark()
		w.done["confirmed"]++
	case err == nil || errors.Is(err, ErrUnconfirmed):
		x.version, x.deleted = r.Version, deleted
		w.done["unconfirmed"]++
	default:
		w.f.t.Fatalf("%s: %s at %d/%d: %v", m.name, k.ID, x.ballot, r.Version, err)
	}
}

// has reports whether another gateway has confirmed a state: Put also returns when nobody is up.
func (s *Store) has(k Key, m mark) bool {
	sl := s.slot(k)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	e := sl.entries[k]
	return e != nil && e.copies(m) > 0
}

func (w *world) create() {
	m, k := w.pick(), session(len(w.recs))
	x := &known{owner: m.name}
	w.recs[k] = x
	w.put(m, k, x, false)
}

// one returns a random record that is not deleted, as far as its owner knows.
func (w *world) one() (Key, *known) {
	for range 20 {
		if len(w.recs) == 0 {
			break
		}
		k := session(w.rng.IntN(len(w.recs)))
		if x := w.recs[k]; !x.deleted {
			return k, x
		}
	}
	return Key{}, nil
}

func (w *world) change() {
	if k, x := w.one(); x != nil {
		w.put(w.f.members[x.owner], k, x, false)
	}
}

func (w *world) remove() {
	if k, x := w.one(); x != nil {
		w.put(w.f.members[x.owner], k, x, true)
		w.done["deletions"]++
	}
}

// claim gives a record another owner, as the layer above does: first a ballot, then a fetch, then changes. Whoever was
// the owner may not know; it must not be able to have a change confirmed by anybody who was asked.
func (w *world) claim() {
	k, x := w.one()
	m := w.pick()
	if x == nil || m.name == x.owner {
		return
	}
	w.next++
	ctx, cancel := context.WithTimeout(w.f.t.Context(), 400*time.Millisecond)
	defer cancel()
	got, err := m.store.Fetch(ctx, k, w.next, "")
	if err != nil {
		w.f.t.Fatalf("%s claims %s at %d: %v", m.name, k.ID, w.next, err)
	}
	switch {
	case got.Found && got.Deleted:
		return
	case len(got.Silent) == 0 && got.mark().below(x.sure):
		w.f.t.Fatalf("%s claims %s: everybody has answered, %+v was confirmed, %+v was found", m.name, k.ID, x.sure, got.mark())
	case len(got.Silent) > 0 && got.mark().below(x.sure):
		w.done["claims that miss something"]++
	}
	old := w.f.members[x.owner]
	late := rec(k, x.version+1, "late")
	late.Ballot = x.ballot
	x.owner, x.ballot, x.version, x.sure = m.name, w.next, 0, got.mark()
	w.done["claims"]++
	w.late(old, late, len(got.Silent) == 0)
	w.put(m, k, x, false)
}

// late has the old owner try once more. Those who promised refuse it.
func (w *world) late(old *member, r Record, all bool) {
	ctx, cancel := context.WithTimeout(w.f.t.Context(), 100*time.Millisecond)
	defer cancel()
	err := old.store.Put(ctx, r, 1)
	if err == nil && all && old.store.has(r.Key, r.mark()) {
		w.f.t.Fatalf("%s: a late change of %s is confirmed, and everybody has promised to refuse it", old.name, r.ID)
	}
	w.done["late changes"]++
}

func (w *world) part() {
	a, b := w.pick(), w.pick()
	if a != b {
		w.f.cut(a.name, b.name, true)
		w.done["cuts"]++
	}
}

func (w *world) heal() {
	for i, a := range w.names {
		for _, b := range w.names[i+1:] {
			w.f.cut(a, b, false)
		}
	}
}

// restart stops a store, in order or not, and starts it over its file.
func (w *world) restart(m *member, crash bool) {
	if crash {
		for _, other := range w.f.all() { // one store at a time loses what is not on its disk yet
			if other == m {
				continue
			}
			if err := other.store.FlushLocal(context.Background()); err != nil {
				w.f.t.Fatal(err)
			}
		}
		m.vanish()
		w.done["crashes"]++
	} else {
		m.stop()
	}
	w.f.start(m.name, nil)
	w.done["restarts"]++
}

// damage spoils a store's file while it is down. Every other copy lives.
func (w *world) damage(m *member) {
	w.heal()
	w.f.settle(20 * time.Second)
	m.stop()
	path := filepath.Join(w.f.dir, m.name, "replica.db")
	b, err := os.ReadFile(path)
	if err == nil {
		from := w.rng.IntN(len(b))
		clear(b[from:min(len(b), from+w.rng.IntN(64<<10))])
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		w.f.t.Fatal(err)
	}
	m = w.f.start(m.name, nil)
	if m.events.has(EventQuarantined) {
		w.done["quarantines"]++
	}
	w.f.ready()
	w.f.settle(20 * time.Second)
}

// hang has a store answer nothing for some steps, while its links count as up.
func (w *world) hang(m *member) {
	w.f.hang(m.name)
	for range 5 {
		w.change()
	}
	w.f.wake(m.name)
	w.done["hangs"]++
}

// judge looks for everything that was confirmed.
func (w *world) judge() (bad []string) {
	for k, x := range w.recs {
		newest := mark{}
		var at []string
		for _, m := range w.f.all() {
			if r, ok := m.store.Get(k); ok {
				newest = newer(newest, r.mark())
				at = append(at, fmt.Sprintf("%s:%d/%d", m.name, r.Ballot, r.Version))
			}
		}
		slices.Sort(at)
		if newest.below(x.sure) {
			bad = append(bad, fmt.Sprintf("%s: %+v was confirmed, there is %q", k.ID, x.sure, at))
		}
		if len(at) < 3 {
			bad = append(bad, fmt.Sprintf("%s of %s is only at %q", k.ID, x.owner, at))
		}
	}
	return bad
}

// control loses one record everywhere, and one at one place: both are found.
func (w *world) control() {
	lost, thin := session(0), session(1)
	for _, m := range w.f.all() {
		m.lose(lost)
	}
	for _, m := range w.f.all() {
		if _, ok := m.store.Get(thin); ok {
			m.lose(thin)
			break
		}
	}
	if bad := w.judge(); len(bad) != 3 && w.recs[lost].sure != (mark{}) {
		w.f.t.Errorf("one record is lost, another lacks a copy, and the judge says %q", bad)
	}
}

func newer(a, b mark) mark {
	if a.below(b) {
		return b
	}
	return a
}

// TestConvergeMany runs several stores at once from many goroutines: for the race detector.
func TestConvergeMany(t *testing.T) {
	f := newFleet(t, t.TempDir(), Plan{Copies: 2, MaxLag: time.Hour}, "a1", "b1", "c1")
	f.ready()
	var wg sync.WaitGroup
	for n, m := range f.all() {
		for g := range 4 {
			wg.Go(func() {
				for i := range 100 {
					k := session(n*10000 + g*1000 + i%50)
					r := rec(k, uint64(i+1), "x")
					if err := m.store.Put(t.Context(), r, i%3); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	f.settle(10 * time.Second)
	for _, m := range f.all() {
		if got := m.store.Usage().Records; got != 3*4*50 {
			t.Errorf("%s has %d", m.name, got)
		}
		if c := m.store.Counts(); c[Synced] != 4*50 {
			t.Errorf("%s: %v", m.name, c)
		}
	}
}
