package control

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
)

// Bulk is a Part whose state may be large. It is written to a snapshot and read from one as a stream, and only its
// digest is compared: nobody who waits for the state waits while it is encoded.
type Bulk interface {
	Part
	// Freeze returns, quickly, what writes the state as it is now; nil: it is the one before the first entry. It is
	// written by another goroutine, once, while entries go on being applied.
	Freeze() io.WriterTo
	// Thaw replaces the state by what Freeze wrote, and reads to the end.
	Thaw(r io.Reader) error
	// Digest returns, quickly, bytes that are the same where the state is. It may be called by any goroutine.
	Digest() []byte
}

// A snapshot with bulks begins with its magic, the length of the image and the image. Each bulk, in the order of their
// names, is chunks, a length before each, and ends with a chunk of none. Without any it is the image alone.
const (
	streamMagic = "QRS2"
	maxChunk    = 1 << 20
)

// freeze returns the bulks of the state that are not empty; f.mu is held.
func (f *fsm) freeze() map[string]io.WriterTo {
	all := map[string]io.WriterTo{}
	for name, p := range f.parts {
		if b, ok := p.(Bulk); ok {
			if w := b.Freeze(); w != nil {
				all[name] = w
			}
		}
	}
	return all
}

// stream is a snapshot with bulks.
type stream struct {
	head  []byte
	bulks map[string]io.WriterTo
}

// Persist implements raft.FSMSnapshot.
func (s *stream) Persist(sink raft.SnapshotSink) error {
	if err := s.write(sink); err != nil {
		return errors.Join(fmt.Errorf("control: snapshot: %w", err), sink.Cancel())
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (s *stream) Release() {}

func (s *stream) write(to io.Writer) error {
	head := binary.BigEndian.AppendUint32([]byte(streamMagic), uint32(len(s.head)))
	if _, err := to.Write(append(head, s.head...)); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.bulks)) {
		if _, err := s.bulks[name].WriteTo(chunks{to}); err != nil {
			return err
		}
		if _, err := to.Write(make([]byte, 4)); err != nil {
			return err
		}
	}
	return nil
}

// chunks writes each write as chunks.
type chunks struct{ to io.Writer }

// Write implements io.Writer.
func (c chunks) Write(b []byte) (int, error) {
	for chunk := range slices.Chunk(b, maxChunk) {
		if _, err := c.to.Write(binary.BigEndian.AppendUint32(nil, uint32(len(chunk)))); err != nil {
			return 0, err
		}
		if _, err := c.to.Write(chunk); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// chunked reads what chunks wrote, up to its end.
type chunked struct {
	from  io.Reader
	left  int
	ended bool
}

// Read implements io.Reader.
func (c *chunked) Read(b []byte) (int, error) {
	if c.left == 0 && !c.ended {
		var length [4]byte
		if _, err := io.ReadFull(c.from, length[:]); err != nil {
			return 0, errors.Join(io.ErrUnexpectedEOF, err)
		}
		c.left = int(binary.BigEndian.Uint32(length[:]))
		c.ended = c.left == 0
	}
	if c.ended {
		return 0, io.EOF
	}
	n, err := c.from.Read(b[:min(len(b), c.left)])
	c.left -= n
	if errors.Is(err, io.EOF) && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// thaw reads a snapshot: it restores the bulks and returns the image. It is called by Raft's goroutine, which applies,
// without f.mu: for as long as it takes, the rest goes on with the state as it was.
func (f *fsm) thaw(from io.Reader) ([]byte, error) {
	r := bufio.NewReader(from)
	if start, _ := r.Peek(len(streamMagic)); string(start) != streamMagic {
		return io.ReadAll(r)
	}
	head := make([]byte, len(streamMagic)+4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(binary.BigEndian.Uint32(head[len(streamMagic):]))))
	if err != nil {
		return nil, err
	}
	i, err := f.readImage(b)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(i.Bulks)) {
		if err := f.thawOne(name, r, i.Bulks[name]); err != nil {
			return nil, fmt.Errorf("part %s: %w", name, err)
		}
	}
	return b, nil
}

func (f *fsm) thawOne(name string, r io.Reader, digest []byte) error {
	p, ok := f.parts[name].(Bulk)
	if !ok {
		return fmt.Errorf("it is no bulk here: %w", authority.ErrNewer)
	}
	if err := p.Thaw(&chunked{from: r}); err != nil {
		return err
	}
	if !bytes.Equal(p.Digest(), digest) {
		return errors.New("it is not what was written: the digest differs")
	}
	return nil
}
