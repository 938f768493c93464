// Package lastgood keeps the last verified nodes of all services on disk, so that a gateway that starts while
// everything that names nodes is down serves at once. It must not know where the nodes come from, nor who verifies
// and uses them.
package lastgood

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/atomicfile"
)

// Config says where and how long a set is kept. The zero value of every field but Dir and Logger stands for its
// default.
type Config struct {
	Dir    string        // required; it is made if it is not there
	MaxAge time.Duration // nodes not seen for longer are not used; default 7 days
	Every  time.Duration // the least time between two writes; default 5 s
	Logger *slog.Logger  // required
}

func (c *Config) withDefaults() error {
	c.MaxAge = cmp.Or(c.MaxAge, 7*24*time.Hour)
	c.Every = cmp.Or(c.Every, 5*time.Second)
	var problems []error
	bad := func(is bool, text string) {
		if is {
			problems = append(problems, errors.New(text))
		}
	}
	bad(c.Dir == "", "dir is required")
	bad(c.Logger == nil, "logger is required")
	bad(c.MaxAge < 0, "max age is negative")
	bad(c.Every < 0, "every is negative")
	return errors.Join(problems...)
}

// Store keeps one set on disk. Its methods may be called at any time from anywhere.
type Store struct {
	cfg     Config
	path    string
	wake    chan struct{} // cap 1: next is new
	stop    chan struct{}
	closing sync.Once
	saver   sync.WaitGroup
	err     error // of the last write; read after saver is done

	mu   sync.Mutex
	next Set // what is to be written, nil for nothing
}

// Open returns the store with what it holds. A file that cannot be used is set aside with an error in the log: no
// set is better than no gateway. The error is about cfg, or of making the directory.
func Open(cfg Config) (*Store, Set, error) {
	if err := cfg.withDefaults(); err != nil {
		return nil, nil, fmt.Errorf("lastgood: open: %w", err)
	}
	if err := atomicfile.MakeDir(cfg.Dir); err != nil {
		return nil, nil, fmt.Errorf("lastgood: open: %w", err)
	}
	s := &Store{cfg: cfg, path: filepath.Join(cfg.Dir, fileName), wake: make(chan struct{}, 1), stop: make(chan struct{})}
	set, err := s.load(time.Now())
	if err != nil {
		cfg.Logger.Error("the nodes on disk are unusable: this gateway starts without them", "file", s.path, "cause", err.Error())
	}
	s.saver.Go(s.run)
	return s, set, nil
}

// load reads the set; none where there is no file.
func (s *Store) load(now time.Time) (Set, error) {
	content, err := atomicfile.Read(s.path, MaxFile)
	set := Set{}
	if errors.Is(err, fs.ErrNotExist) {
		return set, nil
	}
	if err == nil {
		set, err = decode(content, now, s.cfg.MaxAge)
	}
	if err != nil {
		return nil, atomicfile.SetAside(s.path, now, err)
	}
	return set, nil
}

// Keep has set written soon, instead of what was to be written before. It does not block, and takes set over. After
// Close it does nothing.
func (s *Store) Keep(set Set) {
	if set == nil {
		set = Set{}
	}
	s.mu.Lock()
	s.next = set
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close writes what is to be written, and returns the error of that, or of the last write if there is nothing.
func (s *Store) Close() error {
	s.closing.Do(func() { close(s.stop) })
	s.saver.Wait()
	return s.err
}

// run writes what is new, not too often, and once more at the end. It has a goroutine of its own because a disk can
// hang.
func (s *Store) run() {
	for {
		select {
		case <-s.stop:
			s.save()
			return
		case <-s.wake:
		}
		s.save()
		select {
		case <-s.stop:
			s.save()
			return
		case <-time.After(s.cfg.Every):
		}
	}
}

// save writes the set if there is a new one. What the disk refuses is tried again in the next turn.
func (s *Store) save() {
	s.mu.Lock()
	set := s.next
	s.next = nil
	s.mu.Unlock()
	if set == nil {
		return
	}
	before := s.err
	if s.err = s.write(set); s.err == nil {
		if before != nil {
			s.cfg.Logger.Info("the verified nodes are saved again", "file", s.path)
		}
		return
	}
	if before == nil {
		s.cfg.Logger.Error("the verified nodes are not saved: a start without sources will not know them", "file", s.path, "cause", s.err.Error())
	}
	s.mu.Lock()
	if s.next == nil {
		s.next = set
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Store) write(set Set) error {
	content, err := encode(set, time.Now())
	if err == nil {
		err = atomicfile.Write(s.path, content)
	}
	if err != nil {
		return fmt.Errorf("lastgood: save: %w", err)
	}
	return nil
}
