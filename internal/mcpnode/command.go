package mcpnode

import (
	"context"
	"flag"
	"fmt"
	"io"
)

// Command parses the arguments of the hidden command "quorate node" and runs the node.
func Command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg := Config{Stdout: stdout}
	f := flag.NewFlagSet("node", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&cfg.Name, "name", "node", "name in answers and in the journal")
	f.StringVar(&cfg.Listen, "listen", "127.0.0.1:0", "HOST:PORT")
	f.StringVar(&cfg.Era, "era", "both", "legacy, modern or both")
	f.BoolVar(&cfg.JSON, "json", false, "answer application/json instead of event streams")
	f.IntVar(&cfg.Workers, "workers", 0, "tool calls executing at once; 0 means no limit")
	f.StringVar(&cfg.Journal, "journal", "", "file of executed effects")
	f.StringVar(&cfg.Gauge, "gauge", "", "file with the number of calls in flight")
	f.BoolVar(&cfg.Fence, "fence", false, "refuse writes whose Quorate-Fence is lower than one seen before (409)")
	f.DurationVar(&cfg.Updates, "updates", 0, "interval of resource updates; 0 means only by the tool touch")
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("mcpnode: %w", err)
	}
	if f.NArg() > 0 {
		return fmt.Errorf("mcpnode: unexpected argument %q", f.Arg(0))
	}
	return Run(ctx, cfg)
}
