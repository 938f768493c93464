package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/config"
)

// Exit codes.
const (
	exitGood    = 0
	exitFailure = 1
	exitUsage   = 2
)

// newRootCommand builds the command tree. To add a command, write newXCommand() *cobra.Command in a
// file of its own and name it here. Its RunE returns config.Problems as they are, exitCode when it
// has already printed what is wrong, and any other error for a failure at run time.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "quorate",
		Short:         "A failover gateway for the Model Context Protocol",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          needsCommand,
	}
	for _, cmd := range []*cobra.Command{
		newServeCommand(),
		newCheckCommand(),
		newDoctorCommand(),
		newCACommand(),
		newAdminCommand(),
		newDemoCommand(),
		newRejoinCommand(),
		newStrategyCommand(),
		newNodeCommand(),
		newVersionCommand(),
	} {
		adopt(cmd)
		root.AddCommand(cmd)
	}
	return root
}

// needsCommand is the run of a command that only holds others. cobra's own would print help and end with 0, whatever
// was misspelt behind it, and a script would go on.
func needsCommand(cmd *cobra.Command, _ []string) error {
	cmd.SetOut(cmd.ErrOrStderr())
	_ = cmd.Help()
	return errors.New("a command is needed")
}

// adopt makes a command refuse stray arguments and marks the errors of its run, so that all others,
// which cobra makes, are known to be about usage.
func adopt(cmd *cobra.Command) {
	if cmd.Args == nil {
		cmd.Args = cobra.NoArgs
	}
	if inner := cmd.RunE; inner == nil {
		cmd.RunE = needsCommand
	} else {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := inner(cmd, args); err != nil {
				return &runError{err}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		adopt(sub)
	}
}

// runError is an error that a command returned, as opposed to one of its command line.
type runError struct{ err error }

func (e *runError) Error() string { return e.err.Error() }
func (e *runError) Unwrap() error { return e.err }

// exitCode is the error of a command that has printed what is wrong.
type exitCode int

func (exitCode) Error() string { return "failed" }

// outcome turns an error into the exit code and the text for standard error.
func outcome(err error) (int, string) {
	var (
		ran      *runError
		code     exitCode
		refused  *refusal
		problems config.Problems
	)
	switch {
	case err == nil:
		return exitGood, ""
	case errors.As(err, &code):
		return int(code), ""
	case errors.As(err, &problems):
		return exitUsage, problems.Error()
	case errors.As(err, &refused):
		return refused.exitCode(), "quorate: " + err.Error()
	case errors.As(err, &ran):
		return exitFailure, "quorate: " + err.Error()
	}
	return exitUsage, "quorate: " + err.Error() + "; see quorate --help"
}

// addConfigFlag gives a command the required flag --config and returns where its value will be.
func addConfigFlag(cmd *cobra.Command) *string {
	path := cmd.Flags().String("config", "", "the YAML configuration `file` (required)")
	if err := cmd.MarkFlagRequired("config"); err != nil {
		panic(err) // the flag was defined in the line above
	}
	return path
}

// loadConfig reads the configuration under this process's environment.
func loadConfig(path string) (*config.Config, error) { return config.Load(path, os.Environ()) }
