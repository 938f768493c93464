package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/plugins/plugintest"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/builtin"
)

// newStrategyCommand is quorate strategy: the built-in strategies as the plugins that they are, and the contract suite.
func newStrategyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "strategy",
		Short: "Test a strategy of your own; run a built-in one",
		Long: "Split-brain strategies decide which side of a partition may write, replication strategies where the contents of\n" +
			"sessions are kept. They are programs of their own: a gateway starts them and asks them. strategy check tests one\n" +
			"against the contract. The other commands are the built-in ones; a gateway runs them, and started by hand they\n" +
			"say so and end.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr())
			_ = cmd.Help()
			return exitCode(exitUsage)
		},
	}
	cmd.AddCommand(newStrategyCheckCommand())
	for _, b := range builtin.All() {
		cmd.AddCommand(serving(b.Name, b.Short, func() { plugins.Serve(b.Rule) }))
	}
	for _, b := range builtin.Replications() {
		cmd.AddCommand(serving(b.Name, b.Short, func() { plugins.ServeReplication(b.Plan) }))
	}
	return cmd
}

// serving is the command of a built-in strategy.
func serving(name, short string, serve func()) *cobra.Command {
	return &cobra.Command{
		Use:   name,
		Short: short,
		RunE: func(*cobra.Command, []string) error {
			serve()
			return nil
		},
	}
}

func newStrategyCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [--replication [--settings JSON]] [--option NAME=VALUE]... PROGRAM [ARGUMENT]...",
		Short: "Test a strategy against the contract and explain every failure",
		Long: "Check starts PROGRAM as a gateway would, asks it about rosters of many shapes and proves its rules: for one\n" +
			"that two sides of a partition could both satisfy it names both sides. A replication strategy is asked for plans;\n" +
			"one that is a store is written to, under keys of the run's own that end within minutes, by two processes at\n" +
			"once, and killed. It exits with 0 if the strategy can be used and with 1 if it cannot, and prints the\n" +
			"configuration for one that can.",
		Example: "  quorate strategy check ./my-plugin\n" +
			"  quorate strategy check --option master=gw-1 quorate strategy configured_master\n" +
			"  quorate strategy check --replication --settings '{\"folder\": \"/srv/sessions\"}' ./my-store",
		DisableFlagsInUseLine: true,
		Args:                  cobra.MinimumNArgs(1),
	}
	options := cmd.Flags().StringToString("option", nil, "an option of the strategy, `NAME=VALUE`; may be repeated")
	replication := cmd.Flags().Bool("replication", false, "PROGRAM is a replication strategy")
	told := cmd.Flags().String("settings", "", "the settings of a replication strategy, a `JSON` object")
	cmd.Flags().SetInterspersed(false) // what follows PROGRAM is the program's
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in := strategies.Input{Roster: plugintest.Cases(nil)[0].Input.Roster, Options: *options}
		if err := in.Validate(); err != nil {
			return usage(cmd, err)
		}
		cfg, err := pluginConfig(args, cmd.ErrOrStderr())
		if err != nil {
			return usage(cmd, err)
		}
		if *replication {
			if *told != "" && json.Unmarshal([]byte(*told), &map[string]any{}) != nil {
				return usage(cmd, fmt.Errorf("settings %q are no JSON object", *told))
			}
			cfg.Told = plugintest.Told(*told)
			return checkReplication(cmd.Context(), cmd.OutOrStdout(), cfg, *options)
		}
		return checkStrategy(cmd.Context(), cmd.OutOrStdout(), cfg, *options)
	}
	return cmd
}

// usage prints an error of the command line that cobra could not see.
func usage(cmd *cobra.Command, err error) error {
	fmt.Fprintf(cmd.ErrOrStderr(), "quorate: %v; see quorate strategy check --help\n", err)
	return exitCode(exitUsage)
}

// pluginConfig finds the program as a shell would.
func pluginConfig(args []string, log io.Writer) (host.Config, error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return host.Config{}, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return host.Config{}, err
	}
	sum, err := host.Checksum(path)
	if err != nil {
		return host.Config{}, err
	}
	return host.Config{
		Name: filepath.Base(path), Path: path, Args: args[1:], SHA256: sum,
		Decide: 40 * plugintest.Limit, // the suite judges time itself
		Log:    slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}, nil
}

// checkStrategy runs the suite and prints what comes of it.
func checkStrategy(ctx context.Context, out io.Writer, cfg host.Config, options map[string]string) error {
	fmt.Fprintf(out, "%s, SHA-256 %s\n", cfg.Path, cfg.SHA256)
	began := time.Now()
	report := plugintest.Check(ctx, plugintest.Config{
		Options: options,
		Start: func(ctx context.Context) (plugintest.Decider, func(), error) {
			p, err := host.Launch(ctx, cfg)
			if err != nil {
				return nil, nil, err
			}
			return p, p.Close, nil
		},
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	report.Print(out)
	if report.Failed() {
		fmt.Fprintln(out, "the strategy breaks the contract: a gateway would keep the rule it has")
		return exitCode(exitFailure)
	}
	fmt.Fprintf(out, "the strategy keeps the contract (%d rosters in %s); to use it:\n\n", len(report.Results), time.Since(began).Round(time.Millisecond))
	printSettings(out, "split_brain", cfg, options)
	return nil
}

// checkReplication runs the suite for replication strategies and prints what comes of it.
func checkReplication(ctx context.Context, out io.Writer, cfg host.Config, options map[string]string) error {
	fmt.Fprintf(out, "%s, SHA-256 %s\n", cfg.Path, cfg.SHA256)
	began := time.Now()
	report := plugintest.CheckReplication(ctx, plugintest.ReplicationConfig{
		Options: options,
		Start: func(ctx context.Context) (strategies.Replication, func(), error) {
			p, err := host.LaunchReplication(ctx, cfg)
			if err != nil {
				return nil, nil, err
			}
			return plugintest.As(p, p.Stores), p.Close, nil
		},
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	report.Print(out)
	if report.Failed() {
		fmt.Fprintln(out, "the strategy breaks the contract: a gateway would keep the plan it has")
		return exitCode(exitFailure)
	}
	what := "a replication strategy"
	if report.Stores {
		what = "a replication strategy and a store"
	}
	fmt.Fprintf(out, "it keeps the contract of %s (%d points in %s); to use it:\n\n", what, len(report.Points), time.Since(began).Round(time.Millisecond))
	printSettings(out, "replication", cfg, options)
	return nil
}

// printSettings prints what goes into the configuration file. JSON is YAML.
func printSettings(out io.Writer, section string, cfg host.Config, options map[string]string) {
	plugin := map[string]any{"path": cfg.Path, "sha256": cfg.SHA256}
	if len(cfg.Args) > 0 {
		plugin["args"] = cfg.Args
	}
	if cfg.Told.JSON != "" {
		plugin["settings"] = json.RawMessage(cfg.Told.JSON)
	}
	settings := map[string]any{"strategy": cfg.Name, "plugin": plugin}
	if len(options) > 0 {
		settings["options"] = options
	}
	fmt.Fprintln(out, section+":")
	for _, name := range []string{"strategy", "options", "plugin"} {
		if value, ok := settings[name]; ok {
			text, _ := json.Marshal(value) // strings always encode
			fmt.Fprintf(out, "  %s: %s\n", name, text)
		}
	}
}
