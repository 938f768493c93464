package failover

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Mix is the number of agents of each kind. Raw agents speak MCP over net/http and cost little; SDK
// agents are go-sdk clients that also hold a subscription.
type Mix struct{ ModernRaw, LegacyRaw, ModernSDK, LegacySDK int }

// Total is the number of agents.
func (m Mix) Total() int { return m.ModernRaw + m.LegacyRaw + m.ModernSDK + m.LegacySDK }

// Site is one place with agents and the front that they connect to.
type Site struct {
	Name   string // begins the names of its agents; "" where there is only one site
	URL    string
	Agents Mix
}

// LoadConfig describes agents at work.
type LoadConfig struct {
	Sites []Site // 1..64, together 1..1000 agents
	// Think is an agent's time between two calls, ±50 %; default 20 ms.
	Think time.Duration
	Seed  uint64
	// Gated: the fronts have write gates, so that a write may be answered with CodeNoAuthority. It is counted as
	// refused then. Without it such an answer is a failure like any other refusal.
	Gated bool
}

// Load is agents that call tools until they are told to stop, and what they see.
type Load struct {
	rec    *recorder
	agents []*agent
	sites  []*site
	stop   chan struct{}
	work   sync.WaitGroup
	cancel context.CancelFunc
}

// site counts what a site's agents are answered.
type site struct {
	name          string
	tally         tally
	done, refused atomic.Int64 // writes
	breaks        atomic.Int64 // Unix nanoseconds until which calls may go out on connections that break; see Load.Break
}

// broken reports whether a call that was sent then may have been under way when the site's connections broke.
func (s *site) broken(sent time.Time) bool { return sent.UnixNano() < s.breaks.Load() }

// wrote counts a write that was answered, or refused by a gate.
func (s *site) wrote(o outcome) {
	switch o {
	case answered:
		s.done.Add(1)
	case barred:
		s.refused.Add(1)
	}
}

// NewLoad makes the agents; nothing is sent before Start.
func NewLoad(cfg LoadConfig) (*Load, error) {
	cfg.Think = orDefault(cfg.Think, 20*time.Millisecond)
	l := &Load{rec: &recorder{began: time.Now(), gated: cfg.Gated}, stop: make(chan struct{})}
	total := 0
	for _, s := range cfg.Sites {
		total += s.Agents.Total()
	}
	if total < 1 || total > 1000 || len(cfg.Sites) > 64 {
		return nil, fmt.Errorf("failover: %d agents at %d sites: write 1..1000 at 1..64", total, len(cfg.Sites))
	}
	for _, s := range cfg.Sites {
		l.addSite(s, cfg.Think)
	}
	// Mixed, so that no kind and no site is first at everything.
	rnd := rand.New(rand.NewPCG(cfg.Seed, 0))
	rnd.Shuffle(total, func(i, j int) { l.agents[i], l.agents[j] = l.agents[j], l.agents[i] })
	for i, a := range l.agents {
		a.index, a.rnd = i, rand.New(rand.NewPCG(cfg.Seed, uint64(i)+1))
	}
	return l, nil
}

func (l *Load) addSite(s Site, think time.Duration) {
	seen := &site{name: s.Name}
	l.sites = append(l.sites, seen)
	prefix := s.Name
	if prefix != "" {
		prefix += "-"
	}
	add := func(kind string, n int, make func() caller) {
		for i := range n {
			l.agents = append(l.agents, &agent{
				name: fmt.Sprintf("%s%s-%d", prefix, kind, i), caller: make(), think: think, rec: l.rec, site: seen,
			})
		}
	}
	add("modern-sdk", s.Agents.ModernSDK, func() caller { return newSDKAgent(s.URL, false, &seen.tally) })
	add("legacy-sdk", s.Agents.LegacySDK, func() caller { return newSDKAgent(s.URL, true, &seen.tally) })
	add("modern-raw", s.Agents.ModernRaw, func() caller { return newRawAgent(s.URL, false, &seen.tally) })
	add("legacy-raw", s.Agents.LegacyRaw, func() caller { return newRawAgent(s.URL, true, &seen.tally) })
}

// Start lets the agents begin. They go on when ctx ends, so that no call is cut: Stop ends them.
func (l *Load) Start(ctx context.Context) {
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.rec.began = time.Now()
	for _, a := range l.agents {
		l.work.Go(func() { a.run(ctx, l.stop) })
	}
}

// Stop lets every agent finish its call and waits for it. It must follow Start, once.
func (l *Load) Stop() {
	close(l.stop)
	l.work.Wait()
	l.cancel()
}

// Watch begins to measure the gap of a fault that is about to happen; only one is measured at a time.
func (l *Load) Watch() *Outage {
	out := newOutage(time.Now(), len(l.agents))
	l.rec.outage.Store(out)
	return out
}

// Alarm ends every agent's thinking, so that each sends its next call, a safe one, at once.
func (l *Load) Alarm() { l.rec.alarm.raise() }

// breakTime is how long after the death of its other end a connection may still take a call.
const breakTime = 250 * time.Millisecond

// Break says that what the agents of a site are connected to is about to be killed. Calls that are under way then and
// get no answer are counted as cut: no front can answer them. Agents whose subscription is a connection of its own
// subscribe again.
func (l *Load) Break(name string) {
	until := time.Now().Add(breakTime).UnixNano()
	for _, s := range l.sites {
		if s.name == name {
			s.breaks.Store(until)
		}
	}
	for _, a := range l.agents {
		if sdk, ok := a.caller.(*sdkAgent); ok && a.site.name == name && !sdk.legacy {
			sdk.again.Store(until)
		}
	}
}

// leaves is how many calls of an agent take a new connection after Leave: one that has just answered may be idle a
// little later.
const leaves = 3

// Leave lets the agents of a site open new connections for their next calls, as they would after a balancer or a name
// has begun to lead elsewhere. What is under way goes on as it is, event streams too.
func (l *Load) Leave(name string) {
	for _, a := range l.agents {
		if a.site.name == name {
			a.leaving.Store(leaves)
		}
	}
}

// Figures are counts since the start.
type Figures struct {
	Calls, Once  int64
	SafeLost     int64 // retry-safe calls without a result
	Unknown      int64 // once calls without an outcome
	SessionsLost int64
	Cut          int64 // calls that were under way at a Break and got no answer
	Updates      int64 // of resources, delivered to subscriptions
	// Answers counts answered requests by site and by the region that the front names; others are left out.
	Answers map[string]map[string]int64
	Writes  map[string]Writes // by site
}

// Writes counts calls with an effect. What was neither has failed, or its outcome is unknown.
type Writes struct {
	Done    int64 // answered with a result
	Refused int64 // with CodeNoAuthority, by fronts that have write gates
}

// Figures returns the counts so far.
func (l *Load) Figures() Figures {
	f := Figures{
		Calls: l.rec.calls.Load(), Once: l.rec.onceCalls.Load(), SafeLost: l.rec.lost.Load(),
		Unknown: l.rec.unknown.Load(), SessionsLost: l.rec.sessions.Load(), Cut: l.rec.cut.Load(),
		Answers: make(map[string]map[string]int64, len(l.sites)), Writes: make(map[string]Writes, len(l.sites)),
	}
	for _, s := range l.sites {
		f.Answers[s.name] = s.tally.counts()
		f.Writes[s.name] = Writes{Done: s.done.Load(), Refused: s.refused.Load()}
	}
	for _, a := range l.agents {
		if sdk, ok := a.caller.(*sdkAgent); ok {
			f.Updates += sdk.updates.Load()
		}
	}
	return f
}
