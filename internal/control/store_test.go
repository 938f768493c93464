package control

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/rulebook"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// lived is a store of a cluster with a snapshot at 6, a log up to 10 and promises of entry 8.
func lived(t *testing.T) (dir, id string) {
	t.Helper()
	dir = t.TempDir()
	s, lost, err := openStore(dir, "a")
	if err != nil || lost != nil {
		t.Fatal(err, lost)
	}
	s.identity.Cluster, s.identity.Epoch = "cluster", 1
	must(t, s.keepIdentity(s.identity))
	must(t, s.stable.SetUint64(termKey, 3))
	for i := uint64(1); i <= 10; i++ {
		must(t, s.logs.StoreLog(&raft.Log{Index: i, Term: 3, Type: raft.LogNoop}))
	}
	_, transport := raft.NewInmemTransport("")
	sink, err := s.snapshots.Create(1, 6, 3, raft.Configuration{}, 1, transport)
	must(t, err)
	must(t, sink.Close())
	must(t, s.keep(authority.Record{Voter: s.identity.voter(), Index: 8, Version: 1}))
	id = s.identity.Store
	must(t, s.close())
	return dir, id
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A store that has lost any of its parts is no voter any more; one that has lost none still is.
func TestLostParts(t *testing.T) {
	remove := func(parts ...string) func(*testing.T, string) {
		return func(t *testing.T, at string) {
			for _, part := range parts {
				must(t, os.RemoveAll(filepath.Join(at, part)))
			}
		}
	}
	for _, tc := range []struct {
		name string
		lose func(t *testing.T, at string)
		lost bool
	}{
		{"nothing", remove(), false},
		{"promises", remove(promisesFile), true},
		{"identity", remove(identityFile), true},
		{"log", remove(logFile), true},
		{"term and vote", func(t *testing.T, at string) {
			b, err := openBoltLog(filepath.Join(at, logFile))
			must(t, err)
			must(t, b.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(stableBucket).Delete(termKey) }))
			must(t, b.Close())
		}, true},
		{"the file of the log", func(t *testing.T, at string) {
			must(t, os.WriteFile(filepath.Join(at, logFile), bytes.Repeat([]byte("no log"), 4096), 0o600))
		}, true},
		{"an entry", func(t *testing.T, at string) {
			b, err := openBoltLog(filepath.Join(at, logFile))
			must(t, err)
			put(t, b, 5, []byte("no entry"))
			must(t, b.Close())
		}, true},
		{"identity and log", remove(identityFile, logFile), true},
		{"all but a snapshot", remove(identityFile, logFile, promisesFile), true},
		{"the end of the log", func(t *testing.T, at string) { truncate(t, at, 8, 10) }, true},
		{"what the promises do not need", func(t *testing.T, at string) { truncate(t, at, 9, 10) }, false},
		{"snapshots before the log", func(t *testing.T, at string) {
			truncate(t, at, 1, 6)
			remove(snapshotDir)(t, at)
		}, true},
		{"promises for older ones", func(t *testing.T, at string) {
			s := &store{dir: at}
			_, err := s.readIdentity("a")
			must(t, err)
			must(t, s.keep(authority.Record{Voter: s.identity.voter(), Index: 7, Version: 1}))
		}, true},
		{"cluster", func(t *testing.T, at string) {
			s := &store{dir: at}
			_, err := s.readIdentity("a")
			must(t, err)
			s.identity.Cluster = ""
			must(t, s.keepIdentity(s.identity))
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, id := lived(t)
			tc.lose(t, filepath.Join(dir, storeDir))
			s, lost, err := openStore(dir, "a")
			must(t, err)
			defer s.close()
			if (lost != nil) != tc.lost || (s.identity.Store != id) != tc.lost {
				t.Errorf("lost %v, store %s before and %s now", lost, id, s.identity.Store)
			}
			if _, _, err := openStore(dir, "a"); err == nil {
				t.Error("opened twice")
			}
		})
	}
}

// truncate deletes a range of the log.
func truncate(t *testing.T, at string, from, to uint64) {
	t.Helper()
	s := &store{dir: at}
	_, err := s.readIdentity("a")
	must(t, err)
	must(t, s.readPromises())
	must(t, s.openLog())
	must(t, s.logs.DeleteRange(from, to))
	must(t, s.close())
}

// A founding that was interrupted after the term was written, and before the first entry was, is repeated.
func TestFoundingIsRepeated(t *testing.T) {
	dir := t.TempDir()
	s, _, err := openStore(dir, "a")
	must(t, err)
	s.identity.Founded = &founding{Cluster: "cluster", Voters: []founder{{Name: "a", Store: s.identity.Store, Region: "r", Address: "here:1"}}}
	must(t, s.keepIdentity(s.identity))
	must(t, s.stable.SetUint64(termKey, 1))
	must(t, s.close())
	n, err := Open(Config{Gateway: "a", Region: "r", Dir: dir, Alone: true, Rules: rulebook.Rulebook{}, Ask: majority, Logger: quiet()})
	must(t, err)
	defer n.Close(t.Context())
	eventually(t, "it leads", func() bool { return n.Leader() == "a" })
}

// Names that repeat are no list of voters.
func TestRepeatedNames(t *testing.T) {
	c := Config{
		Gateway: "a", Region: "r", Dir: "x", Address: "here:1", Links: &nobody{}, Rules: rulebook.Rulebook{}, Ask: majority, Logger: quiet(),
		Expect: []string{"b", "a", "b"},
	}
	if err := c.check(); !errors.Is(err, ErrConfig) {
		t.Error(err)
	}
}
