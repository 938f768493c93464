package child

import (
	"bytes"
	"sync"
)

// Tail keeps the last bytes written to it, for an error message about a child that failed.
type Tail struct {
	mu  sync.Mutex
	buf []byte
}

// maxTail bounds what a Tail keeps, in bytes.
const maxTail = 8 << 10

// Write implements io.Writer; it never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - maxTail; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// String returns what is kept, without a first line that was cut.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.buf) < maxTail {
		return string(t.buf)
	}
	_, rest, _ := bytes.Cut(t.buf, []byte("\n"))
	return string(rest)
}
