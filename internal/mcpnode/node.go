// Package mcpnode is a real MCP server process built on go-sdk, for the demo, the kill test and the
// benches: tools of every retry class, a resource that changes, and a journal of what was executed.
// It must not know the gateway.
package mcpnode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Path is where a node serves MCP.
const Path = "/mcp"

// UpdatesURI names the resource that changes by the timer and by the tool touch. UpdatesURI/ANYTHING can be subscribed
// to and never changes.
const UpdatesURI = "quorate-demo://updates"

// ReadyMsg is the "msg" of the line on stdout that says a node serves.
const ReadyMsg = "node serving"

// Config describes one node process.
type Config struct {
	Name    string        // default "node"; answers and journal entries carry it
	Listen  string        // HOST:PORT, default 127.0.0.1:0
	Era     string        // "legacy" (stateful), "modern" (stateless) or "both" on one URL, default "both"
	JSON    bool          // answer application/json instead of an event stream
	Workers int           // tool calls executing at once, 0..10000; 0 means no limit
	Journal string        // file of executed effects, appended; "" keeps none
	Gauge   string        // file with the number of tool calls in flight, see OpenGauge; "" keeps none
	Fence   bool          // refuse writes that name a lower epoch than one before (409); the journal remembers it
	Updates time.Duration // interval of resource updates; 0 means only by touch
	Stdout  io.Writer     // receives the ready line, default os.Stdout
	Logger  *slog.Logger  // default drops
}

func (c Config) withDefaults() (Config, error) {
	if c.Name == "" {
		c.Name = "node"
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Era == "" {
		c.Era = "both"
	}
	if c.Stdout == nil {
		c.Stdout = os.Stdout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if !slices.Contains([]string{"legacy", "modern", "both"}, c.Era) {
		return c, fmt.Errorf("mcpnode: era %q: write legacy, modern or both", c.Era)
	}
	if c.Workers < 0 || c.Workers > 10000 {
		return c, fmt.Errorf("mcpnode: workers %d: write 0..10000", c.Workers)
	}
	return c, nil
}

// node is the state behind the tools of one process.
type node struct {
	cfg      Config
	pid      int
	journal  *Journal
	gauge    *Gauge
	fence    *fence
	slots    chan struct{} // nil without a limit
	server   *mcp.Server
	settings *settings
	changes  atomic.Int64
}

// Run serves until ctx ends; then it gives calls in flight a second and returns nil.
func Run(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	n := &node{cfg: cfg, pid: os.Getpid(), settings: newSettings()}
	if cfg.Workers > 0 {
		n.slots = make(chan struct{}, cfg.Workers)
	}
	if n.fence, err = newFence(cfg.Fence, cfg.Journal); err != nil {
		return err
	}
	if n.journal, err = OpenJournal(cfg.Journal); err != nil {
		return err
	}
	defer n.journal.Close()
	if n.gauge, err = CreateGauge(cfg.Gauge); err != nil {
		return err
	}
	defer n.gauge.Close()
	n.server = n.newServer()
	return n.serve(ctx)
}

func (n *node) serve(ctx context.Context) error {
	ln, err := net.Listen("tcp", n.cfg.Listen)
	if err != nil {
		return fmt.Errorf("mcpnode: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle(Path, n.fence.guard(n.handler()))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	updatesDone := make(chan struct{})
	updates, stopUpdates := context.WithCancel(ctx)
	go func() { defer close(updatesDone); n.update(updates) }()
	defer func() { stopUpdates(); <-updatesDone }()
	if err := n.announce(ln.Addr()); err != nil {
		_ = srv.Close()
		return err
	}
	select {
	case err := <-ended:
		return fmt.Errorf("mcpnode: serve: %w", err)
	case <-ctx.Done():
		return shutdown(srv)
	}
}

func shutdown(srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		return srv.Close() // open event streams never end by themselves
	} else if err != nil {
		return fmt.Errorf("mcpnode: shutdown: %w", err)
	}
	return nil
}

func (n *node) announce(addr net.Addr) error {
	line, err := json.Marshal(struct {
		Msg     string `json:"msg"`
		Address string `json:"address"`
		Name    string `json:"name"`
		Era     string `json:"era"`
		PID     int    `json:"pid"`
	}{ReadyMsg, addr.String(), n.cfg.Name, n.cfg.Era, n.pid})
	if err != nil {
		return fmt.Errorf("mcpnode: ready line: %w", err)
	}
	if _, err := n.cfg.Stdout.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("mcpnode: ready line: %w", err)
	}
	return nil
}
