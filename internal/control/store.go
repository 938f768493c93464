package control

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/atomicfile"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/planted"
)

// The files of a store. Each is replaced as a whole, but for the log.
const (
	identityFile = "identity.json"
	promisesFile = "promises.json"
	logFile      = "log.db"
	// storeDir holds them, in the directory of the control group.
	storeDir = "store"
	// maxFile bounds identity and promises, in bytes.
	maxFile = 1 << 20
	// snapshotsKept is how many snapshots stay on disk.
	snapshotsKept = 2
)

// identity is who a store is. With another store a gateway is another member of the group.
type identity struct {
	Format  int       `json:"format"`
	Gateway string    `json:"gateway"`
	Store   string    `json:"store"`
	Cluster string    `json:"cluster"` // "": none yet
	Epoch   uint64    `json:"generation"`
	Forcer  string    `json:"forcer,omitempty"`  // the store that the generation was recovered from; "": it is the first
	Founded *founding `json:"founded,omitempty"` // the first members; nil: this store joined later
	Forcing *forcing  `json:"forcing,omitempty"` // a recovery that is not done
	Left    uint64    `json:"left,omitempty"`    // the generation with which the fleet has gone on without this store; 0: none
}

// identityFormat is the newest form of an identity that this release reads, and the one it writes.
const identityFormat = 1

// store is where a member keeps what it must not forget.
type store struct {
	dir       string // "": in memory
	identity  identity
	promises  authority.Record
	logs      raft.LogStore
	stable    raft.StableStore
	snapshots raft.SnapshotStore
	close     func() error
}

// openStore opens a store, or makes one. One whose parts do not fit together has been lost: it is set aside, and
// the gateway returns with another, as a new member. lost is why, nil for a store that is whole.
func openStore(dir, gateway string) (s *store, lost, err error) {
	if dir == "" {
		return memoryStore(gateway), nil, nil
	}
	if err := atomicfile.MakeDir(dir); err != nil {
		return nil, nil, fmt.Errorf("control: store: %w", err)
	}
	held, err := lock(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("control: store: %w", err)
	}
	at := filepath.Join(dir, storeDir)
	s, err = readStore(at, gateway)
	if errors.Is(err, authority.ErrLostStore) {
		lost = err
		if _, err = setAside(at, "lost"); err == nil {
			s, err = readStore(at, gateway)
		}
	}
	if err != nil {
		return nil, lost, errors.Join(fmt.Errorf("control: store: %w", err), held.Close())
	}
	closeStore := s.close
	s.close = func() error { return errors.Join(closeStore(), held.Close()) }
	return s, lost, nil
}

func memoryStore(gateway string) *store {
	id := identity{Format: identityFormat, Gateway: gateway, Store: rand.Text()}
	logs := raft.NewInmemStore()
	return &store{
		identity: id, promises: authority.NewRecord(id.voter()), logs: logs, stable: logs,
		snapshots: raft.NewInmemSnapshotStore(), close: func() error { return nil },
	}
}

func (i *identity) voter() authority.VoterID {
	return authority.VoterID{Name: i.Gateway, Store: i.Store}
}

// label names the cluster and its generation, as links compare it; "" while there is none.
func (i *identity) label() string {
	if i.Cluster == "" {
		return ""
	}
	if i.Forcer != "" { // two sides that are both forced are two clusters from then on
		return fmt.Sprintf("%s.%d.%s", i.Cluster, i.Epoch, i.Forcer)
	}
	return fmt.Sprintf("%s.%d", i.Cluster, i.Epoch)
}

func readStore(dir, gateway string) (*store, error) {
	s := &store{dir: dir}
	if err := atomicfile.MakeDir(dir); err != nil {
		return nil, err
	}
	fresh, err := s.readIdentity(gateway)
	if err != nil {
		return nil, err
	}
	if fresh {
		err = s.create(gateway)
	} else {
		err = s.readPromises()
	}
	if err != nil {
		return nil, err
	}
	if err := s.openLog(); err != nil {
		return nil, err
	}
	return s, nil
}

// readIdentity returns whether there is none yet.
func (s *store) readIdentity(gateway string) (fresh bool, err error) {
	b, err := atomicfile.Read(filepath.Join(s.dir, identityFile), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		if part := orphaned(s.dir); part != "" {
			return false, fmt.Errorf("%w: there are %s and no %s", authority.ErrLostStore, part, identityFile)
		}
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, &s.identity); err != nil {
		return false, fmt.Errorf("%w: %s: %w", authority.ErrLostStore, identityFile, err)
	}
	switch {
	case s.identity.Format > identityFormat:
		return false, fmt.Errorf("%s: %w: format %d", identityFile, authority.ErrNewer, s.identity.Format)
	case s.identity.Gateway != gateway:
		return false, fmt.Errorf("%s is of gateway %.64q, this one is %s: give every gateway a data_dir of its own", s.dir, s.identity.Gateway, gateway)
	}
	return false, nil
}

// create mints the store. The promises are safe before the id is: from then on, missing promises are lost ones.
func (s *store) create(gateway string) error {
	s.identity = identity{Format: identityFormat, Gateway: gateway, Store: mint(gateway)}
	s.promises = authority.NewRecord(s.identity.voter())
	if err := s.keep(s.promises); err != nil {
		return err
	}
	return s.keepIdentity(s.identity)
}

// mint returns the id of a store that is made for a gateway. No two stores have the same.
func mint(gateway string) string {
	if planted.On(planted.Amnesia) {
		return gateway
	}
	return rand.Text()
}

func (s *store) keepIdentity(id identity) error {
	if s.dir == "" {
		return nil
	}
	b, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(s.dir, identityFile), b)
}

// keep returns when the promises are safe. Which they are is noted beside Raft's vote, after they are: a file of before,
// out of a backup, would let this voter promise what it has promised against.
func (s *store) keep(r authority.Record) error {
	if s.dir == "" {
		return nil
	}
	b, err := r.Encode()
	if err == nil {
		err = atomicfile.Write(filepath.Join(s.dir, promisesFile), b)
	}
	if err == nil && s.stable != nil { // nil: the store is being made
		err = s.stable.SetUint64(promisesKey, uint64(r.Index))
	}
	return err
}

func (s *store) readPromises() error {
	b, err := atomicfile.Read(filepath.Join(s.dir, promisesFile), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = nil, nil
	}
	if err != nil {
		return err
	}
	s.promises, err = authority.DecodeRecord(b, s.identity.voter())
	return err
}

// asLost says that a log which is damaged is lost. One that cannot be opened for another reason may be whole.
func asLost(err error) error {
	if errors.Is(err, errDamaged) {
		return fmt.Errorf("%w: %w", authority.ErrLostStore, err)
	}
	return err
}

// openLog opens the log. A member of a cluster without one has lost it, with all it has voted.
func (s *store) openLog() error {
	at := filepath.Join(s.dir, logFile)
	w, err := openBoltLog(at)
	if err != nil {
		return asLost(err)
	}
	closeLog := w.Close
	if err := w.check(); err != nil {
		return errors.Join(asLost(err), closeLog())
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(s.dir, snapshotsKept, newRaftLog(nil))
	if err != nil {
		return errors.Join(err, closeLog())
	}
	s.logs, s.stable, s.snapshots, s.close = w, w, snapshots, closeLog
	if err := s.whole(); err != nil {
		return errors.Join(err, closeLog())
	}
	return nil
}

// setAside renames a store that is no good, for somebody to look at.
func setAside(dir, why string) (string, error) {
	aside := dir + "." + why + "-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	return aside, os.Rename(dir, aside)
}

// SetAside gives up the store in a directory whose gateway does not run, and returns where it is now. The gateway
// returns as a new member.
func SetAside(dir string) (string, error) {
	at := filepath.Join(dir, storeDir)
	if _, err := os.Stat(at); err != nil {
		return "", fmt.Errorf("control: set aside: there is no store: %w", err)
	}
	held, err := lock(dir)
	if err != nil {
		return "", fmt.Errorf("control: set aside: %w", err)
	}
	aside, err := setAside(at, "left")
	return aside, errors.Join(err, held.Close())
}
