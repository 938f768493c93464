package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/demo"
)

// newDemoCommand is quorate demo: three regions on loopback, with failures.
func newDemoCommand() *cobra.Command {
	var cfg demo.Config
	var log string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Let nodes, a region and links fail between gateways and watch who goes on, and who may write",
		Long: "Demo starts three regions on loopback, us-east, eu-west and ap-south: in each MCP servers, a gateway and\n" +
			"agents of both protocol eras, with links between them as slow as between those places. In about a minute it\n" +
			"kills a node, takes all nodes of a region away, slows a link down, cuts a region off, and brings everything\n" +
			"back. A region that is cut off goes on reading and may not write. It ends with a table, and with exit code 1\n" +
			"if a retry-safe call failed, a call that must not happen twice did, a session was lost, a side wrote that\n" +
			"might not, or traffic did not go where it should. Ctrl-C ends it early.\n\n" +
			"With --hold nothing is broken: the regions go on, for 30 minutes at most, until Ctrl-C, and somebody else\n" +
			"changes the fleet. A fourth region, sa-east, runs beside it for them to add, with Terraform for example\n" +
			"(terraform/examples/three-regions). The table tells what that cost, and the exit code judges it as above.",
		Example: "  quorate demo --hold fleet.env     # and in another shell:  . ./fleet.env && terraform apply",
	}
	cmd.Flags().BoolVar(&cfg.Brief, "once", false, "the same events without the time to watch them: about half as long")
	cmd.Flags().StringVar(&cfg.Hold, "hold", "", "break nothing, and make `file` with what a shell needs to change the fleet: address and token of an admin listener, and sa-east's address; it is removed at the end")
	cmd.Flags().Uint64Var(&cfg.Seed, "seed", 0, "seed of what is killed and of the agents' pauses; 0 means one from the clock")
	cmd.Flags().StringVar(&log, "log", "", "write what gateways and nodes log to `file`")
	cmd.MarkFlagsMutuallyExclusive("once", "hold")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if log == "" {
			return runDemo(cmd, cfg)
		}
		file, err := os.Create(log)
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		cfg.Log = file
		return errors.Join(runDemo(cmd, cfg), file.Close())
	}
	return cmd
}

// forgetSettings drops this process's own variables: the gateways that it starts have what they need in their files, and
// a shell that has changed a demo's fleet is one for the next demo too.
func forgetSettings() error {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "QUORATE_") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func runDemo(cmd *cobra.Command, cfg demo.Config) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := forgetSettings(); err != nil {
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
