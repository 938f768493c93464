package control

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/peer"
)

const (
	// warmLook is how often it is looked which ways are cold, warmEvery how often a way is used, and warmBound how long
	// that may take: across regions a connection takes four round trips, and there are several.
	warmLook, warmEvery, warmBound = time.Second, 10 * time.Second, 5 * time.Second
	// warmCalls is how many requests in a row are made for all connections to a gateway to be used.
	warmCalls = peer.Lanes
)

// warm keeps the ways open that a takeover needs at once: those of votes, and those by which whoever leads next is asked.
// Opening one takes four round trips, which is more than all else that an election needs.
func (n *Node) warm(ctx context.Context) {
	if n.cfg.Alone || n.cfg.Links == nil {
		return
	}
	tick := time.NewTicker(warmLook)
	defer tick.Stop()
	used := map[string]time.Time{}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		n.warmOnce(ctx, used)
	}
}

// warmOnce uses the ways that are cold. It takes as long as the bound says, at most, unless Raft's transport hangs.
func (n *Node) warmOnce(ctx context.Context, used map[string]time.Time) {
	servers, err := n.servers()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, warmBound)
	defer cancel()
	var all sync.WaitGroup
	warmed := make([]bool, len(servers))
	for i, s := range servers {
		name := nameOf(s.ID)
		if s.Suffrage != raft.Voter || name == n.cfg.Gateway {
			continue
		}
		if !n.linkedTo(name) {
			delete(used, name)
		} else if time.Since(used[name]) >= warmEvery {
			all.Go(func() { warmed[i] = n.warmWays(ctx, name, s) })
		}
	}
	all.Wait()
	for i, s := range servers {
		if warmed[i] {
			used[nameOf(s.ID)] = time.Now()
		}
	}
}

func (n *Node) linkedTo(gateway string) bool {
	for _, l := range n.cfg.Links.Links() {
		if l.Gateway == gateway && l.Up {
			return true
		}
	}
	return false
}

// warmWays uses what leads to a voter, and reports whether it is warm now.
func (n *Node) warmWays(ctx context.Context, name string, s raft.Server) bool {
	var all sync.WaitGroup
	lanes, streams := false, false
	all.Go(func() { lanes = n.warmLanes(ctx, name) })
	all.Go(func() { streams = n.warmStreams(s) })
	all.Wait()
	return lanes && streams
}

// warmLanes asks one thing after the other: each request takes another connection.
func (n *Node) warmLanes(ctx context.Context, name string) bool {
	var self Self
	for range warmCalls {
		if n.call(ctx, name, "self", struct{}{}, &self) != nil {
			return false
		}
	}
	return true
}

// warmStreams sends Raft's transport over there entries of a term that is long over, which are ignored, on as many streams
// as this side keeps: a new leader's heartbeats have one of their own, and while its first entries wait for another stream
// nothing is replicated. That nobody answers is no news: links are watched by others.
func (n *Node) warmStreams(s raft.Server) bool {
	n.mu.Lock()
	r, t := n.raft, n.trans
	n.mu.Unlock()
	if r == nil || !n.votes() {
		return false
	}
	if r.State() == raft.Leader {
		return true // a leader's streams are in use
	}
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(idOf(n.me())), Addr: t.EncodePeer(idOf(n.me()), t.LocalAddr())}
	var all sync.WaitGroup
	for range streamPool {
		all.Go(func() {
			_ = t.AppendEntries(s.ID, s.Address, &raft.AppendEntriesRequest{RPCHeader: header}, &raft.AppendEntriesResponse{})
		})
	}
	all.Wait()
	return true
}
