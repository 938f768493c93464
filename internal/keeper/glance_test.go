package keeper

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/replica"
)

// shelf is a store that is far away, with a mirror of it nearby that may be old.
type shelf struct {
	far time.Duration // a question and its answer

	mu       sync.Mutex
	has, old *replica.Record // nil: nothing
	here     *replica.Record // what was put from here
	hints    int
	slow     bool // a hint takes as long as a question
}

func (s *shelf) say(r *replica.Record) (replica.Record, bool) {
	if r == nil {
		return replica.Record{}, false
	}
	return *r, true
}

// Get implements Committed.
func (s *shelf) Get(replica.Key) (replica.Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.say(s.here)
}

// Look implements Committed.
func (s *shelf) Look(ctx context.Context, _ replica.Key) (replica.Record, bool, error) {
	pause(ctx, nil, s.far)
	if ctx.Err() != nil {
		return replica.Record{}, false, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.say(s.has)
	return r, ok, nil
}

// Take implements Committed.
func (s *shelf) Take(ctx context.Context, r replica.Record) (replica.Record, bool, error) {
	return s.Look(ctx, r.Key)
}

// Put implements Committed.
func (s *shelf) Put(ctx context.Context, r replica.Record) error {
	pause(ctx, nil, s.far)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.has, s.here = &r, &r
	return nil
}

// Hint implements hinting.
func (s *shelf) Hint(ctx context.Context, _ replica.Key) (r replica.Record, found, old bool) {
	if s.slow {
		pause(ctx, nil, s.far)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hints++
	r, found = s.say(s.old)
	return r, found, true
}

// unhinted is a store without a mirror.
type unhinted struct{ Committed }

// A hint saves the question whether there is a session, and says nothing else: contents, deletions and that there is
// nothing are the store's own to say.
func TestGlance(t *testing.T) {
	record := func(id string, version uint64, deleted bool, text string) *replica.Record {
		return &replica.Record{Key: recordKey(id), Service: "s", Owner: "a", Version: version, Deleted: deleted, Contents: []byte(text)}
	}
	for name, c := range map[string]struct {
		has, old func(id string) *replica.Record
		bare     bool
		where    session.Where
		contents string
		looks    int // questions that have to be answered before the session is here
	}{
		"the newest": {
			func(id string) *replica.Record { return record(id, 5, false, "new") }, func(id string) *replica.Record { return record(id, 5, false, "new") }, false,
			session.Here, "new", 1,
		},
		"an old one": {
			func(id string) *replica.Record { return record(id, 5, false, "new") }, func(id string) *replica.Record { return record(id, 2, false, "old") }, false,
			session.Here, "new", 1,
		},
		"what is deleted": {
			func(id string) *replica.Record { return record(id, 5, true, "") }, func(id string) *replica.Record { return record(id, 2, false, "old") }, false,
			session.Unknown, "", 2,
		},
		"what is not there": {
			func(string) *replica.Record { return nil }, func(id string) *replica.Record { return record(id, 2, false, "old") }, false,
			session.Unknown, "", 1,
		},
		"nothing": {
			func(id string) *replica.Record { return record(id, 5, false, "new") }, func(string) *replica.Record { return nil }, false,
			session.Here, "new", 2,
		},
		"a deletion": {
			func(id string) *replica.Record { return record(id, 5, false, "new") }, func(id string) *replica.Record { return record(id, 6, true, "") }, false,
			session.Here, "new", 2,
		},
		"control: there is no mirror": {
			func(id string) *replica.Record { return record(id, 5, false, "new") }, func(id string) *replica.Record { return record(id, 5, false, "new") }, true,
			session.Here, "new", 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			fleet(t, func(t *testing.T, w *world, id string) {
				rec, _ := recordOf(w.key, id)
				s := &shelf{far: 400 * time.Millisecond, has: c.has(rec), old: c.old(rec)}
				w.mu.Lock()
				for _, m := range w.gws {
					clear(m.copies)
				}
				w.mu.Unlock()
				kept := Committed(s)
				if c.bare {
					kept = unhinted{s}
				}
				w.gws["b"].keeper.cfg.Committed = func(string) Committed { return kept }
				w.end("a")
				<-time.After(time.Second) // everybody has heard of it
				began := time.Now()
				f := w.find(t, "b", id)
				took := time.Since(began)
				if f.Where != c.where || string(f.Contents) != c.contents {
					t.Errorf("%v %q", f.Where, f.Contents)
				}
				if got := int(took / s.far); got != c.looks && c.where == session.Here {
					t.Errorf("it took %s: %d questions, want %d", took, got, c.looks)
				}
				if (s.hints == 0) != c.bare {
					t.Errorf("%d hints", s.hints)
				}
			})
		})
	}
}
