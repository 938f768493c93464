package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/quorate/quorate/internal/chaos"
	"github.com/quorate/quorate/internal/chaos/history"
	chaospage "github.com/quorate/quorate/internal/chaos/report"
	"github.com/quorate/quorate/internal/chaos/schedule"
	"github.com/quorate/quorate/internal/testnet"
)

// chaosFlags are what both commands of chaos have.
type chaosFlags struct {
	campaign chaos.Campaign
	quorate  string
	only     []string
}

// oldBinary is the variable that names the older binary.
const oldBinary = "QUORATE_OLD_BINARY"

func (c *chaosFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.quorate, "quorate", "", "the quorate binary (default: built from this module)")
	f.StringVar(&c.campaign.Old, "old", os.Getenv(oldBinary), "the older binary that a rolling upgrade begins with ("+oldBinary+")")
	f.StringVar(&c.campaign.Dir, "dir", filepath.Join("bin", "chaos"), "state, reports, and what failed runs leave")
	f.StringSliceVar(&c.only, "only", nil, "names of the only runs to make")
	f.BoolVar(&c.campaign.Keep, "keep", false, "keep what runs leave that passed, too")
	f.BoolVar(&c.campaign.Verbose, "verbose", false, "print the whole page of every run")
	f.BoolVar(&c.campaign.Lawless, "lawless", false, "gateways without authority: the control, which must fail")
	f.StringVar(&c.campaign.Sessions, "sessions", "", "how the gateways keep sessions, quorum or async, whose agents are looked at (default: as the seed has it, in half of the runs)")
	f.DurationVar(&c.campaign.Lease, "lease", chaos.Lease, "split_brain.lease of the gateways; 0 is auto")
	f.DurationVar(&c.campaign.Slack, "slack", 150*time.Millisecond, "what the machine may add between a gate and a journal")
	f.DurationVar(&c.campaign.Think, "think", 25*time.Millisecond, "an agent's pause between two calls")
}

// chaosRuns are the flags of seeded runs.
type chaosRuns struct {
	chaosFlags
	runs      int
	seed      uint64
	options   schedule.Options
	short     bool
	kinds     []string
	scenarios []string
}

// newChaosCommand makes fleets of real gateways in network namespaces go through seeded faults.
func newChaosCommand() *cobra.Command {
	c := chaosRuns{options: schedule.Long()}
	cmd := &cobra.Command{
		Use:   "chaos",
		Short: "Make fleets go through seeded faults, and judge their journals (Linux, root)",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if c.campaign.Units, err = c.units(cmd); err != nil {
				return err
			}
			return c.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	c.add(cmd)
	f := cmd.Flags()
	f.IntVar(&c.runs, "runs", 20, "schedules")
	f.Uint64Var(&c.seed, "seed", 0, "seed of the first one; 0 means one from the clock")
	f.BoolVar(&c.short, "short", false, "short schedules of three gateways, whatever else is said of their length")
	f.IntVar(&c.options.Episodes, "episodes", c.options.Episodes, "of a schedule, 1..100")
	f.IntVar(&c.options.Most, "gateways", c.options.Most, "at most, 3..9")
	f.DurationVar(&c.options.MinHold, "min-hold", c.options.MinHold, "the shortest episode, from 1 s")
	f.DurationVar(&c.options.MaxHold, "max-hold", c.options.MaxHold, "the longest episode")
	f.StringSliceVar(&c.kinds, "kind", names(c.options.Kinds), "kinds of faults")
	f.StringSliceVar(&c.scenarios, "scenario", nil, "instead of seeds: "+strings.Join(slices.Sorted(maps.Keys(schedule.Scenarios())), ", "))
	return cmd
}

// units are the runs that the flags ask for.
func (c *chaosRuns) units(cmd *cobra.Command) ([]chaos.Unit, error) {
	if len(c.scenarios) > 0 {
		return chaos.Scenarios(c.scenarios, given(cmd, "scenario"))
	}
	if c.short {
		c.options = schedule.Short()
	}
	if c.campaign.Sessions != "" {
		c.options.Sessions = []string{c.campaign.Sessions}
	}
	c.options.Kinds = nil
	for _, k := range c.kinds {
		c.options.Kinds = append(c.options.Kinds, schedule.Kind(k))
	}
	if err := c.options.Check(); err != nil {
		return nil, err
	}
	if c.seed == 0 {
		c.seed = uint64(time.Now().Unix())
	}
	fmt.Fprintf(cmd.OutOrStdout(), "chaos: %d runs from seed %d; to go on after a break: make chaos RUNS=%d SEED=%d\n", c.runs, c.seed, c.runs, c.seed)
	return chaos.Seeded(c.seed, c.runs, c.options, given(cmd, "runs", "seed")), nil
}

// given are the flags that change what a run is, as they were given: they belong to the command that repeats it.
func given(cmd *cobra.Command, but ...string) string {
	but = append(but, "only", "dir", "verbose", "keep", "quorate")
	var all []string
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if !slices.Contains(but, f.Name) {
			all = append(all, "--"+f.Name+"="+strings.Trim(f.Value.String(), "[]"))
		}
	})
	return strings.Join(all, " ")
}

func names(kinds []schedule.Kind) (all []string) {
	for _, k := range kinds {
		all = append(all, string(k))
	}
	return all
}

// newChaosExhaustiveCommand goes through every split and every directed cut.
func newChaosExhaustiveCommand() *cobra.Command {
	var (
		c          chaosFlags
		sizes      []int
		strategies []string
		hold       time.Duration
	)
	cmd := &cobra.Command{
		Use:   "chaos-exhaustive",
		Short: "Make fleets go through every split and every directed cut, and judge their journals (Linux, root)",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.campaign.Units = chaos.Exhaustive(sizes, strategies, hold, given(cmd))
			return c.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	c.add(cmd)
	f := cmd.Flags()
	f.IntSliceVar(&sizes, "gateways", []int{3, 5}, "sizes of fleets")
	f.StringSliceVar(&strategies, "strategy", schedule.Strategies(), "strategies")
	f.DurationVar(&hold, "hold", 3*time.Second, "how long each case is held")
	return cmd
}

// newChaosJudgeCommand judges what a run has left once more.
func newChaosJudgeCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "chaos-judge",
		Short: "Judge the history that a chaos run left",
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := chaos.Load(dir)
			if err != nil {
				return err
			}
			v, err := history.Judge(h)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), chaospage.Text(h, v))
			if len(v.Violations) > 0 {
				return chaos.ErrFailed
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the run's folder")
	return cmd
}

func (c *chaosFlags) run(ctx context.Context, out io.Writer) error {
	if s := c.campaign.Sessions; s != "" && s != history.Quorum && s != history.Async {
		return fmt.Errorf("chaos: --sessions %q: write %s or %s", s, history.Quorum, history.Async)
	}
	if err := testnet.Available(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "quorate-chaos-")
	if err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	if err := os.Unsetenv(oldBinary); err != nil { // gateways refuse variables that they do not know
		return fmt.Errorf("chaos: %w", err)
	}
	defer os.RemoveAll(dir)
	if c.campaign.Binary, err = binary(ctx, dir, c.quorate); err != nil {
		return err
	}
	if len(c.only) > 0 {
		c.campaign.Units = slices.DeleteFunc(c.campaign.Units, func(u chaos.Unit) bool { return !slices.Contains(c.only, u.Name) })
	}
	c.campaign.Out = out
	return c.campaign.Run(ctx)
}
