package replica

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"unique"
)

// Bounds of what a record's words may have, in bytes.
const (
	maxID   = 512
	maxName = 128
)

// errDamaged: bytes are not what was written.
var errDamaged = errors.New("damaged")

// codecVersion begins every record: a reader refuses what it does not know.
const codecVersion = 1

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendRecord(b []byte, r *Record) []byte {
	flags := byte(0)
	if r.Deleted {
		flags = 1
	}
	b = append(b, codecVersion, byte(r.Kind), flags)
	b = binary.AppendUvarint(b, r.Ballot)
	b = binary.AppendUvarint(b, r.Version)
	b = binary.AppendVarint(b, r.Until)
	b = appendText(b, r.ID)
	b = appendText(b, r.Service)
	b = appendText(b, r.Owner)
	b = appendText(b, r.Region)
	return appendText(b, r.Contents)
}

// reader takes values off a slice; the first that is not there spoils all that follow.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) octet() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	r.skip(n)
	return v
}

func (r *reader) signed() int64 {
	v, n := binary.Varint(r.b)
	r.skip(n)
	return v
}

func (r *reader) skip(n int) {
	if n <= 0 {
		r.bad, r.b = true, nil
		return
	}
	r.b = r.b[n:]
}

func (r *reader) text(most int) []byte {
	n := r.number()
	if r.bad || n > uint64(most) || n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	t := r.b[:n:n]
	r.b = r.b[n:]
	return t
}

// name is a word that many records share: they share its bytes too.
func (r *reader) name() string { return unique.Make(string(r.text(maxName))).Value() }

// record copies the contents: what was read may be a page of a file.
func (r *reader) record(most int) Record {
	var out Record
	r.bad = r.bad || r.octet() != codecVersion
	out.Kind = Kind(r.octet())
	out.Deleted = r.octet()&1 != 0
	out.Ballot, out.Version, out.Until = r.number(), r.number(), r.signed()
	out.ID = string(r.text(maxID))
	out.Service, out.Owner, out.Region = r.name(), r.name(), r.name()
	if c := r.text(most); len(c) > 0 {
		out.Contents = append([]byte(nil), c...)
	}
	r.bad = r.bad || out.ID == "" || out.Deleted && len(out.Contents) > 0
	return out
}

// What is kept of an entry: the checksum (CRC-32C of what follows), the promise, and the record, if there is one.
func encodeEntry(b []byte, promised uint64, promisedUntil int64, r *Record) []byte {
	b = append(b, 0, 0, 0, 0)
	b = binary.AppendUvarint(b, promised)
	b = binary.AppendVarint(b, promisedUntil)
	if r != nil {
		b = appendRecord(b, r)
	}
	binary.BigEndian.PutUint32(b, crc32.Checksum(b[4:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// decodeEntry returns a nil record for what is a promise only.
func decodeEntry(v []byte, most int) (promised uint64, promisedUntil int64, r *Record, err error) {
	if len(v) < 6 || binary.BigEndian.Uint32(v) != crc32.Checksum(v[4:], crc32.MakeTable(crc32.Castagnoli)) {
		return 0, 0, nil, errDamaged
	}
	in := reader{b: v[4:]}
	promised, promisedUntil = in.number(), in.signed()
	if len(in.b) > 0 {
		rec := in.record(most)
		r = &rec
	}
	if in.bad || len(in.b) > 0 {
		return 0, 0, nil, errDamaged
	}
	return promised, promisedUntil, r, nil
}

// diskKey is a record's name in its slot's bucket.
func diskKey(k Key) []byte { return append([]byte{byte(k.Kind)}, k.ID...) }
