package jetstream

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/natsproc"
)

// programs are the server and the plugin, built once, or those in the folder that TEST_NATS names.
var programs natsproc.Binaries

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if at := os.Getenv("TEST_NATS"); at != "" {
		programs = natsproc.Binaries{Server: at + "/nats-server", Plugin: at + "/quorate-jetstream"}
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "quorate-nats-")
	if err == nil {
		defer os.RemoveAll(dir)
		programs, err = natsproc.Build(context.Background(), ".", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// cluster starts three servers on loopback.
func cluster(t *testing.T) *natsproc.Cluster {
	t.Helper()
	g := child.NewGroup()
	t.Cleanup(g.Close)
	cfg := natsproc.Config{Binary: programs.Server, Dir: t.TempDir()}
	places, err := natsproc.Loopback(g, 3)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Places = places
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := natsproc.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
