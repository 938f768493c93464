package plugintest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/strategies"
)

// StoreLimit is how long one call of a store may take here.
const StoreLimit = 5 * time.Second

// lifetime of the records of a run: what is left of it in an engine that others use too ends soon.
const lifetime = 10 * time.Minute

// storeSuite is one run over one engine, through two processes. All its keys are below one prefix of its own.
type storeSuite struct {
	ctx           context.Context
	first, second strategies.Store
	prefix        string
	until         int64
	want          map[string]strategies.Record // what has to be there in the end
	promised      string                       // a key with a promise and no record
}

func newStoreSuite(ctx context.Context, first, second strategies.Store) *storeSuite {
	return &storeSuite{
		ctx: ctx, first: first, second: second, prefix: "check/" + rand.Text() + "/",
		until: time.Now().Add(lifetime).Unix(), want: map[string]strategies.Record{},
	}
}

// run looks at everything but what outlives the process.
func (s *storeSuite) run() []Point {
	var done []Point
	for _, look := range []struct {
		name string
		at   func(*Point)
	}{
		{"what is put is there", s.contents},
		{"records are ordered", s.order},
		{"a promise refuses lower ballots", s.promise},
		{"what is deleted stays deleted", s.deletion},
		{"a batch is judged one by one", s.batch},
		{"what is over is gone", s.over},
		{"writers at two gateways", s.writers},
		{"a promise among writers", s.claims},
		{"the list", s.list},
		{"a call that is given up", s.givenUp},
		{"what it finds", s.inspect},
	} {
		c := Point{Name: look.name}
		began := time.Now()
		look.at(&c)
		c.Took = time.Since(began)
		done = append(done, c)
		if s.ctx.Err() != nil {
			break
		}
	}
	return done
}

func (s *storeSuite) record(name string, ballot, version uint64, contents []byte) strategies.Record {
	return strategies.Record{
		Key: s.prefix + name, Service: "tools", Owner: "gw-1", Ballot: ballot, Version: version, Until: s.until, Contents: contents,
	}
}

func (s *storeSuite) deleted(name string, ballot, version uint64) strategies.Record {
	r := s.record(name, ballot, version, nil)
	r.Deleted = true
	return r
}

// put puts one record, and remembers it where it is kept.
func (s *storeSuite) put(c *Point, store strategies.Store, r strategies.Record, want strategies.Outcome) {
	ctx, cancel := context.WithTimeout(s.ctx, StoreLimit)
	defer cancel()
	written, err := store.Put(ctx, []strategies.Record{r})
	if err != nil || len(written) != 1 {
		c.add("put of %s: %d answers, %v", at(r), len(written), err)
		return
	}
	got := written[0]
	if got.Outcome != want {
		c.add("put of %s comes to %q instead of %q; judge with strategies.Standing.Judge, in one step with the write", at(r), got.Outcome, want)
	}
	if got.Outcome != strategies.Kept {
		return
	}
	if h := got.Standing; !h.Known || h.Ballot != r.Ballot || h.Version != r.Version || h.Deleted != r.Deleted {
		c.add("put of %s answers that %+v is kept", at(r), h)
	}
	if have, ok := s.want[r.Key]; !ok || have.Ballot != r.Ballot || have.Version != r.Version {
		s.want[r.Key] = r
	}
}

// get asks for one key.
func (s *storeSuite) get(c *Point, store strategies.Store, q strategies.Query) (strategies.Answer, bool) {
	ctx, cancel := context.WithTimeout(s.ctx, StoreLimit)
	defer cancel()
	answers, err := store.Get(ctx, []strategies.Query{q})
	if err != nil || len(answers) != 1 {
		c.add("get: %d answers, %v", len(answers), err)
		return strategies.Answer{}, false
	}
	return answers[0], true
}

// sees wants a key's record from both processes.
func (s *storeSuite) sees(c *Point, want strategies.Record) {
	for i, store := range []strategies.Store{s.first, s.second} {
		got, ok := s.get(c, store, strategies.Query{Key: want.Key})
		if !ok {
			continue
		}
		if !got.Found {
			c.add("process %d does not find %s", i+1, at(want))
		} else if !same(got.Record, want) {
			c.add("process %d finds %s instead of %s", i+1, at(got.Record), at(want))
		}
	}
}

// same compares all of two records.
func same(a, b strategies.Record) bool {
	return a.Key == b.Key && a.Service == b.Service && a.Owner == b.Owner && a.Ballot == b.Ballot && a.Version == b.Version &&
		a.Deleted == b.Deleted && a.Until == b.Until && bytes.Equal(a.Contents, b.Contents)
}

// at says which record is meant.
func at(r strategies.Record) string {
	what := fmt.Sprintf("%d bytes", len(r.Contents))
	if r.Deleted {
		what = "deleted"
	}
	return fmt.Sprintf("%s (ballot %d, version %d, %s)", r.Key[max(len(r.Key)-24, 0):], r.Ballot, r.Version, what)
}

// contents of every size come back.
func (s *storeSuite) contents(c *Point) {
	for _, size := range []int{0, 1, 4 << 10, 1 << 20, strategies.MaxContents} {
		contents := make([]byte, size)
		_, _ = rand.Read(contents) // it does not fail
		r := s.record(fmt.Sprintf("size/%d", size), 0, 1, contents)
		if size > 1<<20 && s.tooLarge(r) {
			continue
		}
		s.put(c, s.first, r, strategies.Kept)
		s.sees(c, r)
		if size == 1<<20 {
			c.Says = "1 MiB goes there and back"
		}
	}
	if got, ok := s.get(c, s.first, strategies.Query{Key: s.prefix + "absent"}); ok && got.Found {
		c.add("a key that nobody put is found")
	}
	if _, ok := s.get(c, s.first, strategies.Query{Key: s.prefix + "size/1", Hint: true}); !ok {
		c.add("a hint is no reason to fail: answer as without it, or that nothing is found")
	}
}

// tooLarge reports whether a store has a lower bound, as it may.
func (s *storeSuite) tooLarge(r strategies.Record) bool {
	outcome, err := s.write(r)
	return err == nil && outcome == strategies.TooLarge
}

// order: the higher ballot is newer, in one ballot the higher version, and the same again changes nothing.
func (s *storeSuite) order(c *Point) {
	text := func(t string) []byte { return []byte(t) }
	one, two := s.record("order", 0, 1, text("one")), s.record("order", 0, 2, text("two"))
	s.put(c, s.first, one, strategies.Kept)
	s.put(c, s.second, two, strategies.Kept)
	s.put(c, s.first, one, strategies.Stale)
	s.put(c, s.first, two, strategies.Kept)
	s.sees(c, two)
	claimed := s.record("order", 7, 1, text("claimed"))
	s.put(c, s.second, claimed, strategies.Kept)
	s.put(c, s.first, s.record("order", 0, 99, text("late")), strategies.Stale)
	s.put(c, s.first, s.record("order", 6, 99, text("late")), strategies.Stale)
	s.sees(c, claimed)
}

// promise: a ballot that was promised refuses lower ones, at every process, and is never lowered.
func (s *storeSuite) promise(c *Point) {
	was := s.record("promise", 3, 5, []byte("was"))
	s.put(c, s.first, was, strategies.Kept)
	asked := func(store strategies.Store, name string, ballot, want uint64) {
		got, ok := s.get(c, store, strategies.Query{Key: s.prefix + name, Ballot: ballot, Until: s.until})
		if ok && got.Promised != want {
			c.add("ballot %d is promised after ballot %d was asked for, instead of %d", got.Promised, ballot, want)
		}
	}
	asked(s.second, "promise", 9, 9)
	asked(s.first, "promise", 9, 9)
	s.put(c, s.first, s.record("promise", 3, 6, []byte("late")), strategies.Stale)
	s.put(c, s.first, was, strategies.Kept) // it is kept already, and says so
	s.sees(c, was)
	now := s.record("promise", 9, 1, []byte("now"))
	s.put(c, s.second, now, strategies.Kept)
	s.sees(c, now)
	asked(s.second, "nothing", 4, 4)
	s.put(c, s.first, s.record("nothing", 3, 1, []byte("late")), strategies.Stale)
	if got, ok := s.get(c, s.first, strategies.Query{Key: s.prefix + "nothing"}); ok && got.Found {
		c.add("a promise is found as if it were a record")
	}
	s.promised = s.prefix + "nothing"
}

// deletion: a deleted key has no contents, and nothing takes its place.
func (s *storeSuite) deletion(c *Point) {
	s.put(c, s.first, s.record("deleted", 0, 1, []byte("contents")), strategies.Kept)
	gone := s.deleted("deleted", 0, 2)
	s.put(c, s.second, gone, strategies.Kept)
	s.put(c, s.first, gone, strategies.Kept)
	s.put(c, s.first, s.record("deleted", 0, 3, []byte("again")), strategies.Gone)
	s.put(c, s.first, s.record("deleted", 8, 1, []byte("again")), strategies.Gone)
	s.sees(c, gone)
	s.put(c, s.first, s.record("spared", 5, 1, []byte("contents")), strategies.Kept)
	s.put(c, s.second, s.deleted("spared", 4, 9), strategies.Stale)
}

// over: a record whose lifetime has ended is not found.
func (s *storeSuite) over(c *Point) {
	r := s.record("over", 0, 1, []byte("old"))
	r.Until = time.Now().Add(-time.Minute).Unix()
	ctx, cancel := context.WithTimeout(s.ctx, StoreLimit)
	defer cancel()
	if _, err := s.first.Put(ctx, []strategies.Record{r}); err != nil {
		c.add("put of a record whose lifetime is over: %v; a clock may be ahead, so answer as usual", err)
	}
	if got, ok := s.get(c, s.second, strategies.Query{Key: r.Key}); ok && got.Found {
		c.add("a record is found after its lifetime: drop what is past until, and do not answer with it")
	}
}

// givenUp: a call ends with its context.
func (s *storeSuite) givenUp(c *Point) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	began := time.Now()
	if _, err := s.first.Put(ctx, []strategies.Record{s.record("given-up", 0, 1, nil)}); err == nil {
		delete(s.want, s.prefix+"given-up")
	}
	if took := time.Since(began); took > time.Second {
		c.add("a call that was given up before it began took %s", took.Round(time.Millisecond))
	}
}

// inspect wants findings that say something.
func (s *storeSuite) inspect(c *Point) {
	ctx, cancel := context.WithTimeout(s.ctx, StoreLimit)
	defer cancel()
	found, err := s.first.Inspect(ctx)
	if err != nil || len(found) == 0 || len(found) > strategies.MaxFindings {
		c.add("inspect: %d findings, %v; one at least is wanted: that the engine can be reached", len(found), err)
		return
	}
	for _, f := range found {
		if f.Subject == "" || f.Text == "" || !f.Good && f.Advice == "" {
			c.add("finding %+v: what it is about, what is so, and where that is bad what to do", f)
		}
	}
	c.Says = fmt.Sprintf("%d findings, the first: %s", len(found), found[0].Text)
}

// outlives wants everything back from a process that was killed and started again.
func (s *storeSuite) outlives() Point {
	c := Point{Name: "what was kept outlives a kill"}
	began := time.Now()
	for _, want := range s.want {
		if got, ok := s.get(&c, s.first, strategies.Query{Key: want.Key}); ok && (!got.Found || !same(got.Record, want)) {
			c.add("%s was acknowledged, and after SIGKILL found is %t %s; sync before you answer", at(want), got.Found, at(got.Record))
		}
	}
	if s.promised != "" {
		r := s.record("nothing", 3, 2, []byte("late"))
		if outcome, err := s.write(r); err != nil || outcome != strategies.Stale {
			c.add("a promise is forgotten after SIGKILL: put of %s comes to %q, %v", at(r), outcome, err)
		}
	}
	c.Says, c.Took = fmt.Sprintf("%d records and a promise", len(s.want)), time.Since(began)
	return c
}

// errEnough ends a list early.
var errEnough = errors.New("enough")
