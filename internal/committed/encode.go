package committed

import (
	"encoding/binary"
	"fmt"
)

// appendRecord appends a record: kind, flags, ballot, version, end of its time, and its four fields with their lengths.
func appendRecord(b []byte, r *Record) []byte {
	flags := byte(0)
	if r.Deleted {
		flags = 1
	}
	b = append(b, byte(r.Kind), flags)
	b = binary.AppendUvarint(b, r.Ballot)
	b = binary.AppendUvarint(b, r.Version)
	b = binary.AppendVarint(b, r.Until)
	for _, s := range [...]string{r.ID, r.Service, r.Owner} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return append(binary.AppendUvarint(b, uint64(len(r.Contents))), r.Contents...)
}

// decoder reads what appendRecord and its callers wrote. After an error it returns zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = fmt.Errorf("%w: it is cut or damaged", ErrRefused)
	}
	d.b = nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// field returns the next field of at most most bytes.
func (d *decoder) field(most int) []byte {
	n := d.number()
	if n > uint64(most) || n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	f := d.b[:n]
	d.b = d.b[n:]
	return f
}

func (d *decoder) record() Record {
	r := Record{Key: Key{Kind: Kind(d.byte())}}
	flags := d.byte()
	if flags > 1 {
		d.fail()
	}
	r.Deleted = flags == 1
	r.Ballot, r.Version, r.Until = d.number(), d.number(), d.signed()
	r.ID, r.Service, r.Owner = string(d.field(MaxName)), string(d.field(MaxName)), string(d.field(MaxName))
	if c := d.field(MaxEntry); len(c) > 0 {
		r.Contents = append([]byte(nil), c...)
	}
	return r
}

// end returns the first error; that something is left is one.
func (d *decoder) end() error {
	if len(d.b) > 0 {
		d.fail()
	}
	return d.err
}
