package host

import (
	"bytes"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// maxLine bounds a line of a plugin's output, in bytes; a longer one becomes several.
const maxLine = 512

// output passes what a plugin prints on to the log, line by line. It never fails: go-plugin reads on whatever comes.
type output struct {
	to *sink

	mu   sync.Mutex
	line []byte // the last one, as far as it is there
}

// Write implements io.Writer.
func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for rest := text; len(rest) > 0; {
		line, more, ended := bytes.Cut(rest, []byte("\n"))
		n := min(len(line), maxLine-len(o.line))
		o.line = append(o.line, line[:n]...)
		if n < len(line) {
			ended, more = true, rest[n:]
		}
		if ended {
			o.pass()
		}
		rest = more
	}
	return len(text), nil
}

// flush passes on what has no end.
func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pass()
}

// pass hands the line on as one of the plugin's; mu is held.
func (o *output) pass() {
	if text := strings.TrimSpace(string(o.line)); text != "" {
		level, text := leveled(text)
		o.to.Accept(o.to.plugin, level, text)
	}
	o.line = o.line[:0]
}

// leveled reads the level that a line begins with, as go-plugin does before the handshake. What is printed without one
// is meant to be read.
func leveled(line string) (hclog.Level, string) {
	word, rest, ok := strings.Cut(strings.TrimPrefix(line, "["), "]")
	if ok && line[0] == '[' {
		if level := hclog.LevelFromString(word); level != hclog.NoLevel {
			return level, strings.TrimSpace(rest)
		}
	}
	return hclog.Info, line
}
