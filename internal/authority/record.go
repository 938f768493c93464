package authority

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"
)

// Record is what a voter must not forget: all that it decides acks and confirmations by. It is a file of its
// own beside the Raft log, replaced as a whole and synced before anything rests on it. After a restart it is
// obeyed from the first moment, while the log may still be read again from its beginning.
type Record struct {
	Voter   VoterID       `json:"voter"`
	Index   Index         `json:"index"`   // what the log said up to here; entries up to it change nothing again
	Version Version       `json:"version"` // the rule that acks name; 0: none yet
	Promise time.Duration `json:"promise"` // the promise that acks carry
	Largest time.Duration `json:"largest"` // the largest promise ever stored
	Barrier Index         `json:"barrier"` // the change of rule under way; 0: none
	Lives   []Standing    `json:"lives"`   // lives that have not ended, suspected or not, by gateway
}

// NewRecord is what a voter starts with, once, when its store is made. It must be synced before the store's id
// is told to anybody: from then on a missing record is a lost store.
func NewRecord(id VoterID) Record { return Record{Voter: id} }

// next is the record after what the log says at v.
func (r *Record) next(v View) Record {
	n := Record{
		Voter: r.Voter, Index: v.Index, Version: v.Ruling.Version, Promise: v.Ruling.Now.Promise,
		Largest: max(r.Largest, v.Ruling.Now.Promise), Barrier: v.Ruling.Barrier,
	}
	for _, s := range v.Lives {
		if s.Fenced == 0 {
			n.Lives = append(n.Lives, s)
		}
	}
	return n
}

// same reports whether two records decide alike.
func (r *Record) same(o *Record) bool {
	return r.Version == o.Version && r.Promise == o.Promise && r.Largest == o.Largest && r.Barrier == o.Barrier && slices.Equal(r.Lives, o.Lives)
}

// standing returns where a life stands; false when it is not rostered or has ended.
func (r *Record) standing(l Life) (Standing, bool) {
	for i := range r.Lives {
		if r.Lives[i].Life == l {
			return r.Lives[i], true
		}
	}
	return Standing{}, false
}

// recordFormat is the newest form of a record that this release reads, and the one it writes.
const recordFormat = 1

// maxRecord bounds a record's file, in bytes.
const maxRecord = 1 << 20

type recordFile struct {
	Format int             `json:"format"`
	Sum    uint32          `json:"crc32"` // of Record's bytes
	Record json.RawMessage `json:"record"`
}

// Encode returns the content of the record's file.
func (r Record) Encode() ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("authority: record: %w", err)
	}
	return json.Marshal(recordFile{Format: recordFormat, Sum: crc32.ChecksumIEEE(b), Record: b})
}

// DecodeRecord reads the file of the voter with this id; nil content stands for a missing file. ErrLostStore:
// missing, damaged or another voter's. ErrNewer: a newer release wrote it.
func DecodeRecord(content []byte, id VoterID) (Record, error) {
	fail := func(err error, why string) (Record, error) {
		return Record{}, fmt.Errorf("authority: record of %s: %s: %w", id, why, err)
	}
	if content == nil {
		return fail(ErrLostStore, "no file")
	}
	if len(content) > maxRecord {
		return fail(ErrLostStore, "the file is too large")
	}
	var f recordFile
	if err := json.Unmarshal(content, &f); err != nil {
		return fail(errors.Join(ErrLostStore, err), "damaged")
	}
	if f.Format > recordFormat {
		return fail(ErrNewer, fmt.Sprintf("format %d", f.Format))
	}
	var r Record
	d := json.NewDecoder(bytes.NewReader(f.Record))
	d.DisallowUnknownFields()
	if f.Format < 1 || crc32.ChecksumIEEE(f.Record) != f.Sum || d.Decode(&r) != nil {
		return fail(ErrLostStore, "damaged")
	}
	if r.Voter != id {
		return fail(ErrLostStore, "it is "+r.Voter.String()+"'s")
	}
	return r, nil
}
