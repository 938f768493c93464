package edge

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/committed"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/keeper"
	"github.com/quorate/quorate/internal/keeper/sessionid"
	"github.com/quorate/quorate/internal/replica"
)

// kept is what outlives this process of its agents' sessions, and who decides where they are served.
type kept struct {
	key     *keeper.FleetKey
	records *committed.Part
	client  *committed.Client
	store   *replica.Store // nil at a witness
	keeper  *keeper.Keeper // nil at a witness
	plans   *plans
	out     outgoing
	began   time.Time
	reads   reads
	open    chan struct{} // closed once store and keeper are there
}

func newKept(cfg *config.Config) *kept {
	return &kept{key: &keeper.FleetKey{}, records: committed.NewPart(), plans: newPlans(cfg), began: time.Now(), open: make(chan struct{})}
}

// parts are those of the replicated state that are about sessions. The records are no groupPart: that would hide from
// the group that they are written as a stream; their errors are the group's own already.
func (k *kept) parts() map[string]control.Part {
	return map[string]control.Part{keeper.PartName: groupPart{k.key}, committed.PartName: k.records}
}

// ownParts are those that are of this fleet alone: the key proves ids that name lives of its log.
func ownParts() []string { return []string{keeper.PartName, committed.PartName} }

// slack is how far gateways' clocks may be apart for a claim to be kept as long as anybody may ask for its session.
const slack = 2 * time.Hour

// expired reports whether nobody can ask for a record any more.
func expired(record string, now time.Time) bool {
	id, err := sessionid.ParseRecord(record)
	return err == nil && id.Over(now.Add(-slack))
}

// ended takes in that a life is over.
func (e *Edge) ended(l authority.Life) {
	e.sessions.out.cut(l.Gateway)
	e.replaced()
	select {
	case <-e.sessions.open:
		e.sessions.plans.planner.Replaced()
		e.sessions.keeper.Wake()
	default:
	}
}

// suspected takes in that a gateway is probably lost.
func (e *Edge) suspected(gateway string) {
	select {
	case <-e.sessions.open:
		go e.sessions.keeper.Suspected(gateway)
	default:
	}
}

// lives reports whether a gateway carries traffic in a life that has not ended.
func (e *Edge) lives(gateway string) bool {
	return slices.ContainsFunc(e.gate.node.Carriers(), func(c control.Carrier) bool { return c.Gateway == gateway })
}

// replaced has the store look at its places and plans again.
func (e *Edge) replaced() {
	select {
	case <-e.sessions.open:
		e.sessions.store.Replaced()
	default:
	}
}

// committed returns what keeps a service's contents before agents are answered; nil where copies do. No service is the
// group: it may have contents of any.
func (e *Edge) committed(service string) keeper.Committed {
	k := e.sessions
	if service == "" {
		return inGroup{k.client}
	}
	switch k.plans.ofKeeper(service).Class {
	case keeper.Quorum:
		return inGroup{k.client}
	case keeper.Stored:
		return inStore{service, k.plans, k.store, k.plans.store}
	}
	return nil
}

// openKeeper opens the store of copies, and what decides about sessions.
func (e *Edge) openKeeper(cfg *config.Config) error {
	if isWitness(cfg) {
		return nil
	}
	k := e.sessions
	if err := k.plans.open(e, cfg); err != nil {
		return err
	}
	var err error
	if k.client, err = committed.New(committed.Config{
		Part: k.records, Group: e.gate.node, Ready: func() bool { return k.reads.have(committed.PartName) },
		Final: func(err error) bool { return errors.Is(err, control.ErrRefused) },
	}); err != nil {
		return err
	}
	if k.store, err = replica.Open(e.storeConfig(cfg)); err != nil {
		k.client.Close()
		return err
	}
	c := keeper.Config{
		Gateway: cfg.Name, Authority: claims{e.gate.node}, Store: k.store, Committed: e.committed, Key: k.key.Key,
		Former: e.former, Formers: k.plans.planner.Formers,
		Plan: k.plans.ofKeeper, Label: e.cluster, Clock: e.clock, Event: e.events.Add, Logger: e.log,
	}
	if cfg.Controlled() {
		c.Links = ways{e.links}
	}
	kept, err := keeper.New(c)
	if err != nil {
		k.client.Close()
		return errors.Join(err, k.store.Close(context.Background()))
	}
	kept.Serve(inMemory{e})
	k.keeper = kept
	close(k.open)
	return nil
}

func (e *Edge) storeConfig(cfg *config.Config) replica.Config {
	c := replica.Config{
		Gateway: cfg.Name, Region: cfg.Region, Places: e.places, Plan: e.sessions.plans.ofStore, Label: e.cluster,
		MaxRecord: int(cfg.Replication.MaxRecord), Clock: e.clock, Event: e.events.Add, Logger: e.log,
		Superseded: func(old replica.Outranked, ballot uint64, by string) {
			select {
			case <-e.sessions.open:
				e.sessions.keeper.Superseded(old, ballot, by)
			default:
			}
		},
	}
	if cfg.DataDir != "" {
		c.Dir = filepath.Join(cfg.DataDir, "replica")
	}
	if cfg.Controlled() {
		c.Transport = e.links.peers.TransportTo
	}
	return c
}

// places are the gateways that may hold copies.
func (e *Edge) places() []replica.Place {
	name := e.cfg.Load().Name
	var all []replica.Place
	for _, c := range e.gate.node.Carriers() {
		p := replica.Place{Gateway: c.Gateway, Region: c.Region, Up: c.Gateway == name}
		if l, ok := e.links.to(c.Gateway); ok {
			p.Up, p.RTT = p.Up || l.Up, l.RTT
		}
		all = append(all, p)
	}
	return all
}

// serveKeeper does what is done besides requests, until ctx ends.
func (e *Edge) serveKeeper(ctx context.Context) {
	e.done.Go(func() { e.sessions.key.Mint(ctx, e.gate.node, e.log) })
	e.done.Go(func() { e.sessions.reads.follow(ctx, e.gate.node) })
	if e.sessions.keeper != nil {
		e.done.Go(func() { e.sessions.keeper.Run(ctx) })
		e.done.Go(func() { _ = e.sessions.plans.planner.Run(ctx) }) // returns nil
		e.done.Go(func() { e.forgetRecords(ctx) })
	}
}

// forgetEvery is how often the leader has records forgotten whose time is over.
const forgetEvery = time.Minute

func (e *Edge) forgetRecords(ctx context.Context) {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if e.gate.node.Leader() != e.cfg.Load().Name {
			continue
		}
		now, sure := e.clock()
		if !sure {
			continue
		}
		if err := e.sessions.client.Expire(ctx, now.Add(-slack)); err != nil {
			e.log.Debug("records that are over are not forgotten yet", "cause", err.Error())
		}
	}
}

// flushSessions brings what was kept to its copies, as far as ctx allows, while this gateway's life goes on.
func (e *Edge) flushSessions(ctx context.Context) {
	if e.sessions.store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushBound)
	defer cancel()
	if err := e.sessions.store.Flush(ctx); err != nil {
		e.log.Warn("some sessions have not reached their copies", "cause", err.Error())
	}
}

// flushBound bounds what the end of a gateway waits for copies.
const flushBound = 3 * time.Second

// closeKeeper closes the stores.
func (e *Edge) closeKeeper(ctx context.Context) error {
	if e.sessions.store == nil {
		return nil
	}
	e.sessions.client.Close()
	return e.sessions.store.Close(context.WithoutCancel(ctx))
}

// claims is the control group as the keeper asks it.
type claims struct{ *control.Node }

// Claim implements keeper.Authority.
func (c claims) Claim(ctx context.Context, t authority.Take) (authority.Index, error) {
	ballot, err := c.Node.Claim(ctx, t)
	if errors.Is(err, control.ErrRefused) {
		err = errors.Join(authority.ErrRefused, err)
	}
	return ballot, err
}

// Carriers implements keeper.Authority.
func (c claims) Carriers() []authority.Life {
	var all []authority.Life
	for _, one := range c.Node.Carriers() {
		all = append(all, one.Life)
	}
	return all
}

// ways are the links as the keeper sees them.
type ways struct{ *links }

// Up implements keeper.Links.
func (w ways) Up(gateway string) bool {
	l, ok := w.to(gateway)
	return ok && l.Up
}

// Transport implements keeper.Links.
func (w ways) Transport(gateway string) http.RoundTripper { return w.peers.TransportTo(gateway) }

// inMemory are the sessions of this gateway's agents.
type inMemory struct{ e *Edge }

// Owns implements keeper.Sessions.
func (s inMemory) Owns(service, id string) bool {
	m, ok := s.e.gateway.OwnSessions(service)
	return ok && m.Owns(id)
}

// Release implements keeper.Sessions.
func (s inMemory) Release(service, id string) ([]byte, bool) {
	m, ok := s.e.gateway.OwnSessions(service)
	if !ok {
		return nil, false
	}
	return m.Release(id)
}

// Yield implements keeper.Sessions.
func (s inMemory) Yield(service, id string) {
	if m, ok := s.e.gateway.OwnSessions(service); ok {
		m.Yield(id)
	}
}

// All implements keeper.Sessions.
func (s inMemory) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, c := range s.e.cfg.Load().Services {
			m, ok := s.e.gateway.OwnSessions(c.Name)
			if !ok {
				continue
			}
			for id := range m.Keepable() {
				if !yield(c.Name, id) {
					return
				}
			}
		}
	}
}

// sessionKeeper is the data plane's way to the keeper, which is opened after it.
type sessionKeeper struct{ k *kept }

// Life implements session.Keeper.
func (s sessionKeeper) Life() uint64 { return s.k.keeper.Life() }

// Mint implements session.Keeper.
func (s sessionKeeper) Mint() (string, uint64) { return s.k.keeper.Mint() }

// Changes implements session.Keeper.
func (s sessionKeeper) Changes(service string) *mcp.Error { return s.k.keeper.Changes(service) }

// Ends implements session.Keeper.
func (s sessionKeeper) Ends(service string) *mcp.Error { return s.k.keeper.Ends(service) }

// Commits implements session.Keeper.
func (s sessionKeeper) Commits(service string) bool { return s.k.keeper.Commits(service) }

// Keep implements session.Keeper.
func (s sessionKeeper) Keep(ctx context.Context, service, id string, contents []byte, how session.How) error {
	return s.k.keeper.Keep(ctx, service, id, contents, how)
}

// Drop implements session.Keeper.
func (s sessionKeeper) Drop(ctx context.Context, service, id string, how session.How) error {
	return s.k.keeper.Drop(ctx, service, id, how)
}

// Find implements session.Keeper.
func (s sessionKeeper) Find(ctx context.Context, service, id string) (session.Found, error) {
	return s.k.keeper.Find(ctx, service, id)
}

// serveCopies answers other gateways about copies and owners, as soon as this one has a store.
func (e *Edge) serveCopies(w http.ResponseWriter, r *http.Request) {
	var h http.Handler
	select {
	case <-e.sessions.open:
		h = e.sessions.keeper
		if strings.HasPrefix(r.URL.Path, replica.Path) {
			h = e.sessions.store
		}
	default:
		http.Error(w, "not started yet, or it has no copies", http.StatusServiceUnavailable)
		return
	}
	h.ServeHTTP(w, r)
}

// meeting is how long a new fleet has to find out whether all of its members can have a key.
const meeting = 10 * time.Second

// keeping returns why sessions do not outlive this gateway yet; none: they do, as far as they are to.
func (e *Edge) keeping() []string {
	if e.sessions.store == nil {
		return nil
	}
	return slices.Concat(e.sessions.store.Ready(), e.sessions.plans.ready(), e.keyless())
}

// keyless returns why new sessions would end with this process; none: they would not, or that is how it has to be: some
// member of the group runs an older release, or nobody lets this gateway join now.
func (e *Edge) keyless() (why []string) {
	k := e.sessions
	if k.store == nil {
		return nil
	}
	begins := time.Since(k.began) < meeting
	if k.key.Key() == nil && (begins || k.reads.have(keeper.PartName)) {
		why = append(why, "the fleet has no key for session ids yet")
	}
	if k.keeper.Life() == 0 && begins {
		why = append(why, "this gateway has not joined the control group yet")
	}
	return why
}

// founding bounds what a fleet of one waits for itself.
const founding = 3 * time.Second

// found waits until a fleet of one has its group, its life and its key, a fraction of a second: from the first one on,
// sessions outlive a restart.
func (e *Edge) found(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, founding)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(e.gate.node.Ready()) > 0 || len(e.keyless()) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Learn implements gateway.Handles.
func (s sessionKeeper) Learn(service, handle, place string) { s.k.keeper.Learn(service, handle, place) }

// Lookup implements gateway.Handles.
func (s sessionKeeper) Lookup(ctx context.Context, service, handle string) (string, bool) {
	return s.k.keeper.Lookup(ctx, service, handle)
}
