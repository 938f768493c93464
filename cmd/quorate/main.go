// Command quorate is the gateway's one binary. It wires packages together and turns their errors
// into exit codes: 0 good, 1 a failure at run time, 2 wrong usage or configuration. It must not
// hold any logic of the gateway itself.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line. The context that commands see ends at the first SIGINT or
// SIGTERM; a second one ends the process at once.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	code, text := outcome(err)
	if text != "" {
		fmt.Fprintln(stderr, text)
	}
	return code
}
