package failover

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/mcpnode"
)

// callTimeout bounds one call; a call that takes longer is lost.
const callTimeout = 10 * time.Second

// CodeUnknown is the JSON-RPC error of a call whose outcome the gateway cannot know.
const CodeUnknown = -32070

// CodeNoAuthority is the JSON-RPC error of a write that the gateway refused because its write gate is closed:
// nothing was done.
const CodeNoAuthority = -32071

// caller makes tool calls in one era.
type caller interface {
	// call returns nil when the tool answered, else a *mcpagent.CallError.
	call(ctx context.Context, tool string, a mcpnode.Args) error
	// leave closes the connections that carry nothing now.
	leave()
	close()
}

// step is one call of an agent.
type step struct {
	tool         string
	once, effect bool
	work         int // milliseconds, ±50 %
}

// safe is the call that an agent makes at once after a fault: it ends the agent's gap.
var safe = step{tool: mcpnode.ToolLookup, work: 4}

// cycle is what every agent calls in turn: two of five calls must not happen twice, which leaves at
// least 30 % of all calls when the safe calls after faults are counted in.
var cycle = [...]step{
	safe,
	{tool: mcpnode.ToolCharge, once: true, effect: true, work: 4},
	{tool: mcpnode.ToolEcho},
	{tool: mcpnode.ToolCharge, once: true, effect: true, work: 4},
	{tool: mcpnode.ToolSet, effect: true, work: 2},
}

// agent calls tools in turn until it is told to stop.
type agent struct {
	index  int
	name   string
	caller caller
	rnd    *rand.Rand
	think  time.Duration
	rec    *recorder
	site   *site
	effect []effect // calls with an effect; read when the agent has ended
	// leaving counts the next calls that take a new connection; see Load.Leave.
	leaving atomic.Int32
	// previous call, for the story of the longest gap; the agent's goroutine only.
	previous    string
	previousEnd time.Time
}

// effect is what an agent knows of one call with an effect.
type effect struct {
	id      string
	once    bool
	outcome outcome
}

// run thinks and calls in turn. A fault ends the thinking, and the next call is a safe one: so a gap
// holds the time that the front needs, not the agent's own pauses.
func (a *agent) run(ctx context.Context, stop <-chan struct{}) {
	defer a.caller.close()
	alarm := a.rec.alarm.next()
	for i := a.index; ; i++ {
		next := cycle[i%len(cycle)]
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-alarm:
			alarm, next = a.rec.alarm.next(), safe
		case <-time.After(jitter(a.rnd, a.think)):
		}
		a.one(ctx, i, next)
	}
}

// one makes the i-th call and records it.
func (a *agent) one(ctx context.Context, i int, s step) {
	args := mcpnode.Args{Key: a.name, WorkMS: int(jitter(a.rnd, time.Duration(s.work)))}
	switch {
	case s.effect:
		args.Call = fmt.Sprintf("%s-%d", a.name, i)
	case s.tool == mcpnode.ToolEcho:
		args = mcpnode.Args{Text: a.name, Bytes: 200}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if a.leaving.Load() > 0 {
		a.leaving.Add(-1)
		a.caller.leave()
	}
	sent := time.Now()
	err := a.caller.call(ctx, s.tool, args)
	got := time.Now()
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the run was broken off; nothing can be said of this call
	}
	o := a.rec.note(a, s, sent, got, err)
	a.previous, a.previousEnd = s.tool, got
	if s.effect {
		a.effect = append(a.effect, effect{id: args.Call, once: s.once, outcome: o})
	}
}

// jitter spreads d by ±50 %.
func jitter(rnd *rand.Rand, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d/2 + time.Duration(rnd.Int64N(int64(d)+1))
}
