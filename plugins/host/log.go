package host

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/quorate/quorate/strategies"
)

// A plugin may write logBurst lines at once and logRate a second; what is beyond is counted.
const (
	logBurst = 100
	logRate  = 20
	maxAttrs = 16
)

// newSink returns what passes a plugin's lines on to the log of its configuration.
func newSink(cfg Config) *sink {
	return &sink{log: cfg.Log.With("strategy", cfg.Name), plugin: logName + "." + cfg.Name, tokens: logBurst, last: time.Now()}
}

// logger returns the logger that go-plugin wants. What the plugin says has its own level; what go-plugin says of its
// work is debugging.
func (s *sink) logger() hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: logName, Level: hclog.Debug, Output: io.Discard})
	l.RegisterSink(s)
	return l
}

const logName = "plugin"

// sink passes log lines on.
type sink struct {
	log    *slog.Logger
	plugin string // the name that go-plugin gives to the logger for the plugin's own lines

	mu     sync.Mutex
	tokens float64
	last   time.Time
	lost   int
}

// Accept implements hclog.SinkAdapter.
func (s *sink) Accept(name string, level hclog.Level, msg string, args ...any) {
	own := name == s.plugin
	at := slog.LevelDebug
	if own {
		at = severity(level)
	}
	if !s.log.Enabled(context.Background(), at) {
		return
	}
	ok, lost := s.admit(time.Now())
	if !ok {
		return
	}
	attrs := []any{"from", "plugin"}
	if !own {
		attrs[1] = "go-plugin"
	}
	if lost > 0 {
		attrs = append(attrs, "lines_lost", lost)
	}
	for i := 0; i+1 < min(len(args), 2*maxAttrs); i += 2 {
		attrs = append(attrs, strategies.Printable(fmt.Sprint(args[i])), strategies.Printable(fmt.Sprint(args[i+1])))
	}
	s.log.Log(context.Background(), at, strategies.Printable(msg), attrs...)
}

// admit takes a token, and returns how many lines were lost since the last that was passed on.
func (s *sink) admit(now time.Time) (ok bool, lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = min(logBurst, s.tokens+logRate*now.Sub(s.last).Seconds())
	s.last = now
	if s.tokens < 1 {
		s.lost++
		return false, 0
	}
	s.tokens--
	lost, s.lost = s.lost, 0
	return true, lost
}

func severity(level hclog.Level) slog.Level {
	switch level {
	case hclog.Error:
		return slog.LevelError
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Info:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
