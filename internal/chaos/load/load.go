// Package load is the agents of a chaos run: each writes and reads through one gateway without a pause and notes what
// it was told. It must not know faults, nor what became of a call elsewhere: the journals tell that.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/internal/mcpagent"
	"github.com/quorate/quorate/internal/mcpnode"
)

// Place is one gateway as its agents see it.
type Place struct {
	Gateway   string
	URLs      []string                 // of its services
	Transport func() http.RoundTripper // one connection per agent
}

// Config describes the agents.
type Config struct {
	Places []Place
	Agents int           // of each era at each service of each place, from 1
	Think  time.Duration // between two calls of one agent, ±50 %
	Seed   uint64
	Clock  func() time.Duration
	// Roam: a read that its gateway refuses is made at the next one, as by an agent behind a balancer.
	Roam bool
	// Sessions are the agents at each service whose session goes on at any gateway; 0: none.
	Sessions int
}

// callTimeout bounds one call; what takes longer has an unknown outcome. It is well beyond a lease, so that a call
// that waits for its gateway is seen to come back late.
const callTimeout = 5 * time.Second

// Load is the agents.
type Load struct {
	cfg  Config
	stop chan struct{}
	work sync.WaitGroup

	mu      sync.Mutex
	calls   []history.Call
	ops     []history.Op
	gateway map[string]string // of a call
	wrote   map[string]int    // answered writes by gateway
	changed map[string]int    // answered changes of sessions by the agent
}

// Start lets the agents begin.
func Start(ctx context.Context, cfg Config) *Load {
	l := &Load{cfg: cfg, stop: make(chan struct{}), gateway: map[string]string{}, wrote: map[string]int{}, changed: map[string]int{}}
	ctx = context.WithoutCancel(ctx) // no call is broken off: Stop ends the agents
	n := uint64(0)
	for at, p := range cfg.Places {
		for i, url := range p.URLs {
			for k := range 2 * cfg.Agents {
				n++
				legacy := k%2 == 1
				a := &agent{load: l, gateway: p.Gateway, name: fmt.Sprintf("%s/%d%s%d", p.Gateway, i, era(legacy), k/2),
					raw: mcpagent.New(url, legacy, p.Transport()), rnd: rand.New(rand.NewPCG(cfg.Seed, n))}
				if cfg.Roam {
					for _, o := range slices.Concat(cfg.Places[at+1:], cfg.Places[:at]) {
						a.others = append(a.others, mcpagent.New(o.URLs[i], legacy, o.Transport()))
					}
				}
				l.work.Go(func() { a.run(ctx) })
			}
		}
	}
	l.rove(ctx, &n)
	return l
}

func era(legacy bool) string {
	if legacy {
		return "l"
	}
	return "m"
}

// Stop lets every agent finish its call and returns all calls.
func (l *Load) Stop() []history.Call {
	close(l.stop)
	l.work.Wait()
	return l.calls
}

// Ops are the operations on sessions, those of one in the order in which they were made. It is for after Stop.
func (l *Load) Ops() []history.Op { return l.ops }

func (l *Load) noteOp(o history.Op) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops = append(l.ops, o)
}

// Wrote is how many writes have been answered through a gateway.
func (l *Load) Wrote(gateway string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wrote[gateway]
}

// Gateway is the gateway that a call was made through, "" for one that nobody made.
func (l *Load) Gateway(call string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gateway[call]
}

func (l *Load) note(c history.Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
	if c.Kind == history.Write && c.Outcome == history.OK {
		l.wrote[c.Gateway]++
	}
}

// about remembers a call before it is made: its effect may come although nothing else does.
func (l *Load) about(c history.Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gateway[c.ID] = c.Gateway
}

// agent makes one call after the other.
type agent struct {
	load    *Load
	gateway string
	name    string
	raw     *mcpagent.Agent
	others  []*mcpagent.Agent // at other gateways
	rnd     *rand.Rand
}

func (a *agent) run(ctx context.Context) {
	defer func() {
		for _, raw := range append(a.others, a.raw) {
			raw.Close()
		}
	}()
	think := time.NewTimer(0)
	defer think.Stop()
	for i := 0; ; i++ {
		select {
		case <-a.load.stop:
			return
		case <-think.C:
		}
		a.one(ctx, i)
		think.Reset(a.load.cfg.Think/2 + time.Duration(a.rnd.Int64N(int64(a.load.cfg.Think)+1)))
	}
}

// one makes a call: of five, one is a read and one a write that may be made again.
func (a *agent) one(ctx context.Context, i int) {
	c := history.Call{ID: fmt.Sprintf("%s-%d", a.name, i), Gateway: a.gateway, Kind: history.Write}
	tool, args := mcpnode.ToolCharge, mcpnode.Args{Call: c.ID}
	switch i % 5 {
	case 2:
		c.Again, tool = true, mcpnode.ToolSet
	case 4:
		c.Kind, tool, args = history.Read, mcpnode.ToolEcho, mcpnode.Args{Text: c.ID}
	}
	a.load.about(c)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c.Invoke = a.load.cfg.Clock()
	err := a.raw.Call(ctx, tool, args)
	c.Outcome, c.Code = outcome(err)
	for _, other := range a.others {
		if c.Kind == history.Read && c.Outcome != history.OK {
			err = other.Call(ctx, tool, args)
			c.Outcome, c.Code = outcome(err)
		}
	}
	c.Return = a.load.cfg.Clock()
	if err != nil {
		c.Text = fmt.Sprintf("%.200s", err)
	}
	a.load.note(c)
}

// outcome is what an agent may conclude from an answer. Only what says that nothing ran is a refusal.
func outcome(err error) (history.Outcome, int) {
	var call *mcpagent.CallError
	if err == nil {
		return history.OK, 0
	}
	if !errors.As(err, &call) {
		return history.Unknown, 0
	}
	if call.Unsent {
		return history.Refused, call.Code
	}
	switch call.Code {
	case -32071, -32072, -32073:
		return history.Refused, call.Code
	case 0:
	default:
		return history.Unknown, call.Code
	}
	var op *net.OpError
	if call.SessionLost || errors.As(err, &op) && op.Op == "dial" {
		return history.Refused, 0
	}
	return history.Unknown, call.Status
}
