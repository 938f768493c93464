package doctor

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// place orders rows: by what they are about, then as the configuration lists it.
type place struct {
	subject subject
	first   int // such as the service
	second  int // such as the source of the service
	third   int // such as the resolver of the source
}

// subject is what a row is about, in the order of the table: a reader who repairs from above repairs causes.
type subject int

const (
	aboutConfig subject = iota
	aboutDisk
	aboutConsul
	aboutDatacenter
	aboutCatalog
	aboutDNS
	aboutService
	aboutNode
	aboutCertificate
	aboutPeer
	aboutStore
	aboutSecret
)

// row is a check that is made or under way.
type row struct {
	place
	check Check
	done  bool
}

// ledger collects rows while they are found out by several goroutines.
type ledger struct {
	work sync.WaitGroup

	mu     sync.Mutex
	rows   []*row
	closed bool // nobody reads any more
}

// begin adds a row that says nothing yet.
func (l *ledger) begin(at place, what, asked string) *entry {
	r := &row{place: at, check: Check{What: cell(what), Asked: cell(asked)}}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.rows = append(l.rows, r)
	}
	return &entry{l: l, row: r}
}

// entry is the one writer of a row.
type entry struct {
	l   *ledger
	row *row
}

// set says what the row came to, once.
func (e *entry) set(s Status, got, do string) {
	e.l.mu.Lock()
	defer e.l.mu.Unlock()
	if e.l.closed || e.row.done {
		return
	}
	e.row.done = true
	e.row.check.Status, e.row.check.Got, e.row.check.Do = s, cell(got), cell(do)
}

// drop takes the row away: others say what it was begun for.
func (e *entry) drop() {
	e.l.mu.Lock()
	defer e.l.mu.Unlock()
	e.l.rows = slices.DeleteFunc(e.l.rows, func(r *row) bool { return r == e.row })
}

// wait returns the rows in order when all work is done, or grace after ctx ends: then those that are still under way
// say so. What hangs is left to the end of the process.
func (l *ledger) wait(ctx context.Context, grace, timeout time.Duration) []Check {
	done := make(chan struct{})
	go func() { defer close(done); l.work.Wait() }()
	select {
	case <-done:
	case <-ctx.Done():
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	slices.SortStableFunc(l.rows, func(a, b *row) int {
		return cmp.Or(cmp.Compare(a.subject, b.subject), cmp.Compare(a.first, b.first), cmp.Compare(a.second, b.second),
			cmp.Compare(a.third, b.third), cmp.Compare(a.check.Asked, b.check.Asked))
	})
	checks := make([]Check, 0, len(l.rows))
	for _, r := range l.rows {
		if !r.done {
			r.check.Status, r.check.Got = Fail, "no answer within "+short(timeout)
			r.check.Do = "see whether it hangs; --timeout waits longer"
		}
		checks = append(checks, r.check)
	}
	return checks
}
