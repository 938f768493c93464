package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/bench/failover"
)

// frame is the time between two looks at the world.
const frame = 250 * time.Millisecond

// stage is what the script is played on.
type stage interface {
	// aim prepares a deed, so that doing it takes no time.
	aim(ctx context.Context, d deed) error
	// do does it and says what it was.
	do(ctx context.Context, d deed) (string, error)
	// ended is closed when the stage has broken down.
	ended() <-chan struct{}
	// look reads the regions; one that cannot be read stays as it was before.
	look(ctx context.Context, before map[string]edge) map[string]edge
}

// show plays the script and remembers what came of it.
type show struct {
	stage stage
	load  *failover.Load
	out   *screen
	began time.Time
	pace  pace
	now   view
	rows  []row
	told  failover.Figures // at the end of the last act
	led   bool             // sa-east's agents are led to their own edge
	wrong []string         // what had to be seen and was not, and what must not be and was
	sums  []string         // what the end tells besides the table
}

// row is one act in the table.
type row struct {
	name          string
	calls, failed int64
	refused       int64         // writes, by a closed gate
	wait          time.Duration // the longest that an agent waited for a safe answer
	took          time.Duration // from the last deed until everything was seen; 0 where nothing was done
	went          []route
}

// errGateway: a gateway is not among what is killed.
var errGateway = errors.New("a gateway ended by itself")

// play goes through the acts; a script that ctx ends early leaves the rest out.
func (s *show) play(ctx context.Context, script []act) error {
	for i, a := range script {
		s.out.act(i+1, len(script), a)
		err := s.act(ctx, a)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// act does what an act does and waits until it is seen.
func (s *show) act(ctx context.Context, a act) error {
	begun := time.Now()
	for _, d := range a.do {
		if err := s.stage.aim(ctx, d); err != nil {
			return err
		}
	}
	before, gap := s.load.Figures(), s.load.Watch()
	if err := s.do(ctx, a.do); err != nil {
		return err
	}
	s.load.Alarm()
	if len(a.then) > 0 {
		if err := s.watch(ctx, a.rest); err != nil {
			return err
		}
		if err := s.do(ctx, a.then); err != nil {
			return err
		}
	}
	took, err := s.await(ctx, a, begun)
	if err != nil || ctx.Err() != nil {
		return err // an act that was broken off has no row
	}
	r := s.row(a, before, gap)
	if len(a.do) > 0 {
		r.took = took
	}
	s.rows = append(s.rows, r)
	return nil
}

// row is what came of an act that has just ended.
func (s *show) row(a act, before failover.Figures, gap *failover.Outage) row {
	after := s.load.Figures()
	r := row{name: a.name, calls: after.Calls - before.Calls, failed: after.SafeLost - before.SafeLost, wait: gap.Wait(time.Now()),
		went: routes(before.Answers, after.Answers)}
	r.refused = s.refusals(a, writes(s.told, after))
	s.told = after
	return r
}

func (s *show) do(ctx context.Context, deeds []deed) error {
	for _, d := range deeds {
		if d.verb == crash {
			s.load.Break(d.at)
		}
		what, err := s.stage.do(ctx, d)
		if err != nil {
			return err
		}
		s.out.event(s.elapsed(), what)
	}
	return nil
}

// await looks until everything was seen and the act's time is over, and returns how long it took from now.
func (s *show) await(ctx context.Context, a act, begun time.Time) (took time.Duration, err error) {
	done := time.Now()
	for seen := false; ; {
		if err := s.watch(ctx, frame); err != nil || ctx.Err() != nil {
			return 0, err
		}
		lacks := missing(a.until, s.now)
		if len(lacks) == 0 && !seen {
			seen, took = true, time.Since(done)
		}
		s.out.waiting(lacks)
		if len(lacks) == 0 && time.Since(begun) >= a.least {
			return took, nil
		}
		if time.Since(done) >= a.most {
			s.wrong = append(s.wrong, fmt.Sprintf("%s: after %s it was not seen that %s", a.name, a.most, strings.Join(lacks, ", nor that ")))
			return time.Since(done), nil
		}
	}
}

// watch shows the world for a while.
func (s *show) watch(ctx context.Context, d time.Duration) error {
	tick := time.NewTicker(min(frame, max(d, time.Millisecond)))
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return nil
		case <-s.stage.ended():
			return errGateway
		case <-tick.C:
			s.look(ctx)
		}
	}
	return nil
}

func (s *show) look(ctx context.Context) {
	f := s.load.Figures()
	last := mark{s.elapsed(), f}
	first := s.pace.since(last.at, f)
	s.now = view{
		elapsed: last.at, figures: f, rates: rates(first, last), writes: writes(first.figures, f),
		edges: s.stage.look(ctx, s.now.edges),
	}
	s.out.show(s.now)
}

func (s *show) elapsed() time.Duration { return time.Since(s.began) }
