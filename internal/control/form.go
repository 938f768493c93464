package control

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/strategies"
)

// founding is how a cluster begins: its id and its first voters, the same at each of them.
type founding struct {
	Cluster string    `json:"cluster"`
	Voters  []founder `json:"voters"` // by name
}

// founder is one of the first voters.
type founder struct {
	Name    string `json:"name"`
	Store   string `json:"store"`
	Region  string `json:"region"`
	Address string `json:"address"`
	Witness bool   `json:"witness,omitempty"`
}

func (f *founder) voter() authority.VoterID { return authority.VoterID{Name: f.Name, Store: f.Store} }

// names returns the names of the first voters.
func (f *founding) names() []string {
	var all []string
	for _, v := range f.Voters {
		all = append(all, v.Name)
	}
	return all
}

func (f *founding) configuration() raft.Configuration {
	var c raft.Configuration
	for _, v := range f.Voters {
		c.Servers = append(c.Servers, raft.Server{Suffrage: raft.Voter, ID: idOf(v.voter()), Address: serverAddress(v.Address, v.Store)})
	}
	return c
}

// lookEvery is how often a gateway without a cluster asks around.
const lookEvery = 200 * time.Millisecond

// form waits until this gateway is of a cluster: it founds one with those expected, if all of them are there and
// none of them is of one already, or it joins.
func (n *Node) form(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	said := ""
	for n.clusterLabel() == "" {
		err := n.tryForm(ctx)
		if err != nil && err.Error() != said {
			said = err.Error()
			n.log.Info("no control group yet", "cause", said)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	if n.cfg.Alone {
		return
	}
	n.stay(ctx)
}

func (n *Node) tryForm(ctx context.Context) error {
	switch id := n.identity(); {
	case id.Cluster != "": // noted, but Raft did not start
		return n.enrolled()
	case id.Founded != nil: // it was begun, and this process ended before it was done
		return n.found(*id.Founded)
	}
	others, missing := n.lookAround(ctx)
	if formed := ofClusters(others); len(formed) > 0 {
		return n.enterOne(ctx, formed)
	}
	switch {
	case !n.cfg.Role.Votes() || !slices.Contains(n.cfg.Expect, n.cfg.Gateway):
		return errors.New("no gateway of a cluster is linked")
	case n.cfg.founder() != n.cfg.Gateway:
		return fmt.Errorf("waiting for %s to begin", n.cfg.founder())
	case len(missing) > 0:
		return fmt.Errorf("waiting for %v: the first start needs every voter that is expected", missing)
	}
	return n.begin(ctx, others)
}

// ofClusters returns those that are of a cluster: those of the last generation first, and those that know a leader.
func ofClusters(others []Self) []Self {
	formed := slices.DeleteFunc(slices.Clone(others), func(s Self) bool { return s.Cluster == "" })
	slices.SortStableFunc(formed, func(a, b Self) int {
		return cmp.Or(cmp.Compare(b.Epoch, a.Epoch), cmp.Compare(len(b.Leader), len(a.Leader)))
	})
	return formed
}

// enterOne enters the first cluster that takes this gateway in: some may be of a generation that was left.
func (n *Node) enterOne(ctx context.Context, formed []Self) error {
	var problems []error
	for _, s := range formed {
		err := n.enter(ctx, s)
		if err == nil {
			return nil
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// lookAround asks every gateway that is linked who it is. missing are those expected that did not answer.
func (n *Node) lookAround(ctx context.Context) (others []Self, missing []string) {
	for _, name := range n.linked() {
		var s Self
		if err := n.call(ctx, name, "self", struct{}{}, &s); err == nil && s.Gateway == name {
			others = append(others, s)
		}
	}
	for _, name := range n.cfg.Expect {
		if name != n.cfg.Gateway && !slices.ContainsFunc(others, func(s Self) bool { return s.Gateway == name }) {
			missing = append(missing, name)
		}
	}
	return others, missing
}

// begin founds a cluster. Only the first by name of those expected does, so there is one founding; it is on this
// disk before anybody is told.
func (n *Node) begin(ctx context.Context, others []Self) error {
	f := founding{Cluster: rand.Text(), Voters: []founder{n.asFounder()}}
	for _, s := range others {
		if !slices.Contains(n.cfg.Expect, s.Gateway) {
			continue
		}
		if err := n.agrees(s); err != nil {
			return err
		}
		f.Voters = append(f.Voters, founder{s.Gateway, s.Store, s.Region, s.Address, s.Role == strategies.Witness.String()})
	}
	slices.SortFunc(f.Voters, func(a, b founder) int { return cmp.Compare(a.Name, b.Name) })
	if err := n.found(f); err != nil {
		return err
	}
	for _, s := range others {
		if slices.Contains(n.cfg.Expect, s.Gateway) {
			n.work.Go(func() { _ = n.call(ctx, s.Gateway, "found", f, &struct{}{}) }) // or it asks
		}
	}
	return nil
}

// asFounder is this gateway as one of the first voters.
func (n *Node) asFounder() founder {
	return founder{n.cfg.Gateway, n.me().Store, n.cfg.Region, n.cfg.Address, n.witness()}
}

// agrees returns why a gateway cannot be one of the first voters, or nil. All of them must expect the same ones: two
// foundings have a gateway in common then, which takes part in one.
func (n *Node) agrees(s Self) error {
	role, err := strategies.ParseRole(s.Role)
	switch mine := slices.Sorted(slices.Values(n.cfg.Expect)); {
	case err != nil || !role.Votes():
		return fmt.Errorf("%s is expected as a voter, and says that it is a %.20q", s.Gateway, s.Role)
	case !slices.Equal(s.Expect, mine):
		return fmt.Errorf("%s expects %.200q, here %q are expected: write the same in every voter's file", s.Gateway, s.Expect, mine)
	}
	return nil
}

// found makes this store one of a cluster's first. It can be repeated: Raft has not begun before it is done.
func (n *Node) found(f founding) error {
	n.one.Lock()
	defer n.one.Unlock()
	id := n.identity()
	if id.Cluster != "" {
		return nil
	}
	e, err := n.store.extent()
	if err == nil && e.begun() && id.Founded.Cluster != f.Cluster {
		err = fmt.Errorf("%w: this store has begun as one of cluster %s", ErrRefused, id.Founded.Cluster)
	}
	if err == nil {
		err = n.note(func(id *identity) { id.Founded = &f })
	}
	if err == nil && !e.begun() {
		err = n.bootstrap(f)
	}
	if err != nil {
		return fmt.Errorf("control: found: %w", err)
	}
	n.log.Info("control group begins", "cluster", f.Cluster, "voters", f.names())
	return n.enroll(f.Cluster, 1, "")
}

// bootstrap writes the first entry. The term that an interrupted one has left is taken back, or it would be refused.
func (n *Node) bootstrap(f founding) error {
	if err := n.store.stable.SetUint64(termKey, 0); err != nil {
		return err
	}
	_, t := raft.NewInmemTransport("bootstrap") // says nothing; it is only asked for its form of addresses
	return raft.BootstrapCluster(n.raftConfig(n.cfg.Distance), n.store.logs, n.store.stable, n.store.snapshots, t, f.configuration())
}

// enroll notes the cluster and starts Raft; n.one is held.
func (n *Node) enroll(cluster string, generation uint64, forcer string) error {
	if err := n.note(func(id *identity) { id.Cluster, id.Epoch, id.Forcer = cluster, generation, forcer }); err != nil {
		return fmt.Errorf("control: enroll: %w", err)
	}
	if err := n.startRaft(); err != nil {
		return err
	}
	n.relabel()
	return nil
}

// enrolled starts Raft if whoever noted the cluster could not.
func (n *Node) enrolled() error {
	n.one.Lock()
	defer n.one.Unlock()
	if n.current() != nil {
		return nil
	}
	id := n.identity()
	return n.enroll(id.Cluster, id.Epoch, id.Forcer)
}

// adopt takes part in a founding, if it is ours to take part in.
func (n *Node) adopt(f founding, from peer.Identity) error {
	me := slices.IndexFunc(f.Voters, func(v founder) bool { return v.voter() == n.me() })
	names := slices.Sorted(slices.Values(n.cfg.Expect))
	switch {
	case f.Cluster == "" || len(f.Cluster) > authority.MaxName || me < 0:
		return fmt.Errorf("%w: this store is not in the founding", ErrRefused)
	case !slices.Equal(f.names(), names):
		return fmt.Errorf("%w: the founding names %v, here %v are expected: write the same in every voter's file", ErrRefused, f.names(), names)
	case !slices.Contains(f.names(), from.Gateway):
		return fmt.Errorf("%w: %s is none of the voters", ErrRefused, from.Gateway)
	}
	return n.found(f)
}

// enter joins the cluster of a gateway that is linked: as one of its first, if it was meant to be, or as a new
// member.
func (n *Node) enter(ctx context.Context, s Self) error {
	if f := s.Founded; f != nil && f.Cluster == s.Cluster && s.Epoch == 1 &&
		slices.ContainsFunc(f.Voters, func(v founder) bool { return v.voter() == n.me() }) {
		return n.found(*f)
	}
	if err := n.ask(ctx, s.Gateway); err != nil {
		return err
	}
	n.one.Lock()
	defer n.one.Unlock()
	if n.identity().Cluster != "" {
		return nil
	}
	n.log.Info("joining the control group", "cluster", s.Cluster, "by", s.Gateway)
	return n.enroll(s.Cluster, s.Epoch, s.Forcer)
}
