package chaos

import (
	"sync"
	"time"

	"github.com/quorate/quorate/internal/chaos/history"
)

// How the machine's lateness is measured.
const (
	napping    = 10 * time.Millisecond
	noticeable = 20 * time.Millisecond
)

// canary only sleeps, and notes when it is woken up late.
type canary struct {
	end  chan struct{}
	work sync.WaitGroup
	late []history.Noise
}

func startCanary(clock func() time.Duration) *canary {
	c := &canary{end: make(chan struct{})}
	c.work.Go(func() {
		nap := time.NewTimer(napping)
		defer nap.Stop()
		for slept := clock(); ; slept = clock() {
			select {
			case <-nap.C:
			case <-c.end:
				return
			}
			if now := clock(); now-slept-napping > noticeable {
				c.late = append(c.late, history.Noise{At: now, Late: now - slept - napping})
			}
			nap.Reset(napping)
		}
	})
	return c
}

// stop ends it and returns what it noted.
func (c *canary) stop() []history.Noise {
	close(c.end)
	c.work.Wait()
	return c.late
}
