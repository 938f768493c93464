package plugintest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/quorate/quorate/strategies"
)

// batch: each record of one call is judged on its own, and the answers stand in their order.
func (s *storeSuite) batch(c *Point) {
	var records []strategies.Record
	for i := range strategies.MaxBatch {
		records = append(records, s.record(fmt.Sprintf("batch/%d", i), 0, 1, []byte{byte(i)}))
	}
	s.put(c, s.first, s.record("batch/3", 0, 2, []byte("newer")), strategies.Kept)
	s.put(c, s.first, s.deleted("batch/5", 0, 2), strategies.Kept)
	ctx, cancel := context.WithTimeout(s.ctx, StoreLimit)
	defer cancel()
	written, err := s.first.Put(ctx, records)
	if err != nil || len(written) != len(records) {
		c.add("put of %d records: %d answers, %v", len(records), len(written), err)
		return
	}
	var queries []strategies.Query
	for i, r := range records {
		want := map[int]strategies.Outcome{3: strategies.Stale, 5: strategies.Gone}[i]
		if want == 0 {
			want, s.want[r.Key] = strategies.Kept, r
		}
		if written[i].Outcome != want {
			c.add("record %d of a batch comes to %q instead of %q", i, written[i].Outcome, want)
		}
		queries = append(queries, strategies.Query{Key: r.Key})
	}
	answers, err := s.second.Get(ctx, queries)
	if err != nil || len(answers) != len(queries) {
		c.add("get of %d keys: %d answers, %v", len(queries), len(answers), err)
		return
	}
	for i, a := range answers {
		if !a.Found || !same(a.Record, s.want[queries[i].Key]) {
			c.add("answer %d of %d: found is %t, %s", i, len(answers), a.Found, at(a.Record))
		}
	}
}

// Writers of the checks below.
const (
	writersEach = 4
	versions    = 32
)

// writers write versions of one record at once, through both processes: the newest one stays.
func (s *storeSuite) writers(c *Point) {
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		newest strategies.Record
		kept   int
	)
	write := func(store strategies.Store, from uint64) {
		for v := from; v <= versions; v += 2 * writersEach {
			r := s.record("writers", 0, v, []byte(strings.Repeat("x", int(v))))
			ctx, cancel := context.WithTimeout(s.ctx, StoreLimit)
			written, err := store.Put(ctx, []strategies.Record{r})
			cancel()
			mu.Lock()
			switch {
			case err != nil || len(written) != 1:
				c.add("put of %s: %v", at(r), err)
			case written[0].Outcome == strategies.Kept:
				if kept++; r.Version > newest.Version {
					newest = r
				}
			}
			mu.Unlock()
		}
	}
	for i := range uint64(writersEach) {
		wg.Go(func() { write(s.first, 2*i+1) })
		wg.Go(func() { write(s.second, 2*i+2) })
	}
	wg.Wait()
	if newest.Version != versions {
		c.add("the newest of %d versions was not kept; the newest that was is %d", versions, newest.Version)
	}
	if newest.Key != "" {
		s.want[newest.Key] = newest
		s.sees(c, newest)
	}
	c.Says = fmt.Sprintf("%d of %d versions were kept on the way", kept, versions)
}

// claims promise a ballot among writers of a lower one: what was acknowledged before is seen by whoever promises, and
// nothing is acknowledged after.
func (s *storeSuite) claims(c *Point) {
	for round := range 8 {
		name := fmt.Sprintf("claim/%d", round)
		var acknowledged atomic.Uint64
		started, promised, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() { ended <- s.writeOn(name, started, promised, &acknowledged) }()
		<-started
		got, ok := s.get(c, s.second, strategies.Query{Key: s.prefix + name, Ballot: 5, Until: s.until})
		close(promised)
		if err := <-ended; err != nil {
			c.add("writer: %v", err)
			return
		}
		if last := acknowledged.Load(); ok && (!got.Found || got.Record.Version < last) {
			c.add("version %d was acknowledged, and who promised ballot 5 read version %d: promise and read, and judge and write, are each one step", last, got.Record.Version)
			return
		}
		if got.Found {
			s.want[got.Record.Key] = got.Record
		}
	}
}

// writeOn writes versions until one is stale. One that it begins after the promise has to be.
func (s *storeSuite) writeOn(name string, started chan<- struct{}, promised <-chan struct{}, acknowledged *atomic.Uint64) error {
	first := sync.OnceFunc(func() { close(started) })
	defer first()
	for v := uint64(1); ; v++ {
		last := false
		select {
		case <-promised:
			last = true
		default:
		}
		outcome, err := s.write(s.record(name, 0, v, []byte("w")))
		switch {
		case err != nil:
			return err
		case outcome == strategies.Stale:
			return nil
		case outcome != strategies.Kept:
			return fmt.Errorf("version %d comes to %q", v, outcome)
		case last:
			return fmt.Errorf("version %d of ballot 0 is kept after ballot 5 was promised", v)
		}
		acknowledged.Store(v)
		first()
	}
}

// write puts one record through the first process.
func (s *storeSuite) write(r strategies.Record) (strategies.Outcome, error) {
	ctx, cancel := context.WithTimeout(s.ctx, StoreLimit)
	defer cancel()
	written, err := s.first.Put(ctx, []strategies.Record{r})
	if err == nil && len(written) != 1 {
		err = fmt.Errorf("%d answers to one record", len(written))
	}
	if err != nil {
		return 0, err
	}
	return written[0].Outcome, nil
}

// list wants every record once, with what there is to compare.
func (s *storeSuite) list(c *Point) {
	ctx, cancel := context.WithTimeout(s.ctx, 2*StoreLimit)
	defer cancel()
	seen := map[string]int{}
	err := s.second.List(ctx, func(h strategies.Head) error {
		if !strings.HasPrefix(h.Key, s.prefix) {
			return nil // others use the engine too
		}
		seen[h.Key]++
		want, ok := s.want[h.Key]
		head := want.Head()
		head.Revision = h.Revision
		if ok && h != head {
			c.add("%s is listed as %+v instead of %+v", h.Key, h, head)
		}
		return nil
	})
	if err != nil {
		c.add("list: %v", err)
	}
	for key, r := range s.want {
		if seen[key] != 1 {
			c.add("%s is listed %d times", at(r), seen[key])
		}
	}
	if seen[s.promised]+seen[s.prefix+"over"] > 0 {
		c.add("a promise without a record is listed, or a record that is over")
	}
	if err := s.second.List(ctx, func(strategies.Head) error { return errEnough }); !errors.Is(err, errEnough) {
		c.add("a list that is ended by its reader answers %v", err)
	}
	c.Says = fmt.Sprintf("%d records", len(seen))
}
