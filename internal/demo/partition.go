package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/bench/failover"
	"github.com/quorate/quorate/internal/mcpnode"
)

// formTime bounds the time until a new control group has begun and every gateway may write.
const formTime = 30 * time.Second

// awaitGates waits until every region may write and keeps sessions: agents that begin before would be refused, or be
// given sessions that no other gateway can go on with.
func (w *world) awaitGates(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, formTime)
	defer cancel()
	for _, region := range w.regions {
		g := w.gateways[region]
		if err := errors.Join(g.AwaitWritable(ctx), g.AwaitKept(ctx)); err != nil {
			return fmt.Errorf("%s: %w", region, err)
		}
	}
	return nil
}

// leaseOf is how long a region's gateway may go on writing once no voter hears it.
func (w *world) leaseOf(ctx context.Context, region string) (time.Duration, error) {
	c, err := w.gateways[region].Cluster(ctx)
	return time.Duration(c.Rule.PromiseMS * float64(time.Millisecond)), err
}

// cut takes both links of a region away.
func (w *world) cut(region string) {
	w.links.cut(region)
	w.partitions = append(w.partitions, partition{region: region, began: monotonic(), lease: w.lease})
}

// heal ends a region's partition, if there is one.
func (w *world) heal(region string) error {
	for i := range w.partitions {
		if p := &w.partitions[i]; p.region == region && p.ended == 0 {
			p.ended = monotonic()
		}
	}
	return w.links.heal(region)
}

// partition is a time in which a region was cut off. Times are readings of the clock that the nodes' journals use.
type partition struct {
	region       string
	began, ended time.Duration
	lease        time.Duration // how long the region might go on writing
}

// last returns how long after the cut the last write was executed by a node of the region, before the heal; 0 if
// none was.
func (p partition) last(journal []mcpnode.Entry) (last time.Duration) {
	for _, e := range journal {
		at := time.Duration(e.Mono)
		if e.Phase == mcpnode.PhaseStart && strings.HasPrefix(e.Node, p.region+"-") && at > p.began && at < p.ended {
			last = max(last, at-p.began)
		}
	}
	return last
}

// partitions says when each region that was cut off wrote last, and returns what is wrong with that.
func (s *show) partitions(all []partition, journal []mcpnode.Entry) (wrong []string) {
	for _, p := range all {
		last := p.last(journal)
		said := fmt.Sprintf("%s was cut off for %s; its last write began %s after the cut, its gateway's lease was %s",
			p.region, round(p.ended-p.began), round(last), round(p.lease))
		s.sums = append(s.sums, said+".")
		if last > p.lease {
			wrong = append(wrong, said)
		}
	}
	return wrong
}

// refusals counts the writes that were refused during an act that has just ended. Only the region that the act shuts
// may refuse any.
func (s *show) refusals(a act, of map[string]failover.Writes) (all int64) {
	for _, region := range places() {
		n := of[region].Refused
		if all += n; n > 0 && region != a.shut {
			s.wrong = append(s.wrong, fmt.Sprintf("%s: %d writes of %s's agents were refused, though it is not cut off", a.name, n, region))
		}
	}
	return all
}

// late says whether writes were refused after a script that was played to its end.
func (s *show) late(res failover.Result, acts int) []string {
	n := res.Refused
	for _, r := range s.rows {
		n -= r.refused
	}
	if n <= 0 || len(s.rows) < acts {
		return nil
	}
	return []string{fmt.Sprintf("%d writes were refused after the last event", n)}
}

// monotonic is the machine's own clock, one for all of its processes.
func monotonic() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // it fails for clocks that do not exist
	return time.Duration(t.Nano())
}
