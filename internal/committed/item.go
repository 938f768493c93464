package committed

import (
	"encoding/binary"
	"fmt"
)

// commandFormat is the newest form of entries that this release applies, and the one that it writes.
const commandFormat = 1

// op is what an item does.
type op uint8

const (
	opPut    op = 1 // takes the place of what is lower
	opDrop   op = 2 // deletes for good
	opTake   op = 3 // from here on lower ballots change nothing
	opExpire op = 4 // forgets what is over at Until
	opLook   op = 5 // changes nothing: whoever has applied it has applied what was agreed on before
)

// item is one change. An item of opTake has no contents, one of opExpire only Until, one of opLook nothing.
type item struct {
	op     op
	record Record
}

// outcome is what became of an item, a byte of the entry's result.
type outcome uint8

const (
	done       outcome = 1
	superseded outcome = 2 // a newer version of the same ballot is there: it holds this change too
	stale      outcome = 3
	deleted    outcome = 4
	over       outcome = 5
	full       outcome = 6
	tooLarge   outcome = 7
)

// err is what a caller is told.
func (o outcome) err() error {
	switch o {
	case done, superseded:
		return nil
	case stale:
		return ErrStale
	case deleted:
		return ErrDeleted
	case over:
		return ErrOver
	case full:
		return ErrFull
	case tooLarge:
		return ErrTooLarge
	}
	return fmt.Errorf("%w: outcome %d", ErrNewer, o)
}

// fixed bounds the numbers of an item and the lengths before its fields, in bytes.
const fixed = 64

// size bounds the bytes of an item in an entry.
func (i *item) size() int { return fixed + weight(&i.record) }

// weight is what a record counts towards MaxBytes, but for what is the same for all.
func weight(r *Record) int { return len(r.ID) + len(r.Service) + len(r.Owner) + len(r.Contents) }

// encodeItems returns an entry: a byte of format, the number of items, the items.
func encodeItems(items []item) []byte {
	n := 8
	for i := range items {
		n += items[i].size()
	}
	b := binary.AppendUvarint(append(make([]byte, 0, n), commandFormat), uint64(len(items)))
	for i := range items {
		b = appendRecord(append(b, byte(items[i].op)), &items[i].record)
	}
	return b
}

// decodeItems is the inverse of encodeItems. Contents are copies: an entry must not stay for one record of it.
func decodeItems(b []byte) ([]item, error) {
	d := decoder{b: b}
	if format := d.byte(); len(b) > 0 && format > commandFormat {
		return nil, fmt.Errorf("%w: format %d, this release reads %d", ErrNewer, format, commandFormat)
	}
	n := d.number()
	if len(b) > MaxEntry || n > MaxItems {
		return nil, fmt.Errorf("%w: an entry of %d bytes, %d items", ErrRefused, len(b), n)
	}
	items := make([]item, 0, n)
	for range n {
		i := item{op: op(d.byte()), record: d.record()}
		if d.err == nil && (i.op < opPut || i.op > opLook) {
			return nil, fmt.Errorf("%w: an item of kind %d", ErrNewer, i.op)
		}
		items = append(items, i)
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	return items, nil
}
