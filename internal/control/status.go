package control

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
)

// Status is the control group as one gateway sees it.
type Status struct {
	Cluster    string // "" while there is none
	Generation uint64
	Leader     string // "": none is known
	Term       uint64
	Applied    uint64
	Commit     uint64
	Version    uint64 // of the rule that this gateway has applied
	Joint      bool   // a change of rule is under way
	Rule       string // in words
	Definition []byte // of the rule, as strategies.Decode reads it; nil: not known
	Promise    time.Duration
	Declared   int
	Gate       bool
	Closings   uint64
	Epoch      uint64
	Failover   time.Duration // how long there was no leader, the last time that there was none
	FailoverAt time.Time     // when that was over; zero: there never was one
	Forced     []authority.Forcing
	Stuck      error // an entry of the log that this release cannot read
	Members    []Member
}

// Member is one gateway of the group.
type Member struct {
	Gateway     string
	Region      string
	Role        string // voter, member
	Store       string
	Up          bool // it answers, now
	RTT         time.Duration
	Gate        bool
	Incarnation uint64 // 0: not in the roster
	Suspect     bool
	Version     uint64
	Applied     uint64
	Lag         time.Duration // how long ago this gateway applied the first entry that it has not
	Fenced      bool          // its last life has ended
	Build       string
}

// askBound is how long a status waits for other gateways.
const askBound = time.Second

// Status asks every member, briefly and all at once.
func (n *Node) Status(ctx context.Context) Status {
	p, id := n.fsm.read(), n.identity()
	s := Status{
		Cluster: id.Cluster, Generation: id.Epoch, Leader: n.leader(), Version: uint64(p.view.Ruling.Version),
		Joint: p.view.Ruling.Joint(), Promise: p.view.Ruling.Now.Promise, Declared: p.declared,
		Gate: n.lease.Allow() && !n.witness(), Closings: n.driver.closings.Load(), Epoch: p.epoch, Forced: p.forced, Stuck: p.stuck,
	}
	if r, ok := p.view.Ruling.Now.Rule.(interface{ String() string }); ok {
		s.Rule = r.String()
	}
	if r, ok := p.view.Ruling.Now.Rule.(interface{ Definition() []byte }); ok {
		s.Definition = r.Definition()
	}
	if r := n.current(); r != nil {
		s.Term, s.Applied, s.Commit = r.CurrentTerm(), r.AppliedIndex(), r.CommitIndex()
	}
	n.mu.Lock()
	s.Failover, s.FailoverAt = n.took, n.since
	n.mu.Unlock()
	s.Members = n.memberStatus(ctx, p)
	return s
}

func (n *Node) memberStatus(ctx context.Context, p published) []Member {
	servers, err := n.servers()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askBound)
	defer cancel()
	all := make([]Member, len(servers))
	var asked sync.WaitGroup
	for i, s := range servers {
		asked.Go(func() { all[i] = n.memberOf(ctx, s, p) })
	}
	asked.Wait()
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.Gateway, b.Gateway) })
	return all
}

func (n *Node) memberOf(ctx context.Context, server raft.Server, p published) Member {
	v := voterOf(server.ID)
	m := Member{Gateway: v.Name, Store: v.Store, Role: "member"}
	for _, r := range p.view.Ruling.Now.Voters {
		if r.VoterID == v {
			m.Role, m.Region = "voter", r.Region
			if r.Witness {
				m.Role = "witness"
			}
		}
	}
	for _, g := range p.gateways {
		if g.Gateway == v.Name {
			m.Fenced = g.Fenced != 0
			m.Region, m.Suspect = g.Region, g.Suspect != 0 && g.Fenced == 0
			if g.Fenced == 0 {
				m.Incarnation = uint64(g.Incarnation)
			}
		}
	}
	self := n.self()
	if v.Name != n.cfg.Gateway {
		var other Self
		began := time.Now()
		if n.call(ctx, v.Name, "self", struct{}{}, &other) != nil {
			return m
		}
		m.RTT = time.Since(began)
		self = other
	}
	if self.Store != v.Store {
		return m // its store is lost; this one is nobody
	}
	m.Up, m.Gate, m.Version, m.Applied = true, self.Gate, self.Version, self.Applied
	m.RTT = n.rtt(v.Name, m.RTT)
	m.Lag, m.Build = n.fsm.since(self.Entry), self.Build
	return m
}

// rtt is what the link has measured, or else what the question took.
func (n *Node) rtt(gateway string, asked time.Duration) time.Duration {
	if n.cfg.Links == nil {
		return 0
	}
	for _, l := range n.cfg.Links.Links() {
		if l.Gateway == gateway && l.Up && l.RTT > 0 {
			return l.RTT
		}
	}
	return asked
}

// Ready returns why this gateway has not caught up with the control group; none means that it has.
func (n *Node) Ready() []string {
	r := n.current()
	switch p := n.fsm.read(); {
	case n.foreign.Load():
		return []string{Foreign}
	case p.stuck != nil:
		return []string{"the control group's log has an entry that this release cannot read"}
	case n.left() != 0:
		return []string{"the fleet has gone on without this gateway: " + leftHint}
	case r == nil || p.cluster == "":
		return []string{"no control group yet"}
	case n.behind.late(r.AppliedIndex(), r.CommitIndex(), time.Now()):
		return []string{"the control group's log is not applied yet"}
	}
	return nil
}

// Figures are for metrics: what is known without asking anybody.
type Figures struct {
	Gate, Leader      bool
	Version, Closings uint64
	Fences            uint64
	Members, Up       int // servers of the group; those that there is a link with, this one included
}

// Figures returns them.
func (n *Node) Figures() Figures {
	f := Figures{
		Gate: n.lease.Allow() && !n.witness(), Leader: n.leading(), Version: n.driver.version.Load(),
		Closings: n.driver.closings.Load(), Fences: n.fences.Load(),
	}
	linked := n.linked()
	for _, name := range n.members() {
		f.Members++
		if name == n.cfg.Gateway || slices.Contains(linked, name) {
			f.Up++
		}
	}
	return f
}
