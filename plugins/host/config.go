// Package host runs strategies as processes of their own and asks them, so that one that hangs, crashes, floods or
// lies costs nothing but its own answer. It must not know Raft, the roster's making or which rule is committed: where it
// returns an error, the rule that is in force stays.
package host

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies"
)

// Config is one plugin. The zero value of every field but Name and Path stands for its default.
type Config struct {
	Name string // of the strategy, for logs and errors
	Path string // of the executable, absolute
	Args []string
	// SHA256 of the executable in hex; required unless Own. It is checked at every start.
	SHA256 string
	// Own says that Path is this program itself, which needs no checksum.
	Own bool
	// Start is how long it may take from start to the first health check passed; 10 ms..5 min, default 10 s.
	Start time.Duration
	// Decide is how long a decision may take; 1 ms..10 s, default 50 ms.
	Decide time.Duration
	// Store is how long one call of a store may take; 10 ms..1 min, default 5 s.
	Store time.Duration
	// Told is what a replication strategy is told when it starts; others are told nothing.
	Told strategies.Settings
	// Interval between health checks; 10 ms..1 min, default 1 s.
	Interval time.Duration
	// Health is how long a health check may take; three that fail in a row end the process. 1 ms..10 s, default 200 ms.
	Health time.Duration
	// Backoff is the pause before the first restart, which doubles up to MaxBackoff with every life shorter than
	// MaxBackoff; 1 ms..1 h, default 5 s.
	Backoff time.Duration
	// MaxBackoff, at least Backoff and at most 24 h, default 2 min.
	MaxBackoff time.Duration
	// Dir holds a plugin's socket, in a folder of its own; at most 70 bytes, as a socket's path is short; default the
	// system's temporary folder.
	Dir string
	Log *slog.Logger // default: none

	kind string                   // plugins.SplitBrain, the default, or plugins.Replication
	sets map[int]plugin.PluginSet // the protocol versions spoken; default those of the kind
}

// Builtin is the configuration of a strategy that is part of this program, which runs it as "strategy NAME".
func Builtin(name string) (Config, error) {
	self, err := Self()
	if err != nil {
		return Config{}, fmt.Errorf("host: %w", err)
	}
	return Config{Name: name, Path: self, Args: []string{"strategy", name}, Own: true}, nil
}

// Bounds of an answer, in bytes. A rule of the largest allowed size takes under 8 KiB, records more.
const (
	maxRule  = 64 << 10
	maxBatch = 4 << 20
)

func (c Config) maxReply() int {
	if c.kind == plugins.Replication {
		return maxBatch
	}
	return maxRule
}

// maxDir leaves room for /q-0123456789/plugin0123456789 in the 103 bytes that a socket's path has everywhere.
const maxDir = 70

func (c Config) withDefaults() (Config, error) {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	or(&c.Start, 10*time.Second)
	or(&c.Decide, 50*time.Millisecond)
	or(&c.Store, 5*time.Second)
	or(&c.Interval, time.Second)
	or(&c.Health, 200*time.Millisecond)
	or(&c.Backoff, 5*time.Second)
	or(&c.MaxBackoff, max(2*time.Minute, c.Backoff))
	if c.Dir == "" {
		c.Dir = os.TempDir()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.kind == "" {
		c.kind = plugins.SplitBrain
	}
	if c.sets == nil {
		c.sets = plugins.Sets(nil)
		if c.kind == plugins.Replication {
			c.sets = plugins.ReplicationSets(nil)
		}
	}
	return c, c.check()
}

func (c Config) check() error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	within := func(name string, d, least, most time.Duration) {
		if d < least || d > most {
			add("%s %s is outside %s..%s", name, d, least, most)
		}
	}
	if c.Name == "" {
		add("there is no name")
	}
	if !filepath.IsAbs(c.Path) {
		add("path %q is not absolute", c.Path)
	}
	if sum, err := hex.DecodeString(c.SHA256); !c.Own && (err != nil || len(sum) != 32) {
		add("sha256 %q is not the checksum of an executable; write what sha256sum %s prints", c.SHA256, c.Path)
	}
	if len(c.Dir) > maxDir {
		add("folder %s is longer than %d bytes, which leaves no room for a socket's path", c.Dir, maxDir)
	}
	within("start", c.Start, 10*time.Millisecond, 5*time.Minute)
	within("decision", c.Decide, time.Millisecond, 10*time.Second)
	within("call of a store", c.Store, 10*time.Millisecond, time.Minute)
	if c.kind == plugins.Replication {
		if err := c.Told.Validate(); err != nil {
			problems = append(problems, err)
		}
	}
	within("interval", c.Interval, 10*time.Millisecond, time.Minute)
	within("health", c.Health, time.Millisecond, 10*time.Second)
	within("backoff", c.Backoff, time.Millisecond, time.Hour)
	within("largest backoff", c.MaxBackoff, c.Backoff, 24*time.Hour)
	if len(problems) > 0 {
		return fmt.Errorf("host: config: %w", errors.Join(problems...))
	}
	return nil
}
