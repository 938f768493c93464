package mcp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Event is one event of a server-sent event stream, as the HTML standard frames them.
type Event struct {
	ID    string
	HasID bool   // an id field is there; an empty id resets the last event id
	Name  string // "" stands for "message"
	Retry string // digits, milliseconds; "" when absent
	// Data is the data lines joined by \n; nil when there is none, empty for an empty one.
	// Of a comment it is the text behind the colon and one blank.
	Data []byte
	// Comment is a comment line by itself, or a blank line (Data nil). It has no other fields and
	// means nothing but that the stream lives.
	Comment bool
	// Raw is the event exactly as it came, with the blank line that ends it. The Raws of a stream's
	// events are the whole stream, but for a byte order mark. AppendEvent ignores it.
	Raw []byte
}

// ErrEventTooLarge is an event longer than the reader's bound.
var ErrEventTooLarge = errors.New("mcp: event stream: event too large")

const (
	firstBuffer = 1 << 10  // an idle stream holds this much, in bytes
	keepBuffer  = 16 << 10 // and no more than this after a large event
)

// EventReader splits a stream into events. It hands on every event, and every comment line, as soon as
// it is whole, so that nothing is held back. It is not safe for concurrent use.
type EventReader struct {
	r     io.Reader
	max   int
	buf   []byte
	start int  // what was handed out ends here
	line  int  // the first line not looked at yet starts here
	open  bool // a field line lies between start and line
	ends  lineEnds
	begun bool // past the place where a byte order mark may be
	join  []byte
	err   error
}

// NewEventReader returns a reader of r that refuses events of more than max bytes as framed; max must
// be positive. It allocates its buffer at the first Next.
func NewEventReader(r io.Reader, max int) *EventReader {
	return &EventReader{r: r, max: max}
}

// Next returns the next event; its slices are valid until the next call. At the stream's end after a
// whole event it returns io.EOF, and within one io.ErrUnexpectedEOF: what came of that event must not be
// acted on. Errors of the underlying reader come back as they are. Every error is final.
func (r *EventReader) Next() (Event, error) {
	r.shrink()
	for {
		if r.frame() {
			raw := r.buf[r.start:r.line:r.line]
			if len(raw) > r.max {
				return Event{}, r.tooLarge()
			}
			r.start = r.line
			return r.parse(raw), nil
		}
		if err := r.fill(); err != nil {
			return Event{}, err
		}
	}
}

// frame moves line past the next event and reports whether it is whole.
func (r *EventReader) frame() bool {
	for {
		end := r.ends.next(r.buf, r.line)
		switch {
		case end == len(r.buf):
			// Nothing but blank lines: a keep-alive, or the LF of a CRLF that was cut in two.
			return !r.open && r.line > r.start && r.line == len(r.buf)
		case end == r.line && r.open:
			r.line, r.open = lineAfter(r.buf, end), false
			return true
		case end == r.line:
			r.line = lineAfter(r.buf, end)
		case !r.open && r.buf[r.line] == ':':
			r.line = lineAfter(r.buf, end)
			if r.ends.next(r.buf, r.line) == r.line && r.line < len(r.buf) {
				r.line = lineAfter(r.buf, r.line)
			}
			return true
		case r.buf[end] == '\r' && end+1 == len(r.buf):
			return false // a LF may follow, or the blank line
		default:
			r.line, r.open = lineAfter(r.buf, end), true
		}
	}
}

// fill reads more behind what is not handed out yet.
func (r *EventReader) fill() error {
	switch {
	case r.err != nil:
		return r.final()
	case len(r.buf)-r.start > r.max:
		return r.tooLarge()
	}
	r.makeRoom()
	for range 100 { // as bufio: a reader that gives neither bytes nor an error is broken
		n, err := r.r.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		r.err = err
		r.skipMark()
		if n > 0 {
			return nil
		}
		if err != nil {
			return r.final()
		}
	}
	r.err = io.ErrNoProgress
	return r.err
}

func (r *EventReader) tooLarge() error {
	r.err = fmt.Errorf("%w: more than %d bytes", ErrEventTooLarge, r.max)
	r.buf, r.start, r.line, r.open, r.ends = nil, 0, 0, false, lineEnds{}
	return r.err
}

// final returns the stream's error once every whole event is handed out.
func (r *EventReader) final() error {
	if errors.Is(r.err, io.EOF) && (r.open || r.line < len(r.buf)) {
		r.err = io.ErrUnexpectedEOF
	}
	return r.err
}

func (r *EventReader) makeRoom() {
	if r.start > 0 {
		n := copy(r.buf, r.buf[r.start:])
		r.buf = r.buf[:n]
		r.line -= r.start
		r.ends.shift(r.start)
		r.start = 0
	}
	if len(r.buf) == cap(r.buf) {
		size := max(firstBuffer, min(4*cap(r.buf), r.max+2))
		r.buf = append(make([]byte, 0, size), r.buf...)
	}
}

// shrink lets a large event's buffers go, for a stream may stay open for days.
func (r *EventReader) shrink() {
	if cap(r.join) > keepBuffer {
		r.join = nil
	}
	if r.start == len(r.buf) && cap(r.buf) > keepBuffer {
		r.buf, r.start, r.line, r.ends = nil, 0, 0, lineEnds{}
	}
}

// skipMark takes a byte order mark at the stream's start for handed out.
func (r *EventReader) skipMark() {
	const mark = "\xef\xbb\xbf"
	if r.begun || (len(r.buf) < len(mark) && bytes.HasPrefix([]byte(mark), r.buf) && r.err == nil) {
		return
	}
	r.begun = true
	if bytes.HasPrefix(r.buf, []byte(mark)) {
		r.start, r.line = len(mark), len(mark)
	}
}
