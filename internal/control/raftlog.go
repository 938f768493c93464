package control

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// maxLine bounds what is logged of one of Raft's lines, in bytes.
const maxLine = 400

// newRaftLog passes on what Raft says, for debugging; nil drops it. In a partition it repeats itself without end, and
// this package says once what an operator must know.
func newRaftLog(log *slog.Logger) hclog.Logger {
	if log == nil {
		return hclog.NewNullLogger()
	}
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: hclog.Debug, Output: io.Discard})
	l.RegisterSink(raftSink{log})
	return l
}

type raftSink struct{ log *slog.Logger }

// Accept implements hclog.SinkAdapter.
func (s raftSink) Accept(_ string, _ hclog.Level, msg string, args ...any) {
	const at = slog.LevelDebug
	if !s.log.Enabled(context.Background(), at) {
		return
	}
	var text strings.Builder
	text.WriteString(msg)
	for i := 0; i+1 < len(args); i += 2 {
		fmt.Fprintf(&text, " %v=%v", args[i], args[i+1])
	}
	line := text.String()
	s.log.Log(context.Background(), at, "raft: "+line[:min(len(line), maxLine)])
}
