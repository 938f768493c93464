package authority_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/mcpnode"
)

// monotonic is the clock of the journals.
func monotonic() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // it fails for clocks that do not exist
	return time.Duration(t.Nano())
}

// load is agents that write and read through members until it is ended.
type load struct {
	f    *fleet
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	writes []*answer
	reads  []*answer
}

// pause is how long an agent rests between two calls: the machine is small.
const pause = 10 * time.Millisecond

// begin has each member written to and read from by some agents; work is how long a call takes, in milliseconds.
func (f *fleet) begin(agents, work int, members ...*member) *load {
	ctx, stop := context.WithCancel(context.WithoutCancel(f.t.Context()))
	l := &load{f: f, stop: stop}
	for _, m := range members {
		for range agents {
			l.done.Go(func() { l.agent(ctx, m, mcpnode.ToolCharge, fmt.Sprintf(`,"work_ms":%d`, work), &l.writes) })
		}
		l.done.Go(func() { l.agent(ctx, m, mcpnode.ToolLookup, `,"key":"k"`, &l.reads) })
	}
	f.t.Cleanup(l.end)
	return l
}

func (l *load) agent(ctx context.Context, m *member, tool, more string, into *[]*answer) {
	client := agentClient()
	defer client.CloseIdleConnections()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// A call that has begun is waited for: what became of it is what is judged.
		a := m.call(context.WithoutCancel(ctx), client, tool, rand.Text(), more)
		l.mu.Lock()
		*into = append(*into, a)
		l.mu.Unlock()
	}
}

// end waits for every answer.
func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// good counts writes that were answered as done, after a time.
func (l *load) good(after time.Duration) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.writes {
		if a.good() && a.sent > after {
			n++
		}
	}
	return n
}

// bad returns some of the answers that are no success.
func bad(all []*answer) (some []string) {
	for _, a := range all {
		if !a.good() && len(some) < 8 {
			some = append(some, fmt.Sprintf("%s via %s, sent %s", a, a.via.name, a.sent))
		}
	}
	return some
}

// count sorts answers.
func count(all []*answer) (good, refused, failed int) {
	for _, a := range all {
		switch {
		case a.good():
			good++
		case a.refused(), a.status == http.StatusServiceUnavailable:
			refused++
		default:
			failed++
		}
	}
	return good, refused, failed
}
