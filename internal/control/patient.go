package control

import (
	"errors"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// heldFor bounds how long entries are held back from a voter that there is no link with, and heldLook is how often it
	// is looked for one. Whoever sends to a voter that has been removed meanwhile ends as late.
	heldFor, heldLook = 10 * time.Minute, 20 * time.Millisecond
	// fullPause is how long a voter whose store takes no entries is left alone.
	fullPause = 500 * time.Millisecond
)

// way says what becomes of what a leader has for a server.
type way uint8

const (
	wayOpen way = iota // it is sent
	wayCut             // it waits for a link
	wayOver            // this gateway leads no more in that term
)

var errLeadsNoMore = errors.New("control: raft: this gateway leads no more in that term")

// Raft leaves a voter alone for longer with each failure in a row, for up to ten seconds, and does not hear that it is
// back: whoever returned after a full disk, or from a cut, got no entries until then, and could not write. So entries
// for a voter that cannot be reached are held back instead of failing; streams that have ended with a process are used up
// at once; and a store that takes nothing is asked again at an even pace. What is left of it: after hours without a link
// there may be those ten seconds.

// AppendEntries implements raft.Transport.
func (g *guarded) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if beats(args) {
		return g.NetworkTransport.AppendEntries(id, target, args, resp)
	}
	time.Sleep(time.Until(g.refusal(id).Add(fullPause))) // before, and not after it: Raft notes the contact when this returns
	err := g.patiently(id, args.Term, func() error { return g.NetworkTransport.AppendEntries(id, target, args, resp) })
	if err == nil && !resp.Success && !resp.NoRetryBackoff && resp.Term <= args.Term {
		g.refused(id, time.Now())
		resp.NoRetryBackoff = true
	}
	return err
}

// beats reports whether a request is one of Raft's heartbeats, which have a pace of their own.
func beats(args *raft.AppendEntriesRequest) bool {
	return len(args.Entries) == 0 && args.PrevLogEntry == 0 && args.LeaderCommitIndex == 0
}

// InstallSnapshot implements raft.Transport. What has begun is not repeated: the snapshot is read as it is sent.
func (g *guarded) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if err := g.hold(id, args.Term); err != nil {
		return err
	}
	return g.NetworkTransport.InstallSnapshot(id, target, args, resp, data)
}

// patiently sends what may be sent more than once, on as many streams as may have ended unnoticed, and another.
func (g *guarded) patiently(id raft.ServerID, term uint64, send func() error) error {
	if err := g.hold(id, term); err != nil {
		return err
	}
	began := time.Now()
	err := send()
	for range streamPool {
		if err == nil || g.leads(id, term) != wayOpen || time.Since(began) > streamTimeout {
			break
		}
		err = send()
	}
	return err
}

// hold waits for a link with a server, as long as this gateway leads in a term.
func (g *guarded) hold(id raft.ServerID, term uint64) error {
	for began := time.Now(); ; time.Sleep(heldLook) {
		switch w := g.leads(id, term); {
		case w == wayOver:
			return errLeadsNoMore
		case w == wayOpen, time.Since(began) > heldFor:
			return nil
		}
	}
}

// refusal returns when a server's store refused entries last.
func (g *guarded) refusal(id raft.ServerID) time.Time {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.full[id]
}

func (g *guarded) refused(id raft.ServerID, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.full == nil {
		g.full = map[raft.ServerID]time.Time{}
	}
	g.full[id] = now
}

// way says what becomes of what is for a server, of a term.
func (n *Node) way(id raft.ServerID, term uint64) way {
	r := n.current()
	switch {
	case r == nil || r.State() != raft.Leader || r.CurrentTerm() != term:
		return wayOver
	case !n.linkedTo(nameOf(id)):
		return wayCut
	}
	return wayOpen
}
