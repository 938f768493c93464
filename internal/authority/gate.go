package authority

import (
	"errors"
	"fmt"
	"time"
)

// GateConfig is a gateway's half of the lease. The zero value of a duration stands for its default.
type GateConfig struct {
	// Gateway is the name in the roster.
	Gateway string
	// Nonce is what this process joined with; no other process may ever use it.
	Nonce string
	// Lease is L, how long an ack counts from the sending of its heartbeat, at most the promise that it
	// carries; default: all of the promise. A shorter one closes the losing side sooner.
	Lease time.Duration
	// Margin is taken off every lease for clocks that do not run alike; at most half of the lease, default
	// a twentieth of it.
	Margin time.Duration
}

// marginPart of a lease is its default margin: it bears clocks that are 5 % apart.
const marginPart = 20

// remembered is how many heartbeats a gate looks back. At 200 ms each it is well beyond any promise kept.
const remembered = 64

// Check returns every field that is out of range.
func (c GateConfig) Check() error {
	var problems []error
	if c.Gateway == "" || len(c.Gateway) > MaxName {
		problems = append(problems, fmt.Errorf("gateway name of %d bytes is outside 1..%d", len(c.Gateway), MaxName))
	}
	if c.Nonce == "" || len(c.Nonce) > MaxName {
		problems = append(problems, fmt.Errorf("nonce of %d bytes is outside 1..%d", len(c.Nonce), MaxName))
	}
	if c.Lease < 0 || c.Lease > MostPromise {
		problems = append(problems, fmt.Errorf("lease %s is outside 0..%s", c.Lease, MostPromise))
	}
	if c.Margin < 0 || c.Lease > 0 && c.Margin > c.Lease/2 {
		problems = append(problems, fmt.Errorf("margin %s is negative or more than half of the lease %s", c.Margin, c.Lease))
	}
	if len(problems) > 0 {
		return fmt.Errorf("authority: gate: %w", errors.Join(problems...))
	}
	return nil
}

// Clocks are two readings taken together: Mono stands still while the machine is suspended, Boot does not.
// Whoever reads them reads Mono on both sides of Boot and again if the two are far apart, since a process that
// is preempted in between looks like one that was suspended.
type Clocks struct {
	Mono time.Duration
	Boot time.Duration
}

// Gate keeps the deadline until which one life of one gateway may write. It is not safe for concurrent use.
type Gate struct {
	cfg    GateConfig
	life   Life  // Incarnation 0: not joined yet
	ended  bool  // fenced, or gone from the roster: for good
	index  Index // of the last view
	ruling Ruling
	seq    uint64
	sent   [remembered]time.Duration // when heartbeat seq went out, at seq % remembered
	oldest uint64                    // acks of heartbeats before this one count no more
	until  map[VoterID]time.Duration // until when each voter's ack counts
	gap    time.Duration             // Boot - Mono at the first reading
	read   bool                      // whether there was one
	jumps  int                       // times that the machine was found to have been suspended
	due    time.Duration             // the deadline
}

// NewGate returns a closed gate, or what is wrong with the configuration.
func NewGate(cfg GateConfig) (*Gate, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	return &Gate{cfg: cfg, until: map[VoterID]time.Duration{}, oldest: 1}, nil
}

// Apply takes in what the log says now. The acks of another rule are dropped: what they add up to says nothing of
// the new one. Where only the promise has changed they count until they run out, as their voters wait for the largest
// promise that they ever gave: a promise that grows with the distance closes no gate.
func (g *Gate) Apply(v View) {
	if v.Index < g.index {
		return // out of order
	}
	g.index = v.Index
	g.find(v)
	if v.Ruling.Version != g.ruling.Version && !v.Ruling.Asks(&g.ruling) {
		clear(g.until)
	}
	g.ruling = v.Ruling
	g.settle()
}

// find looks for this process's own life, and for its end. A snapshot may show the end alone.
func (g *Gate) find(v View) {
	s, ok := v.standing(g.cfg.Gateway)
	mine := ok && s.Nonce == g.cfg.Nonce
	switch {
	case mine && s.Fenced != 0:
		g.ended = true
	case mine && g.life.Incarnation == 0:
		g.life = s.Life
	case g.life.Incarnation != 0 && (!mine || s.Life != g.life):
		g.ended = true
	}
}

// Beat returns the heartbeat to send now to every voter of the ruling; false while there is no life to speak
// for. c must be read before the heartbeat is given to the network.
func (g *Gate) Beat(c Clocks) (Heartbeat, bool) {
	g.look(c)
	if g.life.Incarnation == 0 || g.ended {
		return Heartbeat{}, false
	}
	g.seq++
	g.sent[g.seq%remembered] = c.Mono
	if g.seq >= remembered {
		g.oldest = max(g.oldest, g.seq-remembered+1)
	}
	return Heartbeat{Life: g.life, Seq: g.seq}, true
}

// Ack takes in an answer. What it names of life, sequence and rule must be what this gate has; when the
// heartbeat went out is looked up here, never taken from the wire.
func (g *Gate) Ack(c Clocks, a Ack) {
	g.look(c)
	if g.ended || a.Life != g.life || a.Version != g.ruling.Version || a.Seq < g.oldest || a.Seq > g.seq || !g.counts(a.Voter) {
		return
	}
	if until := g.sent[a.Seq%remembered] + g.lease(a.Promise); until > g.until[a.Voter] {
		g.until[a.Voter] = until
		g.settle()
	}
}

// lease is how long an ack with this promise counts.
func (g *Gate) lease(promise time.Duration) time.Duration {
	return g.whole(promise) - g.margin(promise)
}

// whole is the lease before the margin is taken off.
func (g *Gate) whole(promise time.Duration) time.Duration {
	if g.cfg.Lease > 0 {
		return min(promise, g.cfg.Lease)
	}
	return min(promise, MostPromise)
}

func (g *Gate) margin(promise time.Duration) time.Duration {
	if g.cfg.Margin > 0 {
		return g.cfg.Margin
	}
	return g.whole(promise) / marginPart
}

// counts reports whether the voter is one of the ruling, so that strangers cannot fill the map.
func (g *Gate) counts(v VoterID) bool {
	if i, ok := g.ruling.Now.find(v.Name); ok && g.ruling.Now.Voters[i].VoterID == v {
		return true
	}
	if g.ruling.Before == nil {
		return false
	}
	i, ok := g.ruling.Before.find(v.Name)
	return ok && g.ruling.Before.Voters[i].VoterID == v
}

// look closes the gate when the machine was suspended: voters lived on while Mono stood still, so nothing that
// was sent before counts, even if it is acked now. Half of the margin is borne as noise.
func (g *Gate) look(c Clocks) {
	gap := c.Boot - c.Mono
	if !g.read {
		g.gap, g.read = gap, true
		return
	}
	noise := g.margin(max(g.ruling.Now.Promise, LeastPromise)) / 2
	if jump := gap - g.gap; jump > noise || jump < -noise {
		g.gap = gap
		g.jumps++
		g.oldest = g.seq + 1
		clear(g.until)
		g.settle()
	}
}

func (g *Gate) settle() {
	g.due = 0
	if !g.ended && g.life.Incarnation != 0 {
		g.due = g.ruling.deadline(g.until)
	}
}

// End closes the gate for good: what a gateway does before it proposes to Leave.
func (g *Gate) End() {
	g.ended = true
	g.settle()
}

// Deadline is the time before which this gateway may write, as Clocks.Mono; 0: not at all.
func (g *Gate) Deadline() time.Duration { return g.due }

// Life returns this process's life; Incarnation 0 until the log holds its join.
func (g *Gate) Life() Life { return g.life }

// Ended reports whether this life is over: fenced, or gone from the roster. The process must join anew.
func (g *Gate) Ended() bool { return g.ended }

// Version is the rule whose acks count.
func (g *Gate) Version() Version { return g.ruling.Version }

// Jumps is how often the machine was found to have been suspended.
func (g *Gate) Jumps() int { return g.jumps }

// Nonce is what this process joins with.
func (g *Gate) Nonce() string { return g.cfg.Nonce }
