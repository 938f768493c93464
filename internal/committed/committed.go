// Package committed keeps the contents of records in the control group: what is acknowledged here outlives any
// minority of voters. It must not know what contents mean, who may own a record, agents, sockets or disks.
//
// Part is the replicated state, the same at every gateway. Client is one gateway's way to it: changes that come at
// the same time share entries of the log.
package committed

import (
	"errors"
	"fmt"

	"github.com/quorate/quorate/internal/authority"
)

// PartName is the part's name in the control group.
const PartName = "records"

// Kind is what a record is of.
type Kind uint8

// Key names a record.
type Key struct {
	Kind Kind
	ID   string // 1..MaxName bytes
}

// Record is one state of a record. States are ordered by ballot, then version; Deleted is final.
type Record struct {
	Key
	Service  string
	Owner    string // the gateway that wrote it
	Ballot   uint64 // of the claim that it was written under; 0: the minter's
	Version  uint64 // within the ballot
	Deleted  bool   // Contents is nil
	Until    int64  // Unix seconds: after it nobody asks for the record any more
	Contents []byte // 0..MaxContents bytes; not to be changed by anybody
}

// Bounds. They are part of what an entry of the log means: a release that changes one writes another format.
const (
	MaxName     = 255       // bytes of an id, a service or an owner
	MaxContents = 256 << 10 // bytes of one record
	MaxBytes    = 64 << 20  // of all records, names included
	MaxRecords  = 100_000   // that are not deleted
	MaxDeleted  = 200_000   // deletions that are remembered; of more, those of long ago are forgotten
	MaxItems    = 1000      // changes in one entry
	MaxEntry    = 1 << 20   // bytes of one entry
)

// Errors that callers branch on.
var (
	// ErrNoQuorum: the group cannot commit now. The same change may be asked for again, with the same version.
	ErrNoQuorum = errors.New("committed: no quorum")
	// ErrNotReady: some gateway of the group runs a release without this part; nothing was asked of the group.
	ErrNotReady = errors.New("committed: not every gateway has this part yet")
	// ErrStale: the record was taken under a higher ballot, or the change contradicts one of the same version.
	ErrStale = errors.New("committed: a higher ballot is known")
	// ErrDeleted: the record was deleted, for good.
	ErrDeleted = errors.New("committed: deleted")
	// ErrOver: the record's time is over.
	ErrOver = errors.New("committed: its time is over")
	// ErrFull: there is no room for it; nothing has changed.
	ErrFull = errors.New("committed: full")
	// ErrTooLarge: the contents have more than MaxContents bytes; nothing has changed.
	ErrTooLarge = errors.New("committed: too large")
	// ErrBusy: too much waits at this gateway already; nothing was asked of the group.
	ErrBusy = errors.New("committed: too much is waiting")
	// ErrUnknown is joined to an error where the change may have been applied, or may yet be.
	ErrUnknown = errors.New("committed: it may have been applied")
	// ErrRefused: it is no record, or no entry for this part; nothing has changed.
	ErrRefused = errors.New("committed: refused")
	// ErrNewer: this release cannot read it. The control group stops applying at such an entry.
	ErrNewer = fmt.Errorf("committed: %w", authority.ErrNewer)
)
