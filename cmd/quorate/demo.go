package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/demo"
)

// onceDuration and oncePause shape demo --once: long enough for some twenty kills.
const (
	onceDuration = 20 * time.Second
	oncePause    = 600 * time.Millisecond
)

// newDemoCommand is quorate demo: nodes, a gateway and agents on loopback, with kills.
func newDemoCommand() *cobra.Command {
	var once bool
	var cfg demo.Config
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Kill MCP nodes behind a gateway and watch the agents not notice",
		Long: "Demo starts three MCP servers, a gateway and agents of both protocol eras on loopback, then kills\n" +
			"and restarts the servers for a minute, or until Ctrl-C. It ends with a table, and with exit code 1 if a retry-safe\n" +
			"call failed, a call that must not happen twice did, or a session was lost.",
	}
	cmd.Flags().BoolVar(&once, "once", false, "run for 20 seconds, then exit")
	cmd.Flags().DurationVar(&cfg.For, "for", time.Minute, "run for this `duration`, then exit; 0 means until Ctrl-C")
	cmd.Flags().Uint64Var(&cfg.Seed, "seed", 0, "seed of the order of kills; 0 means one from the clock")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if once {
			cfg.For, cfg.Pause = onceDuration, oncePause
		}
		return runDemo(cmd, cfg)
	}
	return cmd
}

func runDemo(cmd *cobra.Command, cfg demo.Config) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	cfg.Binary, cfg.Out = self, cmd.OutOrStdout()
	if f, ok := cfg.Out.(*os.File); ok {
		cfg.Width, cfg.Terminal = demo.Terminal(f)
	}
	err = demo.Run(cmd.Context(), cfg)
	if errors.Is(err, demo.ErrFailed) {
		return exitCode(exitFailure)
	}
	return err
}
