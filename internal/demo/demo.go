// Package demo shows the gateway at work: real nodes that are killed and restarted behind a real
// gateway while go-sdk agents keep calling tools, live on a terminal and with a table at the end.
// It must not know how the gateway works: it starts the same binary as anyone would.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quorate/quorate/internal/bench/failover"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// ErrFailed says that the gateway did what the demo exists to show that it does not do; what that
// was has been printed.
var ErrFailed = errors.New("the demo failed")

// Config describes a demo.
type Config struct {
	Binary   string // the quorate binary: gateway and nodes are this program
	Out      io.Writer
	Terminal bool          // redraw one block; else one line per event
	Width    int           // columns of the terminal, default 100
	For      time.Duration // 0 runs until the context ends
	Pause    time.Duration // between the recovery of a node and the next kill, ±50 %; default 1.5 s
	Seed     uint64        // default from the clock; printed
}

// nodes is the pool. One node speaks both eras, one only the stateful legacy one, one only the
// stateless modern one. So real nodes of either kind take part, each era has two nodes, and whichever
// of the three is killed, each era has a node left: no kill excuses a lost call.
func nodes() []pool.Spec {
	return []pool.Spec{
		{ID: "a", Era: "both", Updates: failover.UpdatesEvery},
		{ID: "b", Era: "legacy", Updates: failover.UpdatesEvery},
		{ID: "c", Era: "modern", Updates: failover.UpdatesEvery},
	}
}

// agents are two go-sdk clients per era: few enough to follow, enough to keep every node busy. Each
// also holds a subscription.
func agents() failover.Mix { return failover.Mix{ModernSDK: 2, LegacySDK: 2} }

// Run runs the demo. It returns ErrFailed when a retry-safe call failed, a call that must not happen
// twice did, a session was lost or a subscription fell silent.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Seed == 0 {
		cfg.Seed = uint64(time.Now().UnixNano())
	}
	if cfg.Pause <= 0 {
		cfg.Pause = 1500 * time.Millisecond
	}
	out := &screen{out: cfg.Out, terminal: cfg.Terminal, width: cfg.Width}
	out.say("starting 3 nodes (a: both eras, b: legacy, c: modern), a gateway and %d agents; seed %d", agents().Total(), cfg.Seed)
	log := new(child.Tail)
	res, err := failover.Run(ctx, failover.Config{
		Binary: cfg.Binary, Front: &failover.Quorate{Binary: cfg.Binary}, Nodes: nodes(), Agents: agents(),
		Fault: failover.SIGKILL, For: cfg.For, Pause: cfg.Pause, Think: 10 * time.Millisecond,
		Seed: cfg.Seed, Observe: out.show, Log: log,
	})
	if err != nil {
		return fmt.Errorf("demo: %w\nlast output of the processes:\n%s", err, log)
	}
	return conclude(out, res)
}

// conclude prints the table and the verdict.
func conclude(out *screen, res failover.Result) error {
	out.table(res)
	wrong := res.Violations(0)
	if res.Faults == 0 {
		wrong = append(wrong, "no node was killed, so nothing was shown")
	}
	for _, w := range wrong {
		out.say("FAILED: %s", w)
	}
	for i := 0; len(wrong) > 0 && i < len(res.Samples); i++ {
		out.say("  call: %s", res.Samples[i])
	}
	if len(wrong) > 0 {
		return ErrFailed
	}
	out.say("OK: no retry-safe call failed, nothing ran twice, no session was lost.")
	return nil
}
