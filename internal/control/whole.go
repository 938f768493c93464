package control

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
)

// termKey is where Raft keeps its term in the stable store. The vote of that term is beside it.
var termKey = []byte("CurrentTerm")

// promisesKey is where the entry that the promises are of is kept, beside the term.
var promisesKey = []byte("QuoratePromises")

// snapshotDir is where Raft's snapshots are, in a store.
const snapshotDir = "snapshots"

// orphaned returns which part of a store is there although its identity is not; "" for none. Promises are no such
// part: they are made before the identity is, see create.
func orphaned(dir string) string {
	for _, part := range []string{logFile, snapshotDir} {
		if _, err := os.Stat(filepath.Join(dir, part)); err == nil {
			return part
		}
	}
	return ""
}

// extent is how far log and snapshots of a store reach.
type extent struct {
	term        uint64
	first, last uint64 // of the log; 0: it is empty
	snapshot    uint64 // index of the newest one; 0: none
	promises    uint64 // the entry that the promises are of at least
}

func (s *store) extent() (e extent, err error) {
	var errs [5]error
	e.term, errs[0] = s.noted(termKey)
	e.promises, errs[4] = s.noted(promisesKey)
	e.first, errs[1] = s.logs.FirstIndex()
	e.last, errs[2] = s.logs.LastIndex()
	var all []*raft.SnapshotMeta
	if all, errs[3] = s.snapshots.List(); len(all) > 0 {
		e.snapshot = all[0].Index
	}
	return e, errors.Join(errs[:]...)
}

// noted reads a number beside the log; 0: there is none.
func (s *store) noted(key []byte) (uint64, error) {
	n, err := s.stable.GetUint64(key)
	if err != nil && err.Error() == "not found" { // as stores in memory say it
		return 0, nil
	}
	return n, err
}

// begun reports whether there are entries. A term alone does not count: BootstrapCluster writes it before its entry.
func (e *extent) begun() bool { return e.last > 0 || e.snapshot > 0 }

// whole returns why the parts of a store do not belong together. Each of them alone would let this voter vote or
// promise what it has voted or promised against before. The error wraps authority.ErrLostStore.
func (s *store) whole() error {
	e, err := s.extent()
	if err != nil {
		return err
	}
	lost := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", authority.ErrLostStore, fmt.Sprintf(format, args...))
	}
	switch {
	case s.identity.Cluster == "" && s.identity.Founded == nil && (e.begun() || e.term > 0):
		return lost("there is a log, and %s knows no cluster", identityFile)
	case s.identity.Cluster == "":
		return nil // new, or its founding is repeated
	case !e.begun():
		return lost("the log is empty")
	case e.term == 0:
		return lost("the term and the vote are gone")
	case e.last > 0 && e.first > e.snapshot+1:
		return lost("the log begins at %d, and no snapshot reaches it", e.first)
	case uint64(s.promises.Index) < e.promises:
		return lost("the promises are of entry %d, and there were some of %d", s.promises.Index, e.promises)
	case uint64(s.promises.Index) > max(e.last, e.snapshot):
		return lost("the promises are of entry %d, and the log ends at %d", s.promises.Index, max(e.last, e.snapshot))
	}
	return nil
}
