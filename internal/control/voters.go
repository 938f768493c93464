package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/events"
	"github.com/quorate/quorate/strategies"
)

// voterQuery asks the leader for a change of voters.
type voterQuery struct {
	Name string `json:"name"`
	Add  bool   `json:"add"`
	// Declared is how many voters there are to be in the end; 0: as many as there will be.
	Declared int `json:"declared"`
}

// AddVoter makes a gateway of the roster a voter. declared is how many voters there are to be in the end, so that a
// group may grow from one over two to three; 0: what is declared already. It returns when the rule counts it.
func (n *Node) AddVoter(ctx context.Context, name string, declared int) error {
	return n.askVoters(ctx, voterQuery{Name: name, Add: true, Declared: declared})
}

// RemoveVoter takes a voter out of the rule, and then its vote. It stays a member.
func (n *Node) RemoveVoter(ctx context.Context, name string) error {
	return n.askVoters(ctx, voterQuery{Name: name})
}

func (n *Node) askVoters(ctx context.Context, q voterQuery) error {
	ctx, cancel := context.WithTimeout(ctx, votersTimeout)
	defer cancel()
	b, err := encode(q)
	if err != nil {
		return err
	}
	return n.toLeader(ctx, "voters", b, &struct{}{}, func() (any, error) { return struct{}{}, n.votersHere(ctx, q) })
}

// votersHere changes the voters at the leader.
func (n *Node) votersHere(ctx context.Context, q voterQuery) error {
	if !n.leading() {
		return errNotLeader
	}
	n.one.Lock()
	defer n.one.Unlock()
	if err := n.settled(ctx); err != nil {
		return err
	}
	p := n.fsm.read()
	declared := max(p.declared, q.Declared)
	if !q.Add {
		return n.dismiss(ctx, q.Name, p)
	}
	servers, err := n.servers()
	if err != nil {
		return err
	}
	known := false
	for _, s := range slices.Backward(servers) {
		v := voterOf(s.ID)
		known = known || v.Name == q.Name
		if v.Name == q.Name && n.newest(v) {
			if slices.ContainsFunc(p.view.Ruling.Now.Voters, func(m authority.Member) bool { return m.VoterID == v }) {
				return nil
			}
			return n.promote(ctx, s, max(declared, len(p.view.Ruling.Now.Voters)+1))
		}
	}
	if known {
		return fmt.Errorf("%w: %.64q does not answer the leader yet, has not caught up, or has control.role member", ErrNoQuorum, q.Name)
	}
	return fmt.Errorf("%w: %w %.64q: start it with control.join first", ErrRefused, ErrStranger, q.Name)
}

// ErrStranger says that the group has no gateway of a name.
var ErrStranger = errors.New("the group has no gateway")

// settled waits until no change of rule is under way: there is one at a time, and n.one, which is held, keeps others
// from beginning.
func (n *Node) settled(ctx context.Context) error {
	tick := time.NewTicker(n.cfg.Interval / quarters)
	defer tick.Stop()
	for {
		if r := n.fsm.read().view.Ruling; !r.Joint() {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: another change of rule waits for voters", ErrNoQuorum)
		}
	}
}

// Voters returns the voters of the rule that is applied here, by name.
func (n *Node) Voters() []authority.Member { return slices.Clone(n.fsm.read().view.Ruling.Now.Voters) }

// tell asks a gateway who it is.
func (n *Node) tell(name string) (Self, bool) {
	if name == n.cfg.Gateway {
		return n.self(), true
	}
	ctx, cancel := context.WithTimeout(n.ctx, time.Second)
	defer cancel()
	var s Self
	err := n.call(ctx, name, "self", struct{}{}, &s)
	return s, err == nil && s.Gateway == name
}

// promote gives a server a vote, and its place in the rule: in this order, each step on its own. n.one is held.
func (n *Node) promote(ctx context.Context, s raft.Server, declared int) error {
	v := voterOf(s.ID)
	self, ok := n.tell(v.Name)
	if !ok || self.Store != v.Store {
		return fmt.Errorf("%w: %s does not answer", ErrNoQuorum, v.Name)
	}
	p, h, err := n.moment(ctx)
	if err != nil {
		return err
	}
	voters, replaced := seated(p.view.Ruling.Now.Voters, authority.Member{VoterID: v, Region: self.Region, Witness: self.Role == strategies.Witness.String()})
	q, err := n.quorum(ctx, voters, p.gateways, declared, p.view.Ruling.Now.Promise)
	if err != nil {
		return n.unruled(err) // before it has a vote, not after
	}
	h.voters[v] = told{} // it answered just now
	if err := n.possible(h, q); err != nil {
		return err
	}
	if replaced != (authority.VoterID{}) { // first: with one more that is lost, fewer of the others could be missing
		if err := n.expel(replaced); err != nil {
			return err
		}
	}
	if err := n.enfranchise(s); err != nil {
		return err
	}
	err = n.seat(ctx, p, h, q, declared)
	if errors.Is(err, ErrRefused) {
		return errors.Join(err, n.demote(s.ID))
	}
	return err // the change may still become final: judgeVoters sees what has become of it
}

func (n *Node) enfranchise(s raft.Server) error {
	r := n.current()
	if r == nil {
		return errNotLeader
	}
	if err := r.AddVoter(s.ID, s.Address, 0, Patience).Error(); err != nil {
		return ended(err)
	}
	n.log.Info("control group: a gateway has a vote", "server", string(s.ID))
	n.cfg.Event(events.VotersChanged, nameOf(s.ID), "it has a vote")
	return nil
}

// seated returns the voters with one more, in the place of its former store.
func seated(voters []authority.Member, m authority.Member) (all []authority.Member, replaced authority.VoterID) {
	for _, v := range voters {
		if v.Name == m.Name {
			replaced = v.VoterID
			continue
		}
		all = append(all, v)
	}
	return append(all, m), replaced
}

func (n *Node) moment(ctx context.Context) (published, hearings, error) {
	h, err := n.hearings(ctx)
	return n.fsm.read(), h, err
}

// seat changes the rule and waits until it is final.
func (n *Node) seat(ctx context.Context, p published, h hearings, q authority.Quorum, declared int) error {
	if err := n.change(ctx, p, h, q, declared); err != nil {
		return err
	}
	tick := time.NewTicker(n.cfg.Interval / quarters)
	defer tick.Stop()
	for {
		now := n.fsm.read().view.Ruling
		if now.Version > p.view.Ruling.Version && !now.Joint() {
			if !seats(now.Now.Voters, q.Voters) {
				return fmt.Errorf("%w: the change was taken back", ErrRefused)
			}
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: the change of rule waits for voters", ErrNoQuorum)
		}
	}
}

// seats reports whether two lists name the same voters.
func seats(a, b []authority.Member) bool {
	in := func(all []authority.Member, v authority.Member) bool {
		return slices.ContainsFunc(all, func(m authority.Member) bool { return m.VoterID == v.VoterID })
	}
	return len(a) == len(b) && !slices.ContainsFunc(b, func(v authority.Member) bool { return !in(a, v) })
}

// dismiss takes a voter out of the rule, and then its vote. n.one is held.
func (n *Node) dismiss(ctx context.Context, name string, p published) error {
	var left []authority.Member
	var gone authority.VoterID
	for _, v := range p.view.Ruling.Now.Voters {
		if v.Name == name {
			gone = v.VoterID
		} else {
			left = append(left, v)
		}
	}
	switch {
	case gone.Name == "":
		return fmt.Errorf("%w: no voter %.64q", ErrRefused, name)
	case len(left) == 0:
		return fmt.Errorf("%w: %s is the only voter", ErrRefused, name)
	}
	h, err := n.hearings(ctx)
	if err != nil {
		return err
	}
	q, err := n.quorum(ctx, left, p.gateways, len(left), p.view.Ruling.Now.Promise)
	if err != nil {
		return n.unruled(err)
	}
	if err := n.seat(ctx, p, h, q, len(left)); err != nil {
		return err
	}
	return n.demote(idOf(gone))
}

// unruled says why voters do not change: their rule is refused, or nobody could be asked for one, and may be in a moment.
func (n *Node) unruled(err error) error {
	if errors.Is(err, ErrNoQuorum) {
		return err
	}
	if !n.leading() {
		return fmt.Errorf("%w: %w", ErrNoQuorum, err)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

func (n *Node) demote(id raft.ServerID) error {
	r := n.current()
	if r == nil {
		return errNotLeader
	}
	if err := r.DemoteVoter(id, 0, Patience).Error(); err != nil {
		return ended(err)
	}
	n.log.Info("control group: a gateway has no vote any more", "server", string(id))
	n.cfg.Event(events.VotersChanged, nameOf(id), "it has no vote any more")
	return nil
}

// expel removes a server whose store is lost, if it is there.
func (n *Node) expel(v authority.VoterID) error {
	r := n.current()
	servers, err := n.servers()
	if err != nil || r == nil || !slices.ContainsFunc(servers, func(s raft.Server) bool { return s.ID == idOf(v) }) {
		return err
	}
	if err := r.RemoveServer(idOf(v), 0, Patience).Error(); err != nil {
		return ended(err)
	}
	n.log.Info("control group: a store that was lost is out", "server", v.String())
	return nil
}
