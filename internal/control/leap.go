package control

import (
	"time"

	"github.com/hashicorp/raft"
)

// A log that is recovered from one voter may lack what others have committed. Indexes name what entries began: lives,
// ballots, barriers, epochs; and session ids, copies, promises and nodes go on knowing them. So a forced group does not
// go on where its voter's log ends: it begins at an index that is its own. The generation is in the high bits, and each
// has room for 2^43 entries. Below it is the time of the forcing: the same generation can be forced at two voters, where
// one of them was lost for good.
const (
	generationBits = 43
	// secondBits leave room for 2048 entries a second between two forcings of one generation.
	secondBits = 11
	// forcedSince is the first second that counts, 1 January 2025.
	forcedSince = 1735689600
	// mostSeconds keeps half of a generation's room for its entries.
	mostSeconds = 1<<(generationBits-1-secondBits) - 1
)

// beginning returns the index after which the log of a generation begins. All of a thousand generations are below 2^53,
// so that they are whole numbers to everybody who reads JSON.
func beginning(generation uint64, at string) uint64 {
	var seconds int64
	if t, err := time.Parse(time.RFC3339Nano, at); err == nil {
		seconds = min(max(t.Unix()-forcedSince, 0), mostSeconds)
	}
	return generation<<generationBits | uint64(seconds)<<secondBits
}

// leap makes the snapshot of a recovery one of a later index, before anything of the log is dropped: whoever does it again
// after a crash finds it.
type leap struct {
	raft.SnapshotStore
	to uint64
}

// Create implements raft.SnapshotStore.
func (l leap) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, at uint64, t raft.Transport) (raft.SnapshotSink, error) {
	return l.SnapshotStore.Create(version, max(index, l.to), term, c, at, t)
}
