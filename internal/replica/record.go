package replica

import (
	"hash/crc32"
	"time"
)

// Kind is what a record is of.
type Kind uint8

// The kinds of records.
const (
	Session Kind = 1
	Handle  Kind = 2 // of a task; written once
)

// Key names a record.
type Key struct {
	Kind Kind
	ID   string
}

// Slots is how many parts the records are spread over. It is part of what gateways agree on.
const Slots = 256

// Record is one state of a record. Contents must not be changed by anybody.
type Record struct {
	Key
	Service  string
	Owner    string // gateway that wrote this state
	Region   string // of the owner, so that everybody finds the same places when it is gone. Put fills it in
	Ballot   uint64 // 0: the minter's
	Version  uint64 // within the ballot
	Deleted  bool   // remembered until Until, without contents
	Until    int64  // unix seconds, above 0: the end of the id's own lifetime. After it every holder drops the record
	Contents []byte
}

// mark is what orders the states of one record. A deletion is final within its ballot. Only a claim can be above it: an
// owner that is cut off and lets a session expire must not end what its successor carries on.
type mark struct {
	ballot  uint64
	deleted bool
	version uint64
	sum     uint32 // of the contents: two states that differ in nothing else have an order too
}

func (r *Record) mark() mark {
	return mark{r.Ballot, r.Deleted, r.Version, crc32.Checksum(r.Contents, crc32.MakeTable(crc32.Castagnoli))}
}

// below reports whether o replaces m.
func (m mark) below(o mark) bool {
	switch {
	case m.ballot != o.ballot:
		return m.ballot < o.ballot
	case m.deleted != o.deleted:
		return o.deleted
	case m.version != o.version:
		return m.version < o.version
	}
	return m.sum < o.sum
}

// over reports whether the record's id has reached the end of its own lifetime. Nothing needs to be remembered past it,
// not even that the record was deleted: the id itself says that it is over.
func over(until int64, now time.Time) bool { return now.Unix() > until }

// FNV-1a with a last mixing: the sums are combined by XOR, which wants every bit of each to depend on all of the input.
func hashOf(kind Kind, text string, more ...uint64) uint64 {
	const prime = 1099511628211
	h := (uint64(14695981039346656037) ^ uint64(kind)) * prime
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * prime
	}
	for _, v := range more {
		h = mix(h ^ v)
	}
	return mix(h)
}

func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func slotOf(k Key) int { return int(hashOf(k.Kind, k.ID) % Slots) }

// digest of one state of a record.
func digestOf(k Key, m mark) uint64 {
	flag := uint64(0)
	if m.deleted {
		flag = 1
	}
	return hashOf(k.Kind, k.ID, m.ballot, m.version, flag, uint64(m.sum))
}
