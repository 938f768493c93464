package control

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/planted"
)

// Times of Raft. Across regions an election timeout must be ten round trips at least.
const (
	leastElection = 500 * time.Millisecond
	aloneElection = 50 * time.Millisecond
	roundTrips    = 10
	streamTimeout = 5 * time.Second
	streamPool    = 3
	// requestsUnderWay is how many requests for entries a leader has on the way to a follower. Raft's own two are always taken
	// by those that say what is committed, so that an entry would wait for up to a round trip before it is sent. And a
	// follower that refuses one while another is on the way would never be sent an entry again: the sender hands over one
	// more to a decoder that waits for a reader who has gone (github.com/grafana/pyroscope/pull/5518 has the story). It ends
	// as soon as it happens to look, at each of those that still fit. What the log keeps bounds what they hold (logRoom).
	requestsUnderWay = 64
)

// election is the timeout for a farthest voter at this distance.
func election(distance time.Duration) time.Duration {
	return max(leastElection, roundTrips*distance)
}

// tenure is how long a leader at this distance goes on without its followers; Raft cannot change it while it runs.
func tenure(distance time.Duration) time.Duration { return election(distance) / 2 }

func (n *Node) raftConfig(distance time.Duration) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = idOf(n.me())
	c.Logger = newRaftLog(n.log)
	c.ShutdownOnRemove = false
	c.SnapshotThreshold = entriesKept
	c.TrailingLogs = entriesKept
	c.NoLegacyTelemetry = true
	c.PreVoteDisabled = planted.On(planted.PreVote)
	timeout := election(distance)
	if n.cfg.Alone {
		timeout = aloneElection
	}
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = timeout, timeout, timeout/2
	// This is how soon followers hear of what is committed while nothing follows it: what is proposed there waits for it.
	c.CommitTimeout = min(10*time.Millisecond, timeout/10)
	return c
}

func (n *Node) transport(distance time.Duration) raft.Transport {
	if n.cfg.Alone {
		_, t := raft.NewInmemTransport(raft.ServerAddress(n.cfg.Gateway))
		return t
	}
	s := &streams{
		Listener: newLasting(n.cfg.Links.Streams()), links: n.cfg.Links, address: n.cfg.Address, store: n.me().Store,
		// After a partition the next dial finds the way sooner than a long one does.
		patience: time.Second + 5*distance,
	}
	return &guarded{leads: n.way, NetworkTransport: overStreams(s, ways{n}, newRaftLog(n.log))}
}

// startRaft starts Raft on a store that is of a cluster.
func (n *Node) startRaft() error {
	if err := n.readAgain(); err != nil {
		return fmt.Errorf("control: raft: %w", err)
	}
	distance := n.reach()
	t := n.transport(distance)
	r, err := raft.NewRaft(n.raftConfig(distance), n.fsm, n.store.logs, n.store.stable, n.store.snapshots, t)
	if err != nil {
		return errors.Join(fmt.Errorf("control: raft: %w", err), closeTransport(t))
	}
	n.mu.Lock()
	n.raft, n.trans, n.lost, n.tenure = r, t, time.Now(), tenure(distance)
	n.mu.Unlock()
	return nil
}

// readAgain has the state say nothing of the entries that are there already.
func (n *Node) readAgain() error {
	e, err := n.store.extent()
	if err == nil {
		n.fsm.tellAfter(max(e.last, e.snapshot))
	}
	return err
}

func (n *Node) stopRaft() error {
	n.mu.Lock()
	r, t := n.raft, n.trans
	n.raft, n.trans = nil, nil
	n.mu.Unlock()
	if r == nil {
		return nil
	}
	err := r.Shutdown().Error()
	return errors.Join(err, closeTransport(t))
}

func closeTransport(t raft.Transport) error {
	if c, ok := t.(raft.WithClose); ok {
		return c.Close()
	}
	return nil
}
