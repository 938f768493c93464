package gatewayproc

import (
	"context"
	"fmt"
	"os"
)

// Tests are a package's tests of the quorate command, which is built once for all of them.
type Tests struct {
	M      interface{ Run() int } // the *testing.M
	Binary *string                // gets the path of the command before the tests run
	Given  string                 // that path, where the command is there already; "": it is built, and removed afterwards
}

// Run returns what the tests return, or 1 without a command.
func (t Tests) Run() int {
	if *t.Binary = t.Given; t.Given != "" {
		return t.M.Run()
	}
	dir, err := os.MkdirTemp("", "quorate-tests-")
	if err == nil {
		defer os.RemoveAll(dir)
		*t.Binary, err = Build(context.Background(), dir, Package)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return t.M.Run()
}
