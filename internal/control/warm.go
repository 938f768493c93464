package control

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/peer"
)

const (
	// warmLook is how often it is looked which ways are cold, and warmEvery how often a way is used.
	warmLook, warmEvery = time.Second, 10 * time.Second
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

// warmOnce uses the ways that are cold. It takes as long as a look is apart, at most, unless Raft's transport hangs.
func (n *Node) warmOnce(ctx context.Context, used map[string]time.Time) {
	servers, err := n.servers()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, warmLook)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	for _, s := range servers {
		name := nameOf(s.ID)
		if s.Suffrage != raft.Voter || name == n.cfg.Gateway {
			continue
		}
		switch {
		case !n.linkedTo(name):
			delete(used, name)
		case time.Since(used[name]) >= warmEvery:
			used[name] = time.Now()
			all.Go(func() { n.warmWays(ctx, name, s) })
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

// warmWays uses what leads to a voter. Raft is sent entries of a term that is long over, which it ignores; that nobody
// answers is no news: links are watched by others.
func (n *Node) warmWays(ctx context.Context, name string, s raft.Server) {
	var self Self
	for range warmCalls {
		if n.call(ctx, name, "self", struct{}{}, &self) != nil {
			return
		}
	}
	n.mu.Lock()
	r, t := n.raft, n.trans
	n.mu.Unlock()
	if r == nil || r.State() == raft.Leader || !n.votes() {
		return // a leader's ways are in use
	}
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(idOf(n.me())), Addr: t.EncodePeer(idOf(n.me()), t.LocalAddr())}
	_ = t.AppendEntries(s.ID, s.Address, &raft.AppendEntriesRequest{RPCHeader: header}, &raft.AppendEntriesResponse{})
}
