package control

import (
	"io"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// heldFor bounds how long entries are held back from a voter that there is no link with, and heldLook is how often it
	// is looked for one.
	heldFor, heldLook = time.Minute, 20 * time.Millisecond
	// fullPause is how long a voter whose store takes no entries is left alone.
	fullPause = 500 * time.Millisecond
)

// Raft leaves a voter alone for longer with each failure in a row, for up to ten seconds, and does not hear that it is
// back: whoever returned after a full disk, or from a cut, got no entries until then, and could not write. So entries
// for a voter that cannot be reached are held back instead of failing; streams that have ended with a process are used up
// at once; and a store that takes nothing is asked again at an even pace.

// AppendEntries implements raft.Transport.
func (g *guarded) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if beats(args) {
		return g.NetworkTransport.AppendEntries(id, target, args, resp)
	}
	err := g.patiently(id, args.Term, func() error { return g.NetworkTransport.AppendEntries(id, target, args, resp) })
	if err == nil && !resp.Success && !resp.NoRetryBackoff && resp.Term <= args.Term {
		time.Sleep(fullPause)
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
	g.hold(id, args.Term)
	return g.NetworkTransport.InstallSnapshot(id, target, args, resp, data)
}

// patiently sends what may be sent more than once, on as many streams as may have ended unnoticed, and another.
func (g *guarded) patiently(id raft.ServerID, term uint64, send func() error) error {
	g.hold(id, term)
	began := time.Now()
	err := send()
	for range streamPool {
		if err == nil || g.held == nil || g.held(id, term) || time.Since(began) > streamTimeout {
			break
		}
		err = send()
	}
	return err
}

// hold waits for a link with a server, as long as this gateway leads in a term.
func (g *guarded) hold(id raft.ServerID, term uint64) {
	for began := time.Now(); g.held != nil && g.held(id, term) && time.Since(began) < heldFor; {
		time.Sleep(heldLook)
	}
}

// held reports whether there is no link with a server, and this gateway leads in a term.
func (n *Node) held(id raft.ServerID, term uint64) bool {
	if n.linkedTo(nameOf(id)) {
		return false
	}
	r := n.current()
	return r != nil && r.State() == raft.Leader && r.CurrentTerm() == term
}
