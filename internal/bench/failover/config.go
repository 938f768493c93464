// Package failover keeps agents calling tools through failures and judges what they notice: calls
// lost, effects duplicated, outcomes unknown and the gap of every failure. The kill test and the
// failover bench kill real nodes behind a proxy; the demo sends the same agents through several
// gateways. It must not know any proxy beyond the Front interface, nor regions beyond their names.
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

// Config describes one run: one system under one fault.
type Config struct {
	Binary string // the quorate binary; its command "node" runs a node
	Dir    string // journals and configurations go to a new directory in it; "" means os.TempDir
	Front  Front
	Nodes  []pool.Spec
	Agents Mix
	Fault  Fault
	Kills  int // faults, 1..100000
	// Pause is the time between the recovery of a node and the next fault, ±50 %; default 60 ms.
	Pause time.Duration
	// Think is an agent's time between two calls, ±50 %; default 20 ms.
	Think time.Duration
	Seed  uint64
	Log   io.Writer // output of the processes; nil drops it
}

func (c Config) withDefaults() (Config, error) {
	c.Pause = orDefault(c.Pause, 60*time.Millisecond)
	switch {
	case c.Binary == "" || c.Front == nil:
		return c, errors.New("failover: binary and front are needed")
	case c.Fault != SIGKILL && c.Fault != BlackHole:
		return c, fmt.Errorf("failover: fault %q: write %s or %s", c.Fault, SIGKILL, BlackHole)
	case c.Kills < 1 || c.Kills > 100_000:
		return c, fmt.Errorf("failover: %d kills: write 1..100000", c.Kills)
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
