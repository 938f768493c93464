package fleet

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/internal/testnet"
)

// startTimeout bounds the start of any one process.
const startTimeout = 20 * time.Second

// firstPort is that of a host's first node; the next ones have the next.
const firstPort = 9001

// node is one MCP server.
type node struct {
	name    string
	host    *testnet.Host
	address string
	checks  bool // it refuses old fences
	dir     string
	process *child.Process
}

func (n *node) url() string { return "http://" + n.address + mcpnode.Path }

func (n *node) journal() string { return filepath.Join(n.dir, n.name+".journal") }

func (n *node) start(ctx context.Context, cfg Config) error {
	n.dir = cfg.Dir
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	p, _, err := n.host.Group().Start(ctx, child.Spec{
		Path: cfg.Binary, Ready: child.Stdout, ReadyMsg: mcpnode.ReadyMsg,
		Args: []string{"node", "--name", n.name, "--listen", n.address, "--era", "both", "--journal", n.journal(), fmt.Sprintf("--fence=%t", n.checks)},
	})
	if err != nil {
		return fmt.Errorf("node %s: %w", n.name, err)
	}
	n.process = p
	return nil
}

// effects are what the node executed. The last gateway that a write says it has passed dispatched it; where it says
// nothing, as without authority, direct names who must have been.
func (n *node) effects(zero time.Duration, direct func(call string) string) ([]history.Effect, error) {
	entries, err := mcpnode.ReadJournal(n.journal())
	if err != nil {
		return nil, err
	}
	var all []history.Effect
	open := map[string]int{} // started and not ended, by call
	for _, e := range entries {
		if e.Phase == mcpnode.PhaseEnd {
			if i, ok := open[e.Call]; ok {
				all[i].Done = true
			}
			continue
		}
		open[e.Call] = len(all)
		all = append(all, history.Effect{Call: e.Call, Node: n.name, Gateway: last(e.Via, direct(e.Call)),
			At: time.Duration(e.Mono) - zero, Fence: e.Fence, Checked: n.checks})
	}
	return all, nil
}

// last is the last of names with commas between them.
func last(via, none string) string {
	names := strings.Split(via, ",")
	return cmp.Or(strings.TrimSpace(names[len(names)-1]), none)
}
