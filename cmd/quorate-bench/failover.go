package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/bench/failover"
)

var errFailover = errors.New("failover: Quorate is outside its limits, or the control is not")

// newFailoverCommand kills nodes behind HAProxy, Quorate and Quorate without retries.
func newFailoverCommand() *cobra.Command {
	var (
		quorate string
		faults  []string
		verbose bool
		cfg     failover.BenchConfig
	)
	cmd := &cobra.Command{
		Use:   "failover",
		Short: "Kill nodes behind HAProxy, Quorate and Quorate without retries, and judge what agents notice",
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, f := range faults {
				cfg.Faults = append(cfg.Faults, failover.Fault(f))
			}
			if verbose {
				cfg.Log = cmd.ErrOrStderr()
			}
			return runFailover(cmd.Context(), quorate, cfg, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&quorate, "quorate", "", "the quorate binary (default: built from this module)")
	f.IntVar(&cfg.Kills, "kills", 200, "faults per kind of fault and system")
	f.Uint64Var(&cfg.Seed, "seed", 0, "seed of faults and load; 0 means one from the clock")
	f.StringSliceVar(&cfg.Systems, "system", failover.Systems(), "systems to run")
	f.StringSliceVar(&faults, "fault", []string{string(failover.SIGKILL), string(failover.BlackHole)}, "kinds of fault")
	f.BoolVar(&verbose, "verbose", false, "show the output of the gateway and the nodes")
	return cmd
}

func runFailover(ctx context.Context, quorate string, cfg failover.BenchConfig, out io.Writer) error {
	dir, err := os.MkdirTemp("", "quorate-bench-")
	if err != nil {
		return fmt.Errorf("failover: %w", err)
	}
	defer os.RemoveAll(dir)
	if cfg.Binary, err = binary(ctx, dir, quorate); err != nil {
		return err
	}
	pass, err := failover.Bench(ctx, cfg, out)
	if err == nil && !pass {
		err = errFailover
	}
	return err
}
