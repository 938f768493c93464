package main

import (
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/quorate/quorate/internal/config"
)

// TestMain makes the test binary the command line too: scripts run it as quorate, and as strategies that break the
// contract.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"quorate": main, "anyone": anyone, "sleeper": sleeper})
}

func TestScripts(t *testing.T) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("EXAMPLES", examples)
			env.Setenv("GOVERSION", runtime.Version())
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": exits},
	})
}

// exits CODE COMMAND... runs a command that must end with CODE, which exec alone cannot ask for.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	script := `code=0; "$@" >out 2>err || code=$?; echo $code >code`
	ts.Check(ts.Exec("sh", append([]string{"-c", script, "sh"}, args[1:]...)...))
	if got := strings.TrimSpace(ts.ReadFile("code")); got != args[0] {
		ts.Fatalf("%s: exit code %s, want %s\nstdout: %s\nstderr: %s", strings.Join(args[1:], " "), got, args[0], ts.ReadFile("out"), ts.ReadFile("err"))
	}
}

func TestExamplesAreGood(t *testing.T) {
	found := 0
	err := filepath.WalkDir("../../examples", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "quorate.yaml" {
			return err
		}
		found++
		_, err = config.Load(path, nil)
		return err
	})
	if err != nil || found == 0 {
		t.Errorf("%d examples: %v", found, err)
	}
}

func TestOutcome(t *testing.T) {
	tests := []struct {
		name string
		err  error
		code int
	}{
		{"none", nil, 0},
		{"usage", fs.ErrInvalid, 2},
		{"run time", &runError{fs.ErrNotExist}, 1},
		{"configuration", &runError{config.Problems{{Key: "a"}}}, 2},
		{"printed already", &runError{exitCode(exitUsage)}, 2},
		{"printed already, run time", &runError{exitCode(exitFailure)}, 1},
	}
	for _, tt := range tests {
		if code, _ := outcome(tt.err); code != tt.code {
			t.Errorf("%s: %d, want %d", tt.name, code, tt.code)
		}
	}
}
