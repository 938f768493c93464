package control

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// Raft counts entries: it takes a snapshot after so many, and keeps so many behind it for those who lag. Entries of a
// large part would fill the disk by then, so this counts bytes too.
const (
	entriesKept = 4096
	leastKept   = 64
	// logRoom is how many bytes of entries may be applied before the next snapshot. Half of them are kept behind it.
	logRoom = 128 << 20
	// trimEvery is how often the log is looked at; what is written in between comes on top.
	trimEvery = time.Second
	// trimPause is after a snapshot that could not be taken.
	trimPause = 10 * time.Second
)

// growth is what was applied since the last snapshot.
type growth struct{ entries, bytes uint64 }

// grow counts an entry; f.mu is held.
func (f *fsm) grow(l *raft.Log) {
	f.grown.entries++
	f.grown.bytes += uint64(len(l.Data))
}

func (f *fsm) growth() growth {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.grown
}

func (f *fsm) regrow(g growth) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.grown.entries += g.entries
	f.grown.bytes += g.bytes
}

// kept is how many entries of this size stay behind a snapshot.
func (g growth) kept(room uint64) uint64 {
	if g.bytes == 0 {
		return entriesKept
	}
	return min(max(room/2*g.entries/g.bytes, leastKept), entriesKept)
}

// trimming takes a snapshot when the log has grown large. Every member does so for itself.
func (n *Node) trimming(ctx context.Context) {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	var notBefore time.Time
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if time.Now().Before(notBefore) {
			continue
		}
		if err := n.trim(logRoom); err != nil {
			n.log.Warn("control group: the log has grown, and there is no snapshot of it", "cause", err.Error())
			notBefore = time.Now().Add(trimPause)
		}
	}
}

// trim takes a snapshot if more than room was applied since the last one.
func (n *Node) trim(room uint64) error {
	r, g := n.current(), n.fsm.growth()
	if r == nil || g.bytes < room {
		return nil
	}
	c := r.ReloadableConfig()
	c.TrailingLogs = g.kept(room)
	if err := r.ReloadConfig(c); err != nil {
		return err
	}
	err := r.Snapshot().Error()
	if errors.Is(err, raft.ErrNothingNewToSnapshot) || errors.Is(err, raft.ErrRaftShutdown) {
		return nil
	}
	if err != nil { // it has grown all the same
		n.fsm.regrow(g)
	}
	return err
}
