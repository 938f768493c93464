package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/bench/proxy"
)

// newProxyCommand measures what proxies cost per request.
func newProxyCommand() *cobra.Command {
	cfg := proxy.Config{}
	verbose := false
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Measure HAProxy, a bare httputil.ReverseProxy and Quorate in turn",
		Long: `Measure HAProxy, a bare httputil.ReverseProxy and Quorate in turn: requests per second, latency and
processor time per request, as medians of rounds and as ratios. Every proxy runs on the same cores; the
load and the upstream share the others. Exit 1: Quorate missed the bar; 3: the rounds do not agree.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Out = cmd.OutOrStdout()
			if verbose {
				cfg.Log = cmd.ErrOrStderr()
			}
			return runProxy(cmd.Context(), cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Quorate, "quorate", "", "the quorate binary (default: built from this module)")
	f.StringVar(&cfg.HAProxy, "haproxy", "", "the haproxy binary (default: found on the PATH or in /usr/sbin)")
	f.StringVar(&cfg.ProxyCPUs, "proxy-cpus", "0", "cores of the proxies, as taskset writes them")
	f.StringVar(&cfg.OtherCPUs, "other-cpus", "", "cores of the load and the upstream (default: all but the first)")
	f.IntVar(&cfg.Connections, "connections", 32, "keep-alive connections of the load")
	f.IntVar(&cfg.Rounds, "rounds", 3, "rounds")
	f.IntVar(&cfg.Slices, "slices", 5, "turns of every proxy in a round")
	f.DurationVar(&cfg.For, "for", 1200*time.Millisecond, "length of one slice")
	f.DurationVar(&cfg.Warm, "warm", 300*time.Millisecond, "load before each slice")
	f.IntVar(&cfg.Sessions, "sessions", 5000, "idle legacy sessions of the memory figure; 0 leaves it out")
	f.IntVar(&cfg.Streams, "streams", 1000, "open SSE streams of the memory figure; 0 leaves it out")
	f.StringVar(&cfg.Profile, "cpuprofile", "", "write a processor profile of Quorate under this load to a file")
	f.BoolVar(&verbose, "verbose", false, "show the logs of the processes")
	return cmd
}

func runProxy(ctx context.Context, cfg proxy.Config) error {
	if cfg.OtherCPUs == "" {
		if runtime.NumCPU() < 2 {
			return errors.New("proxy: the bench needs two cores or --other-cpus")
		}
		cfg.OtherCPUs = "1-" + strconv.Itoa(runtime.NumCPU()-1)
	}
	dir, err := os.MkdirTemp("", "quorate-bench-")
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	defer os.RemoveAll(dir)
	if cfg.Self, err = os.Executable(); err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	if cfg.Quorate, err = binary(ctx, dir, cfg.Quorate); err != nil {
		return err
	}
	if cfg.HAProxy == "" {
		if cfg.HAProxy, err = findHAProxy(); err != nil {
			return err
		}
	}
	setting(ctx, cfg)
	err = proxy.Run(ctx, cfg)
	if errors.Is(err, proxy.ErrInvalid) {
		return fmt.Errorf("%w: %w", errInvalid, err)
	}
	return err
}

// findHAProxy looks where Debian puts it too, which is not on every user's PATH.
func findHAProxy() (string, error) {
	for _, name := range []string{"haproxy", "/usr/sbin/haproxy"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("proxy: haproxy is not installed; run scripts/install-test-deps.sh")
}

// setting says what the figures depend on.
func setting(ctx context.Context, cfg proxy.Config) {
	version := "unknown version"
	if out, err := exec.CommandContext(ctx, cfg.HAProxy, "-v").Output(); err == nil {
		version = firstLine(out)
	}
	fmt.Fprintf(cfg.Out, "%s, %s; proxies on cores %s, load and upstream on %s; %d connections, %d rounds of %d × %s after %s\n",
		runtime.Version(), version, cfg.ProxyCPUs, cfg.OtherCPUs, cfg.Connections, cfg.Rounds, cfg.Slices, cfg.For, cfg.Warm)
}

func firstLine(b []byte) string {
	for i, c := range b {
		if c == '\n' {
			return string(b[:i])
		}
	}
	return string(b)
}

// newLoadCommand is the bench's own load process.
func newLoadCommand() *cobra.Command {
	var l proxy.Load
	var kind string
	cmd := &cobra.Command{
		Use:    "load",
		Short:  "The load process of the proxy bench",
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l.Kind = proxy.Kind(kind)
			f, err := l.Run(cmd.Context())
			if err != nil {
				return err
			}
			return report(cmd.OutOrStdout(), f)
		},
	}
	f := cmd.Flags()
	f.StringVar(&l.Address, "address", "", "HOST:PORT to load")
	f.StringVar(&kind, "kind", string(proxy.JSON), "json or sse")
	f.IntVar(&l.Connections, "connections", 32, "keep-alive connections")
	f.DurationVar(&l.For, "for", time.Second, "how long")
	return cmd
}

func report(out io.Writer, f proxy.Figures) error {
	return json.NewEncoder(out).Encode(proxy.Report{Msg: proxy.DoneMsg, Figures: f})
}
