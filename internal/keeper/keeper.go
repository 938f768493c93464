// Package keeper decides which gateway serves a session: it mints ids, has sessions claimed whose owner's life is over,
// asks living owners for those whose agents have moved, keeps what sessions are in the stores, and tells what was lost.
// It must not know messages of MCP, the agents' HTTP, disks, or how the control group agrees.
//
// The protocol is "The way of a session" in the design. Ownership is the control group's: a life owns what it minted,
// until a claim is committed. Contents are the stores'. A decision is a pure function of both (situation.next).
package keeper

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/keeper/sessionid"
	"github.com/quorate/quorate/internal/replica"
)

// Authority is what the control group has agreed on, as it is applied here. All but Claim are quick; Life is asked on
// the request path.
type Authority interface {
	Life() authority.Life // this gateway's present one; Incarnation 0: none
	Allow() bool          // this gateway may write now
	Owner(record string, minter authority.Life) authority.Claim
	Ended(l authority.Life) bool
	// Claim returns when the claim is committed and applied here. What wraps authority.ErrRefused was refused for good.
	Claim(ctx context.Context, t authority.Take) (ballot authority.Index, err error)
	// Promise is how long a gateway that nobody hears may hold on to its gate.
	Promise() time.Duration
	// ToLeader is the round trip to whoever commits claims; 0: this gateway does, or it is not known.
	ToLeader() time.Duration
	// Carriers are the gateways that carry traffic and whose lives have not ended.
	Carriers() []authority.Life
}

// Store keeps contents here and at other gateways. *replica.Store is one.
type Store interface {
	Get(k replica.Key) (replica.Record, bool)
	Put(ctx context.Context, r replica.Record, copies int) error
	Fetch(ctx context.Context, k replica.Key, ballot uint64, except string) (replica.Fetched, error)
	Status(k replica.Key) (replica.Status, bool)
	Each(f func(replica.Record) bool)
	Lagging(service string) error
}

// Links are the ways to other gateways.
type Links interface {
	Up(gateway string) bool // it can be asked now
	Transport(gateway string) http.RoundTripper
}

// Sessions are those in this gateway's memory.
type Sessions interface {
	Owns(service, id string) bool
	// Release stops serving a session for good if nothing is under way in it, and returns its contents.
	Release(service, id string) (contents []byte, ok bool)
	// All yields services and ids of the sessions here that outlive this gateway, whichever life owns them.
	All() iter.Seq2[string, string]
	// Yield lets go of a session that another gateway owns.
	Yield(service, id string)
}

// Class is where a service's contents are kept.
type Class uint8

// The classes.
const (
	Async  Class = iota // copies at other gateways, a moment later
	Quorum              // the control group, before the agent is answered
	Stored              // a store of the strategy's own, before the agent is answered
)

// Plan is how a service's sessions are kept.
type Plan struct {
	Class   Class
	Copies  int           // of Async, at other gateways
	Timeout time.Duration // how long an opening waits for its first copy
	Retries int           // tries before what waits counts as failed
}

// Config is what a Keeper needs. Fields without a default are required.
type Config struct {
	Gateway   string
	Authority Authority
	Store     Store
	// Committed is what keeps a service's contents before agents are answered; it returns nil for those of class Async.
	// For the service "" it is the control group, if that may hold contents of services that were of class Quorum before.
	// nil: all are of class Async, and always were.
	Committed func(service string) Committed
	// Former is the store that kept a service's contents before another strategy was chosen, while it is still asked; it
	// returns nil where there is none. nil: there never is.
	Former   func(service string) Former
	Formers  func() []string // the services of which there is one
	Links    Links           // nil: a fleet of one
	Sessions Sessions        // may be set later, see Serve
	Key      func() []byte   // the fleet's; nil until it is known
	Plan     func(service string) Plan
	Label    func() string // of the cluster and its generation; nil: ""
	// Clock tells the wall clock's time, which ids carry, and whether that is sure: while it is not, no id is over. nil: this
	// machine's, and it is.
	Clock func() (now time.Time, sure bool)
	// Event is told what operators want to know; it must not block. nil: nobody asks.
	Event  func(kind, gateway, text string)
	Logger *slog.Logger
}

func (c *Config) check() error {
	if c.Gateway == "" || c.Authority == nil || c.Store == nil || c.Key == nil || c.Plan == nil || c.Logger == nil {
		return errors.New("keeper: new: gateway, authority, store, key, plan and logger are required")
	}
	if c.Committed == nil {
		c.Committed = func(string) Committed { return nil }
	}
	if c.Former == nil || c.Formers == nil {
		c.Former, c.Formers = func(string) Former { return nil }, func() []string { return nil }
	}
	if c.Label == nil {
		c.Label = func() string { return "" }
	}
	if c.Clock == nil {
		c.Clock = func() (time.Time, bool) { return time.Now(), true }
	}
	if c.Event == nil {
		c.Event = func(string, string, string) {}
	}
	return nil
}

// The kinds of events.
const (
	EventUnheard = "session_holder_silent" // a session went on although somebody who may hold a newer copy was silent
	EventLost    = "session_lost"          // nobody has a copy
	EventDropped = "session_dropped"       // changes of a session that another gateway has claimed meanwhile
	EventLeft    = "session_store_left"    // a former strategy's store is asked no more; the text says what that means
)

// Keeper implements session.Keeper for one gateway.
type Keeper struct {
	cfg      Config
	log      *slog.Logger
	sessions atomic.Pointer[Sessions]
	turns    turns
	relays   relays
	foreseen foreseen
	released released
	around   around
	notes    notes
	pending  pending
	moves    moves
	report   report
	figures  figures
	handles  chan struct{} // of those that may look for a handle at once
	learned  chan handle

	mu     sync.Mutex
	signal chan struct{} // closed and replaced by Wake
}

// New returns a keeper. Run does what nobody waits for.
func New(cfg Config) (*Keeper, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	k := &Keeper{cfg: cfg, log: cfg.Logger, signal: make(chan struct{}), handles: make(chan struct{}, maxHandleLooks), learned: make(chan handle, maxLearned)}
	k.pending.work = make(chan struct{}, 1)
	return k, nil
}

// Serve says whose memory releases are asked of; until then every release is refused.
func (k *Keeper) Serve(s Sessions) { k.sessions.Store(&s) }

// Wake has those who wait look again: a life has ended, or a link has changed. It never blocks.
func (k *Keeper) Wake() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.signal)
	k.signal = make(chan struct{})
}

func (k *Keeper) woken() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.signal
}

// Life implements session.Keeper.
func (k *Keeper) Life() uint64 { return uint64(k.cfg.Authority.Life().Incarnation) }

// Mint implements session.Keeper. Without a life or a key the id is this process's alone.
func (k *Keeper) Mint() (id string, life uint64) {
	key, me := k.cfg.Key(), k.cfg.Authority.Life()
	if key != nil && me.Incarnation != 0 {
		now, _ := k.cfg.Clock()
		if id, err := sessionid.New(me, now); err == nil {
			return id.Sign(key), uint64(me.Incarnation)
		}
	}
	return own(), 0
}

// now is what ids are held against; none is over at the zero time.
func (k *Keeper) now() time.Time {
	if now, sure := k.cfg.Clock(); sure {
		return now
	}
	return time.Time{}
}

// ownBytes is the random part of an id that names nobody.
const ownBytes = 16

func own() string {
	var b [ownBytes]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

var _ session.Keeper = (*Keeper)(nil)

func recordKey(record string) replica.Key { return replica.Key{Kind: replica.Session, ID: record} }

// Run does what nobody waits for, until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { k.flush(ctx) })
	work.Go(func() { k.learn(ctx) })
	work.Go(func() { k.leave(ctx) })
	k.watch(ctx)
	work.Wait()
}

// watchEvery is how often a keeper looks whether its gateway has another life.
const watchEvery = 100 * time.Millisecond

// tidyEvery looks it forgets what is over.
const tidyEvery = 10

// watch has the tail of a life seen to once there is another, and forgets releases that have been taken.
func (k *Keeper) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	before, former := k.cfg.Authority.Life(), false
	closed := 0 // looks since the gate has closed
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if closed++; k.cfg.Authority.Allow() {
			closed = 0
		}
		if closed == 1 || closed == tidyEvery { // and once more what was on its way at the first look
			k.note()
		}
		if n%tidyEvery == 0 {
			k.released.forget(k.cfg.Authority, k.now())
			if former {
				k.yield()
			}
		}
		now := k.cfg.Authority.Life()
		if now == before && closed == 0 {
			k.notes.clear() // this life goes on, and the stores see to the rest
		}
		if now.Incarnation == 0 || now == before {
			continue
		}
		if before.Incarnation != 0 {
			k.log.Info("another life of this gateway: what its former one has changed alone is claimed", "life", now.String(), "before", before.String())
			if err := k.tail(ctx, before); err != nil {
				k.log.Warn("changes of this gateway's former life are not all seen to", "cause", err.Error())
				continue // again at the next tick
			}
			former = true
		}
		k.notes.clear()
		before = now
	}
}

// yield lets go of the sessions in memory that others have claimed from a former life: nobody may ask for them here
// again, and their streams are open.
func (k *Keeper) yield() {
	sessions, key := k.sessions.Load(), k.cfg.Key()
	if sessions == nil || key == nil {
		return
	}
	for service, id := range (*sessions).All() {
		sid, err := sessionid.Parse(key, id)
		if err != nil {
			continue
		}
		if owner := k.cfg.Authority.Owner(sid.Record(), sid.Minter); owner.Owner.Gateway != k.cfg.Gateway {
			(*sessions).Yield(service, id)
		}
	}
}

func wrap(what string, err error) error { return fmt.Errorf("keeper: %s: %w", what, err) }
