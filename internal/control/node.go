package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/events"
)

// Node is this gateway's place in the control group.
type Node struct {
	cfg    Config
	log    *slog.Logger
	store  *store
	fsm    *fsm
	lease  *authority.Lease
	driver *driver
	claims claims
	reads  reads
	behind behind

	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	label   atomic.Pointer[string]
	leaving atomic.Bool   // no new life any more
	foreign atomic.Bool   // a link is refused because of the cluster, and nobody leads here
	hasty   atomic.Bool   // Raft's timeouts are short for a moment: they are not to be fitted
	met     atomic.Uint64 // the largest generation of this cluster that another gateway has named
	fences  atomic.Uint64 // lives that were fenced since the start
	one     sync.Mutex    // held while this store enters a cluster, voters change by hand, or the group is forced

	mu     sync.Mutex // guards what follows
	raft   *raft.Raft // nil until this store is of a cluster
	trans  raft.Transport
	tenure time.Duration // of the Raft that runs
	known  string        // the leader, as it was looked at last
	former string        // the one before it
	since  time.Time     // when the last leader was seen first
	took   time.Duration
	lost   time.Time // when there was no leader any more
}

// Open opens the store and starts everything. A gateway of an expected group that is not there yet waits for it in
// the background; nothing here waits for others.
func Open(cfg Config) (*Node, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s, lost, err := openStore(cfg.Dir, cfg.Gateway)
	if err != nil {
		return nil, err
	}
	if lost != nil {
		cfg.Logger.Error("the store of the control group is lost and set aside; this gateway returns as a new member", "cause", lost.Error())
		cfg.Event(events.StoreLost, cfg.Gateway, lost.Error())
	}
	n := &Node{cfg: cfg, log: cfg.Logger, store: s, lease: authority.NewLease(time.Now())}
	n.claims.wake, n.reads.of = make(chan struct{}, 1), map[raft.ServerID]read{}
	n.ctx, n.stop = context.WithCancel(context.Background())
	n.relabel()
	if err := n.open(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return n, nil
}

func (n *Node) open() error {
	var err error
	if n.fsm, err = newFSM(n.cfg.Rules, n.cfg.Parts, n.happened); err != nil {
		return err
	}
	n.fsm.own = n.cfg.Own
	if n.driver, err = newDriver(&n.cfg, n.fsm, n.store, n.lease); err != nil {
		return err
	}
	n.reads.of[idOf(n.me())] = read{names: n.readsHere()}
	n.driver.leader, n.driver.label = n.leader, n.clusterLabel
	if n.cfg.Alone {
		n.lease.Set(math.MaxInt64)
	}
	if n.left() != 0 {
		n.driver.retire()
	} else if err := n.goOn(); err != nil {
		return err
	}
	for _, run := range []func(context.Context){n.driver.run, n.driver.scribe.run, n.form, n.live, n.steward, n.electorate, n.sealing, n.leftBehind, n.claiming, n.forgetting, n.reading, n.tellEnded, n.succession, n.warm, n.trimming} {
		n.work.Go(func() { run(n.ctx) })
	}
	return nil
}

// goOn starts Raft on a store that is of a cluster, after what a recovery has left undone.
func (n *Node) goOn() error {
	id := n.identity()
	if id.Cluster == "" {
		return nil
	}
	if id.Forcing != nil && !id.Forcing.Recovered {
		if err := n.recover(); err != nil {
			return fmt.Errorf("control: force: %w", err)
		}
	}
	return n.startRaft()
}

func (n *Node) relabel() {
	id := n.identity()
	l := id.label()
	n.label.Store(&l)
}

// identity returns what this store is. Its voter never changes.
func (n *Node) identity() identity {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.store.identity
}

// note changes the identity and makes that safe; n.one is held.
func (n *Node) note(change func(*identity)) error {
	id := n.identity()
	change(&id)
	if err := n.store.keepIdentity(id); err != nil {
		return err
	}
	n.mu.Lock()
	n.store.identity = id
	n.mu.Unlock()
	return nil
}

// clusterLabel names cluster and generation; "" while there is none.
func (n *Node) clusterLabel() string { return *n.label.Load() }

// current returns Raft, nil until there is a cluster.
func (n *Node) current() *raft.Raft {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.raft
}

// leader returns the name of the leader, "" for none.
func (n *Node) leader() string {
	r := n.current()
	if r == nil {
		return ""
	}
	_, id := r.LeaderWithID()
	return nameOf(id)
}

func (n *Node) leading() bool {
	r := n.current()
	return r != nil && r.State() == raft.Leader
}

// me is this store as a voter, whether it is one or not.
func (n *Node) me() authority.VoterID { return n.driver.me }

// idOf is a voter's id for Raft: with another store it is another server.
func idOf(v authority.VoterID) raft.ServerID { return raft.ServerID(v.String()) }

func nameOf(id raft.ServerID) string {
	name, _, _ := strings.Cut(string(id), "/")
	return name
}

func voterOf(id raft.ServerID) authority.VoterID {
	name, store, _ := strings.Cut(string(id), "/")
	return authority.VoterID{Name: name, Store: store}
}
