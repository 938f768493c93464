package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version and commit are set by a release build:
// go build -ldflags "-X main.version=v1.2.3 -X main.commit=0123abc". Otherwise they are what the Go
// tool stamped.
var version, commit string

// newVersionCommand is quorate version.
func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintln(cmd.OutOrStdout(), versionLine())
			return nil
		},
	}
}

// versionLine is "quorate VERSION (goX.Y.Z, commit HASH)".
func versionLine() string {
	v, c := build()
	return fmt.Sprintf("quorate %s (%s, commit %s)", v, runtime.Version(), c)
}

// build returns this binary's version and commit, "devel" and "unknown" when nobody said.
func build() (v, c string) {
	v, c = version, commit
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "(devel)" {
			v = cmp.Or(v, info.Main.Version)
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				c = cmp.Or(c, s.Value)
			}
		}
	}
	return cmp.Or(v, "devel"), cmp.Or(c, "unknown")
}
