package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/internal/chaos/report"
	"github.com/quorate/quorate/internal/chaos/schedule"
)

// Unit is one run of a campaign.
type Unit struct {
	Name     string // unique in its campaign; also of its folder
	Schedule schedule.Schedule
	Repeat   string // the command that repeats it
}

// seedName begins the names of runs that a seed has drawn.
const seedName = "seed-"

// Seeded are runs of consecutive seeds. flags belong to the command that repeats one.
func Seeded(seed uint64, runs int, o schedule.Options, flags string) (all []Unit) {
	for i := range runs {
		s := schedule.Seeded(seed+uint64(i), o)
		all = append(all, Unit{Name: seedName + fmt.Sprint(s.Seed), Schedule: s, Repeat: again(fmt.Sprintf("make chaos RUNS=1 SEED=%d", s.Seed), flags)})
	}
	return all
}

// Scenarios are the schedules of these names.
func Scenarios(names []string, flags string) (all []Unit, err error) {
	known := schedule.Scenarios()
	for _, n := range names {
		s, ok := known[n]
		if !ok {
			return nil, fmt.Errorf("chaos: no scenario %q", n)
		}
		all = append(all, Unit{Name: n, Schedule: s, Repeat: again("make chaos", strings.TrimSpace("--scenario "+n+" "+flags))})
	}
	return all, nil
}

// again is a command of make with flags for what it runs.
func again(command, flags string) string {
	if flags == "" {
		return command
	}
	return command + " ARGS='" + flags + "'"
}

// perFleet is how many cases one fleet goes through before there is a new one.
const perFleet = 12

// Exhaustive are all cases of fleets of the given sizes under the given strategies, some at one fleet.
func Exhaustive(sizes []int, strategies []string, hold time.Duration, flags string) (all []Unit) {
	for _, n := range sizes {
		for _, strategy := range strategies {
			whole := schedule.Exhaustive(n, strategy, hold)
			for from := 0; from < len(whole.Episodes); from += perFleet {
				part := whole
				part.Episodes = whole.Episodes[from:min(from+perFleet, len(whole.Episodes))]
				name := fmt.Sprintf("%d-%s-%d", n, strategy, from/perFleet+1)
				all = append(all, Unit{Name: name, Schedule: part, Repeat: again("make chaos-exhaustive", strings.TrimSpace("--only "+name+" "+flags))})
			}
		}
	}
	return all
}

// Campaign is many runs, one after the other. One that was broken off goes on where it was.
type Campaign struct {
	Config
	Units   []Unit
	Dir     string // state, reports, and the folders of runs that failed
	Out     io.Writer
	Verbose bool // the page of every run, not of failed ones alone
	Keep    bool // the folders of runs that passed, too
}

// ErrFailed is returned by a campaign with a run that violated something or could not be made.
var ErrFailed = errors.New("chaos: not every run passed")

// Run makes what is not done yet and sums up everything.
func (c Campaign) Run(ctx context.Context) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	state, err := openState(c)
	if err != nil {
		return err
	}
	defer state.close()
	for i, u := range c.Units {
		if state.has(u) {
			continue
		}
		if ctx.Err() != nil {
			break
		}
		fmt.Fprintf(c.Out, "run %d of %d, %s\n", i+1, len(c.Units), u.Schedule)
		d := c.one(ctx, u)
		for again := 0; again < repeats && d.unsure() && ctx.Err() == nil; again++ {
			fmt.Fprintf(c.Out, "the machine was late by up to %s, so this says nothing of the fleet; once more\n", d.Figures.Noise)
			d = c.one(ctx, u)
		}
		if ctx.Err() != nil {
			break // half a run says nothing
		}
		if err := state.add(d); err != nil {
			return err
		}
	}
	return c.sum(ctx, state)
}

// repeats is how often a run is made again that says nothing for the machine's sake.
const repeats = 2

// most is the longest that one run may take.
func most(s schedule.Schedule) time.Duration {
	d := 2 * time.Minute
	for _, e := range s.Episodes {
		d += e.Hold + e.Rest + 2*converge
	}
	return d
}

// one makes and judges one run. Its folder stays only if it failed.
func (c Campaign) one(ctx context.Context, u Unit) outcome {
	ctx, cancel := context.WithTimeout(ctx, most(u.Schedule))
	defer cancel()
	dir := filepath.Join(c.Dir, u.Name)
	d := outcome{Name: u.Name, Schedule: u.Schedule.String()}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		d.Error = err.Error()
		return d
	}
	h, err := Run(ctx, c.Config, u.Schedule, dir)
	if h == nil {
		d.Error = err.Error()
		return d
	}
	v, unjudged := history.Judge(h)
	if err = errors.Join(err, unjudged); err != nil {
		d.Error = err.Error()
	}
	d.Violations, d.Figures, d.Slow = len(v.Violations), v.Figures, slow(err, v)
	if err := Write(dir, h, v); err != nil {
		d.Error += err.Error()
	}
	c.say(u, d, h, v, dir)
	return d
}

// slow reports whether all that is wrong with a run is that something took too long.
func slow(err error, v history.Verdict) bool {
	return (err == nil || errors.Is(err, ErrNotReady)) && !slices.ContainsFunc(v.Violations, func(x history.Violation) bool {
		return x.What != history.Converged && x.What != history.Available && x.What != history.Calm
	})
}

// Write leaves a run's page and picture in its folder.
func Write(dir string, h *history.History, v history.Verdict) error {
	return errors.Join(os.WriteFile(filepath.Join(dir, "report.txt"), []byte(report.Text(h, v)), 0o600),
		os.WriteFile(filepath.Join(dir, "timeline.svg"), []byte(report.Picture(h, v)), 0o600))
}

// say prints what came of a run, and how to repeat it if it failed.
func (c Campaign) say(u Unit, d outcome, h *history.History, v history.Verdict, dir string) {
	if d.passed() && !c.Verbose {
		fmt.Fprintf(c.Out, "%s\n%s%s", report.Line(h, v.Figures), report.Episodes(v.Figures.Handlings), report.Sessions(v.Figures.Sessions))
	} else {
		fmt.Fprint(c.Out, report.Text(h, v))
	}
	if !d.passed() {
		fmt.Fprintf(c.Out, "FAILED %s %s\n  kept: %s\n  again: %s\n", u.Name, d.Error, dir, u.Repeat)
		return
	}
	if c.Keep {
		return
	}
	if err := c.tidy(dir); err != nil {
		fmt.Fprintln(c.Out, err)
	}
}

// tidy moves the report and the picture of a run that passed to where the next one's come, and removes its folder.
func (c Campaign) tidy(dir string) error {
	return errors.Join(os.Rename(filepath.Join(dir, "report.txt"), filepath.Join(c.Dir, "last.txt")),
		os.Rename(filepath.Join(dir, "timeline.svg"), filepath.Join(c.Dir, "last.svg")), os.RemoveAll(dir))
}

// sum writes the one page about all runs.
func (c Campaign) sum(ctx context.Context, s *state) error {
	page, passed := s.page(c.Units)
	fmt.Fprint(c.Out, page)
	if err := os.WriteFile(filepath.Join(c.Dir, "report.txt"), []byte(page), 0o600); err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("chaos: broken off; the same command goes on where this one was: %w", err)
	}
	if !passed {
		return ErrFailed
	}
	return nil
}
