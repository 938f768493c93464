// Package failover kills real nodes behind a proxy under load and measures what the agents notice:
// calls lost, effects duplicated, outcomes unknown and the gap of every kill. The kill test, the
// failover bench and the demo share it. It must not know any proxy beyond the Front interface.
package failover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// Fault is what is done to a node.
type Fault string

const (
	// SIGKILL ends the process; its connections are reset, connects are refused.
	SIGKILL Fault = "sigkill"
	// BlackHole stops the process with SIGSTOP: connections stay open, the kernel accepts new ones,
	// and nothing answers. It ends with SIGKILL and a restart, or with SIGCONT, so that what was sent
	// to the frozen node runs late; the seed decides which.
	BlackHole Fault = "blackhole"
)

// Mix is the number of agents of each kind. Raw agents speak MCP over net/http and cost little; SDK
// agents are go-sdk clients that also hold a subscription.
type Mix struct{ ModernRaw, LegacyRaw, ModernSDK, LegacySDK int }

// Total is the number of agents.
func (m Mix) Total() int { return m.ModernRaw + m.LegacyRaw + m.ModernSDK + m.LegacySDK }

// Config describes one run: one system under one fault.
type Config struct {
	Binary string // the quorate binary; its command "node" runs a node
	Dir    string // journals and configurations go to a new directory in it; "" means os.TempDir
	Front  Front
	Nodes  []pool.Spec
	Agents Mix
	Fault  Fault
	// Kills ends the run after that many faults; 0 runs until For is over or the context ends.
	Kills int
	For   time.Duration // 0 means without a limit
	// Pause is the time between the recovery of a node and the next fault, ±50 %; default 60 ms.
	Pause time.Duration
	// Think is an agent's time between two calls, ±50 %; default 20 ms.
	Think time.Duration
	Seed  uint64
	// Observe, when set, gets a snapshot every Every (default 200 ms) and at the end.
	Observe func(Snapshot)
	Every   time.Duration
	Log     io.Writer // output of the processes; nil drops it
}

func (c Config) withDefaults() (Config, error) {
	c.Pause = orDefault(c.Pause, 60*time.Millisecond)
	c.Think = orDefault(c.Think, 20*time.Millisecond)
	c.Every = orDefault(c.Every, 200*time.Millisecond)
	switch {
	case c.Binary == "" || c.Front == nil:
		return c, errors.New("failover: binary and front are needed")
	case c.Fault != SIGKILL && c.Fault != BlackHole:
		return c, fmt.Errorf("failover: fault %q: write %s or %s", c.Fault, SIGKILL, BlackHole)
	case c.Agents.Total() < 1 || c.Agents.Total() > 1000:
		return c, fmt.Errorf("failover: %d agents: write 1..1000", c.Agents.Total())
	case c.Kills < 0 || c.Kills > 100_000:
		return c, fmt.Errorf("failover: %d kills: write 0..100000", c.Kills)
	}
	return c, nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// Front is a proxy in front of the pool.
type Front interface {
	// Name is the system's word in reports.
	Name() string
	// Start runs the proxy in group with its files in dir.
	Start(ctx context.Context, group *child.Group, dir string, nodes []*pool.Node, log io.Writer) error
	// URL is where agents connect, after Start.
	URL() string
	// Healthy reports whether every node takes traffic again.
	Healthy(ctx context.Context) (bool, error)
	// Counters reads the proxy's own figures; a proxy without them returns zeros.
	Counters(ctx context.Context) (Counters, error)
	// Stop ends the proxy in its orderly way and returns how it ended.
	Stop() error
}

// Counters are a proxy's own figures since its start.
type Counters struct {
	Retried  int64 // attempts beyond the first
	Migrated int64 // legacy sessions moved to another node
}
