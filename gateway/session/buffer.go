package session

import (
	"context"
	"sync"
)

// bounds limit what one stream keeps for resuming.
type bounds struct{ events, bytes int }

// buffer keeps the latest frames of one stream. One pump appends; at most one reader, an agent's
// open HTTP response, follows, and the newest reader wins: an agent that comes back does so because
// its old connection is gone, whatever the gateway still believes of it.
//
// Without a reader the oldest frames are dropped at the bounds. With one the pump waits instead, so
// a slow agent slows its own stream down and loses nothing.
type buffer struct {
	limit bounds
	room  chan struct{} // capacity 1: the reader has moved on or is gone

	mu     sync.Mutex
	frames [][]byte // contiguous; frames[i] has sequence first+i
	first  uint64
	read   uint64 // behind the last one that a reader has had
	bytes  int
	ended  bool
	reader *reader
}

// reader is one agent's place in a buffer.
type reader struct {
	next    uint64
	comment []byte        // a comment frame to pass on; only live readers get them, and only the newest
	wake    chan struct{} // capacity 1
}

func newBuffer(limit bounds) buffer { return buffer{limit: limit, room: make(chan struct{}, 1)} }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// append adds the frame that build makes for its sequence number, waiting for room while a reader
// has the oldest kept frame still before it. It returns ctx's error if that ends first.
func (b *buffer) append(ctx context.Context, build func(seq uint64) []byte) error {
	for {
		b.mu.Lock()
		if b.shrink() {
			b.add(build(b.first + uint64(len(b.frames))))
			b.mu.Unlock()
			return nil
		}
		b.mu.Unlock()
		select {
		case <-b.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// appendNow adds a stream's final frame whatever the bounds say: nobody may wait any more.
func (b *buffer) appendNow(frame []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shrink()
	b.add(frame)
}

func (b *buffer) add(frame []byte) {
	b.frames = append(b.frames, frame)
	b.bytes += len(frame)
	b.wakeReader()
}

// shrink makes room for one more frame, reporting false if that would take an unread one.
func (b *buffer) shrink() bool {
	for len(b.frames) >= b.limit.events || (len(b.frames) > 0 && b.bytes >= b.limit.bytes) {
		if b.reader != nil && b.reader.next <= b.first {
			return false
		}
		b.drop()
	}
	return true
}

func (b *buffer) drop() {
	b.bytes -= len(b.frames[0])
	b.frames[0] = nil
	b.frames = b.frames[1:]
	b.first++
}

// note passes a comment frame on to the reader, if there is one. Comments are not kept.
func (b *buffer) note(frame []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reader != nil {
		b.reader.comment = append([]byte(nil), frame...)
		b.wakeReader()
	}
}

// end says that no more frames will come; a reader leaves after the last one.
func (b *buffer) end() { b.setEnded(true) }

// reopen takes end back: the stream was resumed.
func (b *buffer) reopen() { b.setEnded(false) }

func (b *buffer) setEnded(v bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = v
	b.wakeReader()
}

func (b *buffer) wakeReader() {
	if b.reader != nil {
		signal(b.reader.wake)
	}
}

// attach makes a new reader that starts at seq, reporting false if the frames from there on are not
// all kept.
func (b *buffer) attach(seq uint64) (*reader, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if seq < b.first || seq > b.first+uint64(len(b.frames)) {
		return nil, false
	}
	return b.replace(seq), true
}

// attachEnd makes a new reader that sees only what comes after now.
func (b *buffer) attachEnd() *reader {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.replace(b.first + uint64(len(b.frames)))
}

// attachFirst makes a new reader of everything that is kept.
func (b *buffer) attachFirst() *reader {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.replace(b.first)
}

// untouched reports whether no reader has had anything yet.
func (b *buffer) untouched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read <= b.first && b.reader == nil
}

// unread reports whether anything kept was never given to a reader.
func (b *buffer) unread() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read < b.first+uint64(len(b.frames))
}

func (b *buffer) replace(seq uint64) *reader {
	b.wakeReader() // the one before finds itself replaced
	b.reader = &reader{next: seq, wake: make(chan struct{}, 1)}
	signal(b.room)
	return b.reader
}

func (b *buffer) detach(rd *reader) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reader == rd {
		b.reader = nil
		signal(b.room)
	}
}

// position returns the sequence number of the next frame.
func (b *buffer) position() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.first + uint64(len(b.frames))
}

// size returns what is kept.
func (b *buffer) size() (events, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.frames), b.bytes
}

type place uint8

const (
	ready   place = iota // here is a frame
	waiting              // nothing now
	over                 // nothing ever, for this reader
)

// take returns the reader's next frame. Frames are immutable.
func (b *buffer) take(rd *reader) ([]byte, place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reader != rd {
		return nil, over
	}
	if i := rd.next - b.first; i < uint64(len(b.frames)) {
		rd.next++
		b.read = max(b.read, rd.next)
		signal(b.room)
		return b.frames[i], ready
	}
	if frame := rd.comment; frame != nil {
		rd.comment = nil
		return frame, ready
	}
	if b.ended {
		return nil, over
	}
	return nil, waiting
}
