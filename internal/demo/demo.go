// Package demo shows the gateway at work: three regions with real nodes behind real gateways on one
// machine, links between them as long as those between continents, and go-sdk agents that keep calling
// tools while nodes, a region and links fail. It must not know how the gateway works: it starts the same
// binary as anyone would and reads what any operator can.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/quorate/quorate/internal/bench/failover"
	"github.com/quorate/quorate/internal/child"
)

// ErrFailed says that the gateway did what the demo exists to show that it does not do; what that
// was has been printed.
var ErrFailed = errors.New("the demo failed")

// Config describes a demo.
type Config struct {
	Binary   string // the quorate binary: gateways and nodes are this program
	Out      io.Writer
	Terminal bool // redraw one block; else lines
	Width    int  // columns of the terminal, default 100
	Brief    bool // the same events without the time to watch them
	// Hold breaks nothing: sa-east runs beside the fleet, which goes on until ctx ends or 30 minutes are over. It is the
	// file that is made then, with what a shell needs to change the fleet, and removed at the end; "" plays the events.
	Hold string
	Seed uint64    // default from the clock; printed
	Log  io.Writer // also gets the output of all processes; nil: only the last of it is kept, for an error
}

// settleTime is how long the load goes on at the end: a duplicate would come late, and a subscription
// has to show that it still delivers.
const settleTime = 1500 * time.Millisecond

// Run runs the demo. It returns ErrFailed when a retry-safe call failed, a call that must not happen
// twice did, a session was lost, a subscription fell silent, a write was refused to a side that might write or
// executed by one that might not, or what the script waits for was not seen.
// When ctx ends, the script ends there and the verdict is about what was played.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Seed == 0 {
		cfg.Seed = uint64(time.Now().UnixNano())
	}
	if cfg.Hold != "" {
		remove, err := claim(cfg.Hold)
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		defer remove()
	}
	tail := new(child.Tail)
	log := io.Writer(tail)
	if cfg.Log != nil {
		log = io.MultiWriter(tail, cfg.Log)
	}
	err := run(ctx, cfg, log)
	if err != nil && !errors.Is(err, ErrFailed) {
		return fmt.Errorf("demo: %w\nlast output of the processes:\n%s", err, tail)
	}
	return err
}

func run(ctx context.Context, cfg Config, log io.Writer) error {
	dir, err := os.MkdirTemp("", "quorate-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := &screen{out: cfg.Out, terminal: cfg.Terminal, width: cfg.Width}
	acts := script(cfg.Brief)
	if cfg.Hold != "" {
		cfg.Brief, acts, out.quiet = true, script(true)[:1], quietHold
	}
	out.say("Starting %d regions with a gateway and 2 or 3 nodes each, and %d agents or more; seed %d.", len(cfg.regions()), agents(usEast).Total(), cfg.Seed)
	out.say("%s", timesOf(cfg.Brief))
	w, err := newWorld(ctx, cfg, dir, log)
	defer w.close()
	if err != nil {
		return err
	}
	s := &show{stage: w, out: out}
	if s.load, err = newLoad(w.doors, cfg.Seed); err != nil {
		return err
	}
	return s.run(ctx, w, acts, cfg.Hold)
}

// regions are those that run.
func (c Config) regions() []string {
	if c.Hold != "" {
		return places()
	}
	return founders()
}

func newLoad(doors map[string]*door, seed uint64) (*failover.Load, error) {
	var sites []failover.Site
	for _, region := range places() {
		if d := doors[region]; d != nil {
			sites = append(sites, failover.Site{Name: region, URL: d.url(), Agents: agents(region)})
		}
	}
	return failover.NewLoad(failover.LoadConfig{Sites: sites, Think: think, Seed: seed, Gated: true})
}

// run plays the script under load, holds if there is a file for it, stops everything and concludes.
func (s *show) run(ctx context.Context, w *world, script []act, hold string) error {
	s.began = time.Now()
	s.load.Start(ctx)
	err := s.play(ctx, script)
	if err == nil && hold != "" && ctx.Err() == nil {
		err = s.hold(ctx, w, hold)
	}
	after := context.WithoutCancel(ctx)
	if err == nil {
		err = w.restore(after) // a script that was broken off leaves things undone
	}
	if err == nil {
		err = s.settle(after)
	}
	s.load.Stop()
	retried, migrated, cerr := w.counters(after)
	stopErr := w.stop()
	if err != nil {
		return errors.Join(err, stopErr)
	}
	journal, err := w.journal()
	if err != nil {
		return err
	}
	res := s.load.Result(journal)
	res.FrontErr = errors.Join(cerr, stopErr)
	s.wrong = append(s.wrong, s.partitions(w.partitions, journal)...)
	return s.conclude(res, len(script), retried, migrated)
}

// settle waits until every region has its nodes again, or not for ever, and a moment more.
func (s *show) settle(ctx context.Context) error {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if err := s.watch(ctx, frame); err != nil {
			return err
		}
		if len(missing([]sight{up{usEast}, up{euWest}, up{apSouth}, gate{usEast, true}, gate{euWest, true}, gate{apSouth, true}}, s.now)) == 0 {
			break
		}
	}
	return s.watch(ctx, settleTime)
}

// counters adds the gateways' own figures.
func (w *world) counters(ctx context.Context) (retried, migrated int64, err error) {
	for _, g := range w.gateways {
		for metric, sum := range map[string]*int64{"quorate_retries_total": &retried, "quorate_sessions_migrated_total": &migrated} {
			samples, merr := g.Metrics(ctx, metric)
			err = errors.Join(err, merr)
			for _, one := range samples {
				*sum += int64(one.Value)
			}
		}
	}
	return retried, migrated, err
}

// conclude prints the table and the verdict.
func (s *show) conclude(res failover.Result, acts int, retried, migrated int64) error {
	s.out.table(s.rows, res, migrated, retried)
	if cut := s.told.Cut; cut > 0 {
		s.out.say("%d calls were under way in a gateway that was killed, and got no answer.", cut)
	}
	for _, line := range s.sums {
		s.out.say("%s", line)
	}
	wrong := append(res.Violations(0), s.wrong...)
	wrong = append(wrong, s.late(res, acts)...)
	switch {
	case len(s.rows) < 2:
		wrong = append(wrong, "nothing was done to the regions, so nothing was shown")
	case len(s.rows) < acts:
		s.out.say("Broken off after %d of %d events.", len(s.rows), acts)
	}
	for _, w := range wrong {
		s.out.say("FAILED: %s", w)
	}
	for i := 0; len(wrong) > 0 && i < len(res.Samples); i++ {
		s.out.say("  call: %s", res.Samples[i])
	}
	if len(wrong) > 0 {
		return ErrFailed
	}
	s.out.say("OK: no retry-safe call failed, nothing ran twice, no session was lost, and no side wrote that might not.")
	return nil
}
