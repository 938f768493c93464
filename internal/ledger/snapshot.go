package ledger

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/quorate/quorate/internal/authority"
)

// snapshotFormat is the newest form of snapshots that this release reads, and the one that it writes.
const snapshotFormat = 1

// snapshotHead begins a snapshot; its format and a line end follow. The rest is binary: the state may be large, and
// while a snapshot is taken nothing is applied.
const snapshotHead = "quorate ledger "

// Snapshot returns the state as bytes for Restore. The same state gives the same bytes, and a part that was never used
// none: a release that does not know it can do without.
func (p *Part) Snapshot() ([]byte, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if len(p.key) == 0 && len(p.entries) == 0 && len(p.heard) == 0 {
		return nil, nil
	}
	w := writer(make([]byte, 0, 1024+p.bytes+300*len(p.entries)))
	w = append(w, snapshotHead+strconv.Itoa(snapshotFormat)+"\n"...)
	w.text(p.key)
	w.number(uint64(len(p.heard)))
	for _, name := range slices.Sorted(maps.Keys(p.heard)) {
		h := p.heard[name]
		w.text([]byte(name))
		w.number(uint64(h.life), h.batch, uint64(h.at))
	}
	all := slices.SortedFunc(maps.Values(p.entries), func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.at, b.at))
	})
	w.number(uint64(len(all)))
	for _, e := range all {
		w.entry(e)
	}
	return w, nil
}

type writer []byte

func (w *writer) number(all ...uint64) {
	for _, n := range all {
		*w = binary.AppendUvarint(*w, n)
	}
}

func (w *writer) text(b []byte) {
	w.number(uint64(len(b)))
	*w = append(*w, b...)
}

func (w *writer) entry(e *entry) {
	*w = append(append(*w, e.scope[:]...), e.digest[:]...)
	w.text([]byte(e.attempt.Gateway))
	open := uint64(0)
	if e.open {
		open = 1
	}
	w.number(uint64(e.attempt.Incarnation), e.attempt.Number, e.index, uint64(e.at), uint64(e.until), open,
		uint64(e.outcome.Kind), uint64(e.outcome.Status))
	w.text(e.outcome.Value)
}

// Restore replaces the state by a snapshot's; after an error it stays. ErrNewer: a newer release wrote it.
func (p *Part) Restore(b []byte) error {
	next := NewPart()
	next.bounds = p.bounds
	if err := next.read(b); err != nil {
		return fmt.Errorf("ledger: snapshot: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key, p.entries, p.bytes, p.heard = next.key, next.entries, next.bytes, next.heard
	for s := range p.waiting {
		p.changed(s)
	}
	return nil
}

func (p *Part) read(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	head, rest, ok := bytes.Cut(b, []byte("\n"))
	text, is := bytes.CutPrefix(head, []byte(snapshotHead))
	format, err := strconv.Atoi(string(text))
	switch {
	case !ok || !is || err != nil || format < 1:
		return errors.New("not a snapshot of a ledger")
	case format > snapshotFormat:
		return fmt.Errorf("%w: a snapshot of format %d, this release reads up to %d", ErrNewer, format, snapshotFormat)
	}
	r := &reader{rest: rest}
	if key := r.text(keySize); len(key) > 0 {
		p.key = bytes.Clone(key)
	}
	for range r.count(maxGateways) {
		name := string(r.text(authority.MaxName))
		p.heard[name] = heard{authority.Index(r.number()), r.number(), int64(r.number())}
	}
	for range r.count(p.bounds.entries) {
		if !r.cut {
			p.take(r.entry())
		}
	}
	if r.cut || len(r.rest) > 0 || p.bytes > p.bounds.bytes || len(p.key) != 0 && len(p.key) != keySize {
		return errors.New("it is cut, or holds what no ledger can")
	}
	return nil
}

func (p *Part) take(e *entry) {
	p.entries[e.scope] = e
	p.bytes += len(e.outcome.Value)
}

// reader reads what writer wrote. After a value that makes no sense it is cut, and reads zeros.
type reader struct {
	rest []byte
	cut  bool
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.cut, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.rest) {
		r.cut, r.rest = true, nil
		return make([]byte, min(n, len(Scope{})))
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) count(most int) int {
	n := r.number()
	if n > uint64(most) {
		r.cut, r.rest = true, nil
		return 0
	}
	return int(n)
}

func (r *reader) text(most int) []byte { return r.bytes(r.count(most)) }

func (r *reader) entry() *entry {
	e := &entry{scope: Scope(r.bytes(len(Scope{}))), digest: [32]byte(r.bytes(32))}
	e.attempt.Gateway = string(r.text(authority.MaxName))
	e.attempt.Incarnation, e.attempt.Number = authority.Index(r.number()), r.number()
	e.index, e.at, e.until = r.number(), r.count(maxItems), int64(r.number())
	e.open = r.count(1) == 1
	e.outcome = Outcome{Kind: Kind(r.count(int(Unkept))), Status: r.count(999)}
	if v := r.text(MaxResult); len(v) > 0 {
		e.outcome.Value = bytes.Clone(v)
	}
	return e
}
