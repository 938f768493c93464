package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// newCheckCommand is quorate check: every problem of a configuration, on standard output, one a line.
func newCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "check --config FILE",
		DisableFlagsInUseLine: true,
		Short:                 "Check a configuration and print every problem in it",
		Long: "Check reads the file and the QUORATE_* environment as serve does, and the certificates and token\n" +
			"they name. It prints one line per problem, FILE:LINE: KEY: problem; write ..., and exits with 2 if\n" +
			"there is any. It opens no listener and talks to no node. For a control group it also prints which\n" +
			"writes the loss of each voter leaves.",
	}
	path := addConfigFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := loadConfig(*path)
		if err != nil {
			fmt.Fprintln(cmd.OutOrStdout(), err)
			return exitCode(exitUsage)
		}
		fmt.Fprintln(cmd.OutOrStdout(), *path+": ok")
		printLosses(cmd.OutOrStdout(), cfg)
		return nil
	}
	return cmd
}
