package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/events"
	"github.com/quorate/quorate/plugins/host"
)

// controlled answers other gateways' requests of the control group.
func (e *Edge) controlled(w http.ResponseWriter, r *http.Request) {
	if !e.cfg.Load().Controlled() {
		http.Error(w, "no control group here", http.StatusNotFound)
		return
	}
	e.gate.node.ServeHTTP(w, r)
}

// writable says whether this gateway may write, and if not, why and what to do.
func (e *Edge) writable() (open bool, why string) {
	node, witness := e.gate.node, isWitness(e.cfg.Load())
	if !witness && node.Allow() {
		return true, ""
	}
	return false, closedBy(node.Refused(), witness, node.Cluster() != "", node.Leader() != "")
}

// closedBy is why a gate is closed. That the fleet refuses this gateway comes first: of a witness too, which never writes.
func closedBy(refused, witness, begun, led bool) string {
	switch {
	case refused:
		return control.Foreign
	case witness:
		return "this is a witness: it carries no traffic"
	case !begun:
		return "the control group has not begun: start every voter that control.expect names"
	case !led:
		return "no voters that satisfy the rule acknowledge this gateway, and no leader is known: restore the links to the other voters"
	}
	return "no voters that satisfy the rule acknowledge this gateway: it has just started, is suspected, or its links to them are cut"
}

// operators is what operators ask and order of the control group.
func (e *Edge) operators() *admin.Control {
	return &admin.Control{
		Cluster: e.clusterStatus, Lead: e.lead, Reconcile: e.reconcile, Verify: e.verify,
		Snapshot: func(ctx context.Context) ([]byte, error) {
			b, err := e.gate.node.Save(ctx)
			return b, forOperators(err)
		},
		Restore: func(ctx context.Context, b []byte, by string) error {
			e.log.Warn("the control group's settings are replaced by a snapshot", "by", by)
			err := e.gate.node.Load(ctx, b)
			if err == nil {
				e.events.Add(events.Restored, e.cfg.Load().Name, "by "+by)
			}
			return forOperators(err)
		},
	}
}

// forOperators translates the control group's errors.
func forOperators(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, control.ErrBadSnapshot):
		return fmt.Errorf("%w: %w", admin.ErrBadSnapshot, err)
	case errors.Is(err, control.ErrNoQuorum):
		return fmt.Errorf("%w: %w", admin.ErrNoQuorum, err)
	case errors.Is(err, control.ErrRefused):
		return fmt.Errorf("%w: %w", admin.ErrRefused, err)
	}
	return err
}

// leaderWait is how long an order to lead waits for a leader: longer than an election and a transfer take.
const leaderWait = 5 * time.Second

// lead moves leadership to a region, by way of the log or, on the operator's word, without one.
func (e *Edge) lead(ctx context.Context, o admin.Leadership) error {
	asking, cancel := context.WithTimeout(ctx, leaderWait)
	defer cancel()
	err := e.gate.node.Lead(asking, o.Region)
	if !errors.Is(err, control.ErrNoQuorum) {
		return forOperators(err)
	}
	if !o.Attest {
		return fmt.Errorf("%w: %w", admin.ErrNeedsAttest, err)
	}
	return forOperators(e.gate.node.Force(ctx, o.Region, o.By))
}

// agree has every gateway come up to the leader's last commit, and compares what they have.
func (e *Edge) agree(ctx context.Context) (admin.Agreement, error) {
	index, all, err := e.gate.node.Verify(ctx)
	if err != nil {
		return admin.Agreement{}, forOperators(err)
	}
	out := admin.Agreement{Agreed: true, Index: index}
	for _, a := range all {
		c := admin.Compared{Gateway: a.Gateway, Reached: a.Digest != "", Digest: a.Digest, Agrees: a.Problem == "", Problem: a.Problem}
		if c.Reached {
			c.Applied = index
		}
		out.Agreed = out.Agreed && c.Agrees
		out.Replies = append(out.Replies, c)
	}
	return out, nil
}

// verify compares the replicated state and the copies of sessions, and changes nothing.
func (e *Edge) verify(ctx context.Context) (admin.Agreement, error) {
	a, err := e.agree(ctx)
	if err != nil {
		return a, err
	}
	return e.withCopies(ctx, a), nil
}

// reconcile brings gateways and copies of sessions together, and compares them again.
func (e *Edge) reconcile(ctx context.Context) (admin.Agreement, error) {
	a, err := e.catchUp(ctx)
	if err != nil {
		return a, err
	}
	if e.sessions.store == nil {
		return a, nil
	}
	e.sessions.keeper.Compare(ctx, true)
	a = e.withCopies(ctx, a)
	dropped := e.sessions.keeper.AllDropped(ctx)
	a.Dropped, a.DroppedMore = droppedOf(dropped.All), dropped.More
	return a, nil
}

// catchUp compares until every gateway has come up to one entry, as long as ctx allows.
func (e *Edge) catchUp(ctx context.Context) (admin.Agreement, error) {
	for {
		a, err := e.agree(ctx)
		if err != nil || a.Agreed {
			return a, err
		}
		select {
		case <-time.After(askAround):
		case <-ctx.Done():
			return a, nil // what is left stands in it
		}
		if until, ok := ctx.Deadline(); ok && time.Until(until) < control.Patience {
			return a, nil
		}
	}
}

// askAround bounds what a status may wait for other gateways.
const askAround = time.Second

func (e *Edge) clusterStatus() admin.Cluster {
	ctx, cancel := context.WithTimeout(e.running, askAround)
	defer cancel()
	s, cfg := e.gate.node.Status(ctx), e.cfg.Load()
	open, why := e.writable()
	c := admin.Cluster{
		ID: s.Cluster, Generation: s.Generation, Epoch: s.Epoch, Declared: s.Declared, Gateway: cfg.Name, Leader: s.Leader, Term: s.Term, Commit: s.Commit, Applied: s.Applied,
		Gate: admin.Gate{Open: open, Reason: why}, Minority: cfg.SplitBrain.Mode().String(), Plugin: e.pluginStatus(),
		Rule: admin.Rule{Version: s.Version, Strategy: e.chosen().name, Words: s.Rule, Definition: s.Definition, Changing: s.Joint, PromiseMS: milliseconds(s.Promise)},
	}
	if !s.FailoverAt.IsZero() {
		c.LastFailover = &admin.Failover{At: admin.Time{Time: s.FailoverAt}, TookMS: milliseconds(s.Failover)}
	}
	if s.Stuck != nil {
		c.Problem = s.Stuck.Error() + "; install a release that reads it"
	}
	for _, f := range s.Forced {
		c.Forced = append(c.Forced, admin.Forcing{At: f.At, By: f.By, RuleVersion: uint64(f.Version)})
	}
	for _, m := range s.Members {
		c.Gateways = append(c.Gateways, memberStatus(m))
		c.Partition = c.Partition || !m.Up && !m.Fenced
	}
	return c
}

func memberStatus(m control.Member) admin.Member {
	gate := ""
	if m.Up {
		gate = map[bool]string{true: "open", false: "closed"}[m.Gate]
	}
	return admin.Member{
		Gateway: m.Gateway, Region: m.Region, Role: m.Role, Up: m.Up, RTTMS: milliseconds(m.RTT), Gate: gate,
		Incarnation: m.Incarnation, Suspected: m.Suspect, Fenced: m.Fenced, RuleVersion: m.Version, Applied: m.Applied,
		LagMS: milliseconds(m.Lag), Version: m.Build,
	}
}

func (e *Edge) pluginStatus() admin.Plugin {
	if e.strategy == nil {
		return admin.Plugin{State: "idle"}
	}
	s := e.strategy.Status()
	p := admin.Plugin{Name: s.Strategy, Restarts: uint64(s.Restarts), State: "idle"}
	switch {
	case !s.Leads:
	case s.State == host.Running:
		p.State = "running"
	default:
		p.State = "restarting"
	}
	if s.Err != nil {
		p.Cause = s.Err.Error()
		if p.State == "running" {
			p.State = "refused"
		}
	}
	return p
}

// meter reads the control group's figures.
type meter struct{ e *Edge }

// Figures implements controlMeter.
func (m meter) Figures() controlFigures {
	node := m.e.gate.node
	if node == nil || !m.e.cfg.Load().Controlled() {
		return alone{}.Figures()
	}
	f := node.Figures()
	out := controlFigures{
		NodesUp: f.Up, Partition: f.Up < f.Members, Leads: f.Leader, GateOpen: f.Gate, GateClosings: f.Closings,
		RuleVersion: f.Version, Fences: f.Fences, RoundTrips: map[string]time.Duration{},
	}
	if m.e.strategy != nil {
		out.PluginRestarts = uint64(m.e.strategy.Status().Restarts)
	}
	for _, l := range m.e.links.list() {
		if l.Up && l.Gateway != "" && l.RTT > 0 {
			out.RoundTrips[l.Gateway] = l.RTT
		}
	}
	return out
}
