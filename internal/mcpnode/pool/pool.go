// Package pool runs MCP nodes as real processes that can be killed, stopped and started again on the
// same address. It must not know what is in front of them.
package pool

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"syscall"
	"time"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode"
)

// startTimeout bounds how long a node may take until it serves.
const startTimeout = 15 * time.Second

// Spec describes one node.
type Spec struct {
	ID      string
	Era     string // as mcpnode.Config.Era
	JSON    bool
	Updates time.Duration
}

// Config describes a pool.
type Config struct {
	Binary string // the quorate binary, whose hidden command "node" runs a node
	Dir    string // journals and gauges are kept here
	Nodes  []Spec // 1..64
	Log    io.Writer
}

// Pool is a set of nodes. Its methods are for one goroutine, except those of Node.
type Pool struct {
	group *child.Group
	cfg   Config
	nodes []*Node
}

// Node is one place in the pool: an address with at most one process at a time.
type Node struct {
	Spec
	group    *child.Group
	cfg      Config
	address  string
	reserved io.Closer // keeps address from other pools while no process holds it
	gauge    *mcpnode.Gauge
	process  *child.Process
}

// Start starts every node and waits until they serve.
func Start(ctx context.Context, group *child.Group, cfg Config) (*Pool, error) {
	if len(cfg.Nodes) == 0 || len(cfg.Nodes) > 64 {
		return nil, fmt.Errorf("pool: %d nodes: write 1..64", len(cfg.Nodes))
	}
	p := &Pool{group: group, cfg: cfg}
	for _, s := range cfg.Nodes {
		n, err := newNode(group, cfg, s)
		if err != nil {
			p.Close()
			return nil, err
		}
		p.nodes = append(p.nodes, n)
		if err := n.Start(ctx); err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

// Nodes returns the nodes in the order of the configuration.
func (p *Pool) Nodes() []*Node { return p.nodes }

// Journal returns what all nodes executed so far, node by node.
func (p *Pool) Journal() ([]mcpnode.Entry, error) {
	var all []mcpnode.Entry
	for _, n := range p.nodes {
		entries, err := mcpnode.ReadJournal(n.file("journal"))
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
	}
	return all, nil
}

// Close kills the processes that run and frees the gauges.
func (p *Pool) Close() {
	for _, n := range p.nodes {
		if n.process != nil {
			n.process.Kill()
		}
		n.gauge.Close()
		_ = n.reserved.Close()
	}
}

func newNode(group *child.Group, cfg Config, s Spec) (*Node, error) {
	n := &Node{Spec: s, group: group, cfg: cfg}
	var err error
	if n.gauge, err = mcpnode.OpenGauge(n.file("gauge")); err != nil {
		return nil, err
	}
	if n.address, n.reserved, err = Reserve(); err != nil {
		n.gauge.Close()
		return nil, err
	}
	return n, nil
}

func (n *Node) file(kind string) string { return filepath.Join(n.cfg.Dir, n.ID+"."+kind) }

// Address is the node's HOST:PORT, the same through all its lives.
func (n *Node) Address() string { return n.address }

// URL is the node's MCP endpoint.
func (n *Node) URL() string { return "http://" + n.address + mcpnode.Path }

// InFlight returns the tool calls that the process executes, or executed in its last moment.
func (n *Node) InFlight() int64 { return n.gauge.InFlight() }

// PID returns the process id of the current or last life.
func (n *Node) PID() int { return n.process.PID() }

// Start starts the process and waits until it serves.
func (n *Node) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	p, line, err := n.group.Start(ctx, child.Spec{
		Path: n.cfg.Binary, Args: n.args(), Ready: child.Stdout, ReadyMsg: mcpnode.ReadyMsg, Log: n.cfg.Log,
	})
	if err != nil {
		return fmt.Errorf("pool: node %s: %w", n.ID, err)
	}
	n.process = p
	var ready struct {
		Address string `json:"address"`
	}
	if err := json.Unmarshal(line, &ready); err != nil || ready.Address != n.address {
		return fmt.Errorf("pool: node %s serves at %q, not %s: %w", n.ID, ready.Address, n.address, err)
	}
	return nil
}

func (n *Node) args() []string {
	return []string{
		"node", "--name", n.ID, "--listen", n.address, "--era", n.Era, "--json=" + fmt.Sprint(n.JSON),
		"--journal", n.file("journal"), "--gauge", n.file("gauge"), "--updates", n.Updates.String(),
	}
}

// Kill sends SIGKILL and waits until the process is gone.
func (n *Node) Kill() { n.process.Kill() }

// Freeze stops the process as it is: connections stay open and nothing answers.
func (n *Node) Freeze() error { return n.process.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on where it was.
func (n *Node) Thaw() error { return n.process.Signal(syscall.SIGCONT) }
