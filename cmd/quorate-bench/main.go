// Command quorate-bench measures and checks Quorate as its developers do: the proxy bench, the failover
// bench and the official conformance suite. It must not hold what they measure, only their wiring.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes. A run that is invalid says nothing about Quorate: measure again on a quieter machine.
const (
	exitGood    = 0
	exitFailure = 1
	exitUsage   = 2
	exitInvalid = 3
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitGood
	}
	fmt.Fprintln(stderr, "quorate-bench:", err)
	var ran *runError
	if !errors.As(err, &ran) {
		return exitUsage
	}
	if errors.Is(err, errInvalid) {
		return exitInvalid
	}
	return exitFailure
}

// errInvalid marks a run whose figures mean nothing.
var errInvalid = errors.New("the run is invalid")

// newRootCommand builds the command tree; every command is in a file of its own.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "quorate-bench",
		Short:         "Measure and check Quorate",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	for _, cmd := range []*cobra.Command{
		newConformanceCommand(),
		newProxyCommand(),
		newLoadCommand(),
		newUpstreamCommand(),
		newReverseProxyCommand(),
		newFailoverCommand(),
		newChaosCommand(),
		newChaosExhaustiveCommand(),
		newChaosJudgeCommand(),
	} {
		adopt(cmd)
		root.AddCommand(cmd)
	}
	return root
}

// adopt marks the errors of a command's run, so that all others, which cobra makes, are of usage.
func adopt(cmd *cobra.Command) {
	cmd.Args = cobra.NoArgs
	inner := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := inner(cmd, args); err != nil {
			return &runError{err}
		}
		return nil
	}
}

// runError is an error that a command returned, as opposed to one of its command line.
type runError struct{ err error }

func (e *runError) Error() string { return e.err.Error() }
func (e *runError) Unwrap() error { return e.err }
