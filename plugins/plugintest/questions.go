package plugintest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	tries      = 5 // a decision that is late each time is too slow; once may be the machine
	patience   = 20 * Limit
	concurrent = 8 // decisions at the same time
)

// questions ask a strategy one thing in every way in which the answer has to be the same.
type questions[A fmt.Stringer] struct {
	ctx context.Context
	// ask takes one answer, of the second process, for the roster turned around.
	ask      func(ctx context.Context, second, turned bool) (A, error)
	explain  func(error) string
	took     time.Duration // the quickest answer
	late     bool
	problems []string
}

func (q *questions[A]) add(format string, args ...any) {
	q.problems = append(q.problems, fmt.Sprintf(format, args...))
}

// run returns the first answer; there are problems where it is none.
func (q *questions[A]) run() A {
	want, ok := q.timed()
	if !ok {
		return want
	}
	q.compare(want, false, false, "asked again")
	q.compare(want, false, true, "for the same roster in another order")
	q.compare(want, true, false, "from a second process")
	q.atOnce(want)
	return want
}

// timed takes the first answer, and how long the quickest took.
func (q *questions[A]) timed() (a A, ok bool) {
	for i := 0; i < tries; i++ {
		var err error
		began := time.Now()
		a, err = q.once(false, false)
		if took := time.Since(began); i == 0 || took < q.took {
			q.took = took
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			q.add("%s", q.explain(err))
			return a, false
		}
		if err == nil && q.took <= Limit {
			return a, true
		}
		if err != nil {
			i += 2 // it took all the patience there is: two such tries are enough
		}
	}
	q.late = true
	q.add("it takes more than %s, the quickest of several tries %s; a late decision is ignored: answer from memory alone", Limit, q.took.Round(time.Millisecond))
	return a, false
}

// once takes one answer. It waits somewhat longer than a gateway would.
func (q *questions[A]) once(second, turned bool) (A, error) {
	ctx, cancel := context.WithTimeout(q.ctx, patience)
	defer cancel()
	return q.ask(ctx, second, turned)
}

// compare asks once more and wants the same answer.
func (q *questions[A]) compare(want A, second, turned bool, how string) {
	got, err := q.once(second, turned)
	switch {
	case err != nil:
		q.add("%s: %s", how, q.explain(err))
	case got.String() != want.String():
		q.add("%s it answers %v instead of %v; the answer must follow from the roster and the options alone, whatever their order, without clocks, chance or memory: any gateway may be the one that asks", how, got, want)
	}
}

// atOnce asks several times at the same time.
func (q *questions[A]) atOnce(want A) {
	results := make(chan error, concurrent)
	for range concurrent {
		go func() {
			a, err := q.once(false, false)
			if err == nil && a.String() != want.String() {
				err = fmt.Errorf("%v instead of %v", a, want)
			}
			results <- err
		}()
	}
	bad := error(nil)
	for range concurrent {
		if err := <-results; err != nil {
			bad = err
		}
	}
	if bad != nil {
		q.add("asked %d times at once: %s", concurrent, q.explain(bad))
	}
}
