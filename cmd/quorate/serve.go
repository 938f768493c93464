package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/edge"
	"github.com/quorate/quorate/internal/telemetry"
)

// flushBound is how long the last traces may take to leave, after everything else has ended.
const flushBound = 3 * time.Second

// newServeCommand is quorate serve: one gateway until SIGTERM or SIGINT.
func newServeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Run a gateway",
		Long: "Serve runs one gateway. When agents are served it prints one JSON line with \"msg\":\"serving\" and the\n" +
			"addresses on standard error. SIGHUP, or a change of the file, reloads it; a bad file is refused and\n" +
			"the old one goes on. SIGTERM drains and ends with exit code 0.",
	}
	path := addConfigFlag(cmd)
	witness := cmd.Flags().Bool("witness", false, "be a voter of the control group without traffic: as control.role witness, for a file without services")
	profile := cmd.Flags().String("cpuprofile", "", "write a processor profile of the process's life to `file`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		environ := os.Environ()
		if *witness {
			environ = append(environ, "QUORATE_CONTROL_ROLE=witness") // as the environment's, so that a reload sees it too
		}
		cfg, err := config.Load(*path, environ)
		if err != nil {
			return err
		}
		return profiled(*profile, func() error { return serve(cmd.Context(), cfg) })
	}
	return cmd
}

// profiled runs f under the processor profiler where a file is named.
func profiled(name string, f func() error) error {
	if name == "" {
		return f()
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(err, file.Close())
	}
	err = f()
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close())
}

func serve(ctx context.Context, cfg *config.Config) error {
	released, _ := build()
	level := new(slog.LevelVar)
	log := telemetry.NewLogger(os.Stderr, level)
	setLevel(level, cfg)
	telemetry.CatchLibraryErrors(log)
	tel, err := telemetry.New(ctx, telemetry.Config{
		Gateway: cfg.Name, Region: cfg.Region, Version: released,
		Traces: telemetry.Traces{Endpoint: cfg.Telemetry.Traces.Endpoint, SamplePercent: cfg.Telemetry.Traces.SamplePercent},
		Logger: log,
	})
	if err != nil {
		return err
	}
	defer flush(tel)
	e, err := edge.Start(ctx, cfg, edge.Options{Version: released, Logger: log, Telemetry: tel})
	if err != nil {
		return err
	}
	announce(os.Stderr, e)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go follow(watching, cfg, e, level, log)
	select {
	case <-ctx.Done():
		log.Info("draining", "bound", cfg.Shutdown.Drain.String())
		return e.Shutdown(context.WithoutCancel(ctx))
	case err := <-e.Failed():
		shutdownErr := e.Shutdown(ctx)
		return fmt.Errorf("listener ended: %w", errors.Join(err, shutdownErr))
	}
}

// announce writes the one line that scripts wait for. Its form is a contract, whatever the log level is.
func announce(w io.Writer, e *edge.Edge) {
	line, err := json.Marshal(struct {
		Msg    string `json:"msg"`
		Listen string `json:"listen"`
		Admin  string `json:"admin"`
	}{"serving", e.ListenAddr(), e.AdminAddr()})
	if err == nil {
		_, _ = w.Write(append(line, '\n')) // nobody is told what standard error cannot take
	}
}

// follow takes over changed configurations until ctx ends.
func follow(ctx context.Context, cfg *config.Config, e *edge.Edge, level *slog.LevelVar, log *slog.Logger) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	refused := func(err error) {
		e.NoteFile(err)
		log.Error("configuration refused, the old one goes on", "cause", err.Error())
	}
	config.Watch(ctx, cfg, hup, func(next *config.Config) {
		if err := e.Reload(next); err != nil {
			refused(err)
			return
		}
		setLevel(level, next)
		log.Info("configuration reloaded")
	}, refused)
}

// setLevel: the word was checked when the file was loaded.
func setLevel(level *slog.LevelVar, cfg *config.Config) {
	if err := level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		level.Set(slog.LevelInfo)
	}
}

func flush(tel *telemetry.Telemetry) {
	ctx, cancel := context.WithTimeout(context.Background(), flushBound)
	defer cancel()
	_ = tel.Shutdown(ctx) // what could not be delivered in time is lost with the process
}
