package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/edge"
)

// newRejoinCommand is quorate rejoin: a gateway gives up its place in the control group, to take another.
func newRejoinCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "rejoin --config FILE",
		DisableFlagsInUseLine: true,
		Short:                 "Have a stopped gateway return to the control group as a new member",
		Long: "Rejoin sets aside what a gateway knows of its control group, so that it joins as a new member when it is\n" +
			"started again: for one that the fleet refuses because the group was forced without it, or whose state\n" +
			"differs from the others'. It is refused while the gateway runs. Nothing is deleted: the store stays beside\n" +
			"the new one, under another name. Never run it on so many voters at once that the rest cannot write.",
	}
	path := addConfigFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := config.Load(*path, os.Environ())
		if err != nil {
			return err
		}
		if !cfg.Controlled() {
			return fmt.Errorf("%s has no control section: a fleet of one has nobody to return to, and would lose its run-time settings", *path)
		}
		aside, err := control.SetAside(edge.ControlDir(cfg))
		if errors.Is(err, syscall.EWOULDBLOCK) { // the lock's
			return fmt.Errorf("%s runs: stop it first", cfg.Name)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s returns as a new member when it is started; its store is now %s\n", cfg.Name, aside)
		return nil
	}
	return cmd
}
