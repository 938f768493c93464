// Package logbook keeps a log in memory, which a test reads while others still write it. It must not know what they log.
package logbook

import (
	"bytes"
	"strings"
	"sync"
)

// Book is the log, whole: it is for tests, which end. Its zero value is empty, and it must not be copied.
type Book struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *Book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns what was written up to now.
func (b *Book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// With returns the lines up to now that hold a text.
func (b *Book) With(text string) (found []string) {
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}
