package committed

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
)

// Part is the replicated state. Apply, Snapshot and Restore are for one goroutine; the rest is for any.
type Part struct {
	mu      sync.RWMutex
	records map[Key]*entry
	now     int64    // the latest time that an entry has named, Unix seconds
	live    int      // records that are not deleted
	bytes   int      // of all
	digest  checksum // of all

	maxLive, maxDeleted, maxBytes int // bounds; tests have lower ones
}

// entry is a record as it is; it is never changed, only replaced.
type entry struct {
	Record
	held     bool   // Record is one; else only the promise is there
	promised uint64 // lower ballots change nothing
	at       uint64 // index of the entry that changed it last
	sum      [sha256.Size]byte
}

// overhead is what an entry counts besides its fields, in bytes.
const overhead = 128

func (e *entry) bytes() int { return overhead + weight(&e.Record) }

// NewPart returns the part without any record.
func NewPart() *Part {
	return &Part{records: map[Key]*entry{}, maxLive: MaxRecords, maxDeleted: MaxDeleted, maxBytes: MaxBytes}
}

// Apply applies the entry at index and returns a byte for each of its items. ErrRefused: it is no entry, and nothing
// has changed, here and everywhere. ErrNewer: this release cannot read it.
func (p *Part) Apply(index uint64, command []byte) ([]byte, error) {
	items, err := decodeItems(command)
	if err != nil {
		return nil, fmt.Errorf("committed: entry %d: %w", index, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	result := make([]byte, len(items))
	for i := range items {
		result[i] = byte(p.apply(index, &items[i]))
	}
	return result, nil
}

// apply is called with p.mu held, as all that follows.
func (p *Part) apply(index uint64, i *item) outcome {
	switch i.op {
	case opPut:
		return p.put(index, &i.record)
	case opDrop:
		return p.drop(index, &i.record)
	case opTake:
		return p.take(index, &i.record)
	case opExpire:
		p.expire(i.record.Until)
	}
	return done
}

func (p *Part) put(index uint64, r *Record) outcome {
	e := p.records[r.Key]
	switch {
	case r.Until <= p.now:
		return over
	case len(r.Contents) > MaxContents:
		return tooLarge
	case e == nil:
		return p.replace(nil, &entry{Record: *r, held: true, promised: r.Ballot, at: index})
	case e.Deleted:
		return deleted
	case r.Ballot < e.promised:
		return stale
	case e.held && r.Ballot == e.Ballot && r.Version < e.Version:
		return superseded
	case e.held && r.Ballot == e.Ballot && r.Version == e.Version:
		if !bytes.Equal(r.Contents, e.Contents) {
			return stale
		}
		return done
	}
	return p.replace(e, &entry{Record: *r, held: true, promised: r.Ballot, at: index})
}

// drop deletes for good, whatever version is there. That an unknown record is deleted is remembered too: a late
// change must not bring it back.
func (p *Part) drop(index uint64, r *Record) outcome {
	e := p.records[r.Key]
	switch {
	case e != nil && e.Deleted, r.Until <= p.now:
		return done
	case e != nil && r.Ballot < e.promised:
		return stale
	}
	gone := *r
	gone.Deleted, gone.Contents = true, nil
	o := p.replace(e, &entry{Record: gone, held: true, promised: r.Ballot, at: index})
	p.forget()
	return o
}

// take promises a ballot, for a record that is there or not.
func (p *Part) take(index uint64, r *Record) outcome {
	e := p.records[r.Key]
	switch {
	case r.Until <= p.now:
		return over
	case e == nil:
		return p.replace(nil, &entry{Record: Record{Key: r.Key, Service: r.Service, Until: r.Until}, promised: r.Ballot, at: index})
	case e.Deleted || r.Ballot == e.promised:
		return done
	case r.Ballot < e.promised:
		return stale
	}
	next := *e
	next.promised, next.at = r.Ballot, index
	return p.replace(e, &next)
}

// replace puts an entry in the place of another, nil: of none. What takes no more room than before always has it.
func (p *Part) replace(old, e *entry) outcome {
	live, size := p.live, p.bytes+e.bytes()
	if !e.Deleted {
		live++
	}
	if old != nil {
		size -= old.bytes()
		if !old.Deleted {
			live--
		}
	}
	if live > max(p.live, p.maxLive) || size > max(p.bytes, p.maxBytes) {
		return full
	}
	e.seal()
	if old != nil {
		p.digest.remove(old)
	}
	p.digest.add(e)
	p.records[e.Key], p.live, p.bytes = e, live, size
	return done
}

func (p *Part) remove(e *entry) {
	delete(p.records, e.Key)
	p.bytes -= e.bytes()
	p.digest.remove(e)
	if !e.Deleted {
		p.live--
	}
}

// expire forgets what is over. Time does not go back.
func (p *Part) expire(now int64) {
	p.now = max(p.now, now)
	for _, e := range p.records {
		if e.Until <= p.now {
			p.remove(e)
		}
	}
}

// seal computes what the digest has of an entry.
func (e *entry) seal() { e.sum = sha256.Sum256(e.append(nil)) }

// append appends all of an entry.
func (e *entry) append(b []byte) []byte {
	held := byte(0)
	if e.held {
		held = 1
	}
	b = binary.AppendUvarint(append(b, held), e.promised)
	return appendRecord(binary.AppendUvarint(b, e.at), &e.Record)
}
