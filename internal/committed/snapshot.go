package committed

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// snapshotFormat is the newest form of snapshots that this release reads, and the one that it writes.
const snapshotFormat = 1

// maxStored bounds one entry in a snapshot, in bytes.
const maxStored = MaxContents + 3*MaxName + fixed

// frozen is the state at one moment. Entries are never changed, so it costs a pointer for each of them.
type frozen struct {
	now     int64
	entries []*entry
}

// Freeze returns what writes the state as it is now, quickly; nil: it is the one before the first entry, and releases
// without this part can read the rest.
func (p *Part) Freeze() io.WriterTo {
	if f := p.freeze(); f.now != 0 || len(f.entries) != 0 {
		return f
	}
	return nil
}

func (p *Part) freeze() *frozen {
	p.mu.RLock()
	defer p.mu.RUnlock()
	f := &frozen{now: p.now, entries: make([]*entry, 0, len(p.records))}
	for _, e := range p.records {
		f.entries = append(f.entries, e)
	}
	return f
}

// WriteTo implements io.WriterTo; the same state gives the same bytes. It is called once.
func (f *frozen) WriteTo(to io.Writer) (int64, error) {
	slices.SortFunc(f.entries, (*entry).compare)
	w := bufio.NewWriterSize(to, 256<<10)
	head := binary.AppendVarint([]byte{snapshotFormat}, f.now)
	head = binary.AppendUvarint(head, uint64(len(f.entries)))
	written, err := w.Write(head)
	total := int64(written)
	var buf, length []byte
	for _, e := range f.entries {
		buf = e.append(buf[:0])
		length = binary.AppendUvarint(length[:0], uint64(len(buf)))
		for _, b := range [...][]byte{length, buf} {
			if err == nil {
				written, err = w.Write(b)
				total += int64(written)
			}
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return total, fmt.Errorf("committed: snapshot: %w", err)
	}
	return total, nil
}

// Snapshot returns the state as bytes for Restore; none for the state before the first entry.
func (p *Part) Snapshot() ([]byte, error) {
	f := p.Freeze()
	if f == nil {
		return nil, nil
	}
	var b bytes.Buffer
	_, err := f.WriteTo(&b)
	return b.Bytes(), err
}

// Restore replaces the state by a snapshot's; after an error it stays. ErrNewer: a newer release wrote it.
func (p *Part) Restore(snapshot []byte) error { return p.Thaw(bytes.NewReader(snapshot)) }

// Thaw is Restore for a snapshot that is read; it reads to the end.
func (p *Part) Thaw(r io.Reader) error {
	next := NewPart()
	next.maxLive, next.maxDeleted, next.maxBytes = p.maxLive, p.maxDeleted, p.maxBytes
	if err := next.read(bufio.NewReaderSize(r, 256<<10)); err != nil {
		return fmt.Errorf("committed: snapshot: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.records, p.now, p.live, p.bytes, p.digest = next.records, next.now, next.live, next.bytes, next.digest
	return nil
}

func (p *Part) read(r *bufio.Reader) error {
	format, err := r.ReadByte()
	if errors.Is(err, io.EOF) { // the state before the first entry
		return nil
	}
	if err != nil {
		return err
	}
	if format > snapshotFormat {
		return fmt.Errorf("%w: format %d, this release reads %d", ErrNewer, format, snapshotFormat)
	}
	if p.now, err = binary.ReadVarint(r); err != nil {
		return err
	}
	count, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	for range count {
		if err := p.readEntry(r); err != nil {
			return err
		}
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows its end", ErrRefused)
	}
	return nil
}

func (p *Part) readEntry(r *bufio.Reader) error {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	if n > maxStored {
		return fmt.Errorf("%w: an entry of %d bytes", ErrRefused, n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	d := decoder{b: b}
	e := &entry{held: d.byte() == 1, promised: d.number(), at: d.number(), Record: d.record()}
	if err := d.end(); err != nil {
		return err
	}
	if _, twice := p.records[e.Key]; twice || e.promised < e.Ballot {
		return fmt.Errorf("%w: a record is there twice, or its ballot makes no sense", ErrRefused)
	}
	if p.replace(nil, e) != done || len(p.records)-p.live > p.maxDeleted {
		return fmt.Errorf("%w: it holds more than may be", ErrRefused)
	}
	return nil
}
