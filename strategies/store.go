package strategies

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Limits of what a store is given. A batch is bounded by records and by bytes, whichever is reached first.
const (
	MaxKey      = 512     // bytes of a key
	MaxContents = 3 << 20 // bytes of one record's contents
	MaxBatch    = 256     // records of one call
	MaxBytes    = 3 << 20 // bytes of the contents of one call
	MaxFindings = 64      // of Inspect
)

// What a whole call of a store may fail with, besides other errors. What the call was to do may have been done all the
// same: the gateway asks again, and the order of records makes that harmless.
var (
	// ErrUnavailable: the store cannot be reached now.
	ErrUnavailable = errors.New("strategies: store is unavailable")
	// ErrFull: the store takes nothing more.
	ErrFull = errors.New("strategies: store is full")
)

// Record is what is kept of one session, task or call. To a store it is opaque but for its order.
type Record struct {
	// Key has letters, digits and - _ = /, at most MaxKey bytes, so that it may be a path and a key of a bucket.
	Key     string
	Service string // a name
	Owner   string // the gateway that wrote it, a name
	// Ballot and Version order the records of one key: the higher ballot is newer, and in one ballot the higher
	// version.
	Ballot, Version uint64
	// Deleted says that the key is over: it has no contents, and no other record takes its place.
	Deleted bool
	// Until, in Unix seconds, is the end of the key's own lifetime, after which the store drops what it has of it.
	Until    int64
	Contents []byte // at most MaxContents
}

// Validate returns what is wrong with a record.
func (r Record) Validate() error {
	switch {
	case !isKey(r.Key):
		return fmt.Errorf("strategies: record's key %.64q is not a key", r.Key)
	case !isName(r.Service) || !isName(r.Owner):
		return fmt.Errorf("strategies: record's service %.64q and owner %.64q are not names", r.Service, r.Owner)
	case len(r.Contents) > MaxContents:
		return fmt.Errorf("strategies: record has contents of %d bytes, at most %d are allowed", len(r.Contents), MaxContents)
	case r.Deleted && len(r.Contents) > 0:
		return errors.New("strategies: deleted record has contents")
	case r.Until <= 0:
		return errors.New("strategies: record has no end of its lifetime")
	}
	return nil
}

// Head returns what is known of a record without its contents.
func (r Record) Head() Head {
	return Head{
		Key: r.Key, Service: r.Service, Owner: r.Owner, Ballot: r.Ballot, Version: r.Version, Deleted: r.Deleted, Until: r.Until,
		Size: len(r.Contents), Digest: sha256.Sum256(r.Contents),
	}
}

// Head is a record without its contents.
type Head struct {
	Key, Service, Owner string
	Ballot, Version     uint64
	Deleted             bool
	Until               int64
	Size                int      // bytes of the contents
	Digest              [32]byte // SHA-256 of the contents
	Revision            uint64   // the store's own, for operators
}

// Outcome is what became of one record of a Put.
type Outcome uint8

const (
	// Kept: the record is what is kept now, or was already.
	Kept Outcome = iota + 1
	// Stale: a newer record is kept, or a higher ballot was promised.
	Stale
	// Gone: the key is deleted.
	Gone
	// TooLarge: the store has a lower bound than MaxContents.
	TooLarge
)

// String returns the word used in logs.
func (o Outcome) String() string {
	if o < Kept || o > TooLarge {
		return "invalid"
	}
	return [...]string{"", "kept", "stale", "deleted", "too large"}[o]
}

// Standing is what a store has of one key, as far as the order of records goes. The zero value is nothing.
type Standing struct {
	Known           bool // there is a record
	Ballot, Version uint64
	Deleted         bool
	Promised        uint64 // ballots below it are refused
}

// Judge returns what a Put of a record has to come to, and whether it changes anything. Every store has to judge so,
// and to read, judge and write as one step: compare and set.
func (s Standing) Judge(r Record) (o Outcome, changes bool) {
	same := s.Known && s.Ballot == r.Ballot && s.Version == r.Version && s.Deleted == r.Deleted
	switch {
	case same:
		return Kept, false
	case s.Known && s.Deleted:
		return Gone, false
	case r.Ballot < s.Promised, s.Known && (r.Ballot < s.Ballot || r.Ballot == s.Ballot && r.Version <= s.Version):
		return Stale, false
	}
	return Kept, true
}

// Written is what became of one record of a Put, and what the store has of its key after it.
type Written struct {
	Outcome  Outcome
	Standing Standing
	Revision uint64 // the store's own, for operators
}

// Query asks for the record of one key.
type Query struct {
	Key string
	// Ballot that the store promises, before it reads: from then on it refuses lower ones for this key. 0: nothing
	// is promised. A promise is kept also where there is no record, until Until.
	Ballot uint64
	Until  int64 // in Unix seconds; needed with a ballot
	// Hint says that an old answer will do, such as that of a mirror nearby, or one that is read and not agreed on. It has
	// no ballot.
	Hint bool
}

// Validate returns what is wrong with a query.
func (q Query) Validate() error {
	switch {
	case !isKey(q.Key):
		return fmt.Errorf("strategies: key %.64q is not a key", q.Key)
	case q.Ballot > 0 && q.Hint:
		return errors.New("strategies: a hint promises nothing")
	case q.Ballot > 0 && q.Until <= 0:
		return errors.New("strategies: promise has no end")
	}
	return nil
}

// Answer is the record of one key, where there is one.
type Answer struct {
	Found    bool
	Record   Record
	Promised uint64
	Revision uint64
	Old      bool // of a copy that may be behind, as only a hint may be
}

// Finding is one thing that Inspect has looked at.
type Finding struct {
	Good    bool
	Subject string // such as replicas
	Text    string // what is so
	Advice  string // what to do, where it is not good
}

// Store is a replication strategy that keeps contents itself, in an engine of its own. It serves one gateway and may be
// one of many before the same engine. The gateway decides who owns a record; the store has to keep the order of
// records (Standing.Judge), whoever writes. Its methods may be called concurrently and end with their contexts.
type Store interface {
	Replication
	// Put keeps records, deletions among them, each judged on its own, and says what became of each, in their
	// order. When it returns, what is Kept outlives the store's own crash. At most MaxBatch records, no key twice.
	Put(context.Context, []Record) ([]Written, error)
	// Get promises and reads, for each query in their order. Without Hint it sees every Put that has returned,
	// at whichever gateway.
	Get(context.Context, []Query) ([]Answer, error)
	// List calls the function for what it has of every record, once each, in any order, and stops at its error.
	// A record that is put meanwhile may be there in either state.
	List(context.Context, func(Head) error) error
	// Inspect looks at the engine, for quorate doctor: that it can be reached, how many replicas it keeps, whether
	// it syncs before it acknowledges, clocks, permissions. At most MaxFindings.
	Inspect(context.Context) ([]Finding, error)
}

// isKey takes what is a path, and a key of a bucket, everywhere.
func isKey(s string) bool {
	if s == "" || len(s) > MaxKey || s[0] == '/' || s[len(s)-1] == '/' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alnum && c != '-' && c != '_' && c != '=' && (c != '/' || s[i-1] == '/') {
			return false
		}
	}
	return true
}
