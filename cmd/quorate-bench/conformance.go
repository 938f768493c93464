package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/conformance"
	"github.com/quorate/quorate/internal/gatewayproc"
	"github.com/quorate/quorate/test/npm"
)

// newConformanceCommand runs the official suite direct and through the gateway.
func newConformanceCommand() *cobra.Command {
	var (
		quorate string
		pools   []int
		only    string
		verbose bool
	)
	cmd := &cobra.Command{
		Use:   "conformance",
		Short: "Run the official MCP conformance suite direct and through the gateway, and compare every check",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var log io.Writer
			if verbose {
				log = cmd.ErrOrStderr()
			}
			return runConformance(cmd.Context(), quorate, pools, only, cmd.OutOrStdout(), log)
		},
	}
	f := cmd.Flags()
	f.StringVar(&quorate, "quorate", "", "the quorate binary (default: built from this module)")
	f.IntSliceVar(&pools, "nodes", []int{1, 3}, "sizes of the pool behind the gateway")
	f.StringVar(&only, "row", "", "run only rows whose name contains this")
	f.BoolVar(&verbose, "verbose", false, "show the logs of the gateway and the nodes")
	return cmd
}

func runConformance(ctx context.Context, quorate string, pools []int, only string, out, log io.Writer) error {
	dir, err := os.MkdirTemp("", "quorate-bench-")
	if err != nil {
		return fmt.Errorf("conformance: %w", err)
	}
	defer os.RemoveAll(dir)
	cfg := conformance.Config{Pools: pools, Out: out, Log: log}
	for _, r := range conformance.Rows() {
		if strings.Contains(r.Name, only) {
			cfg.Rows = append(cfg.Rows, r)
		}
	}
	if cfg.Suite, err = suite(); err != nil {
		return err
	}
	if cfg.Backend, err = gatewayproc.Build(ctx, dir, conformance.Backend); err != nil {
		return err
	}
	if quorate, err = binary(ctx, dir, quorate); err != nil {
		return err
	}
	cfg.Front = conformance.Quorate(quorate, log)
	_, err = conformance.Run(ctx, cfg)
	return err
}

// suite finds the pinned npm packages.
func suite() (conformance.Suite, error) {
	dir, err := npm.Dir()
	if err != nil {
		return conformance.Suite{}, err
	}
	node, err := npm.Bin("node")
	return conformance.Suite{Node: node, Modules: filepath.Join(dir, "node_modules")}, err
}

// binary returns the quorate binary to run, building it when none is given.
func binary(ctx context.Context, dir, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	return gatewayproc.Build(ctx, dir, gatewayproc.Package)
}
