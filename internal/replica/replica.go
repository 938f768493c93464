// Package replica keeps records in memory, on disk and at other gateways, and brings copies that differ together again.
// It must not know what is in a record, MCP, Raft, nor who may own a record: it only refuses what a higher ballot or a
// promise forbids.
package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Path is where copies are asked for and given, between gateways only.
const Path = "/quorate/replica/"

// Defaults of Config and of Plan.
const (
	DefaultMaxRecord  = 1 << 20
	DefaultMaxBytes   = 1 << 30
	DefaultMaxRecords = 400_000
	DefaultCopies     = 2
	DefaultTimeout    = 5 * time.Second
	DefaultRetries    = 3
	DefaultMaxLag     = 5 * time.Second
)

// What callers branch on.
var (
	ErrTooLarge    = errors.New("record is larger than the limit")
	ErrFull        = errors.New("this gateway holds as many records, or bytes of them, as it may")
	ErrLag         = errors.New("copies are too far behind")
	ErrStale       = errors.New("a newer state of the record, or a higher ballot, is known")
	ErrUnconfirmed = errors.New("kept here, and not confirmed by other gateways in time")
	ErrDisk        = errors.New("what is kept cannot be written to the disk")
	ErrClosed      = errors.New("closed")
)

// The kinds of events, words for scripts.
const (
	EventQuarantined = "replica_quarantined" // the file was set aside; what it held is fetched from other gateways
	EventDiskFull    = "replica_disk_full"   // changes are refused; reads go on
	EventDiskBack    = "replica_disk_back"   // there is room again
	EventCopyFailed  = "replica_copy_failed" // a gateway did not take its copies, several times in a row
	EventCopyBack    = "replica_copy_back"   // it takes them again
	EventCaughtUp    = "replica_caught_up"   // this store has asked every place for what it should hold
)

// Plan is how the records of a service are copied.
type Plan struct {
	Copies  int           // on other gateways; 0: none
	Timeout time.Duration // of one batch to one gateway; 0: DefaultTimeout
	Retries int           // in a row, before the records there count as failed; below 0: 0
	MaxLag  time.Duration // past it changes are refused; 0: DefaultMaxLag
}

// Config says who a store is and how it reaches the others.
type Config struct {
	Gateway, Region string // required
	Dir             string // of replica.db; "": memory only

	Transport func(gateway string) http.RoundTripper // nil: a fleet of one
	Places    func() []Place                         // who may hold copies, this gateway included; nil: only this one
	Plan      func(service string) Plan              // nil: the defaults for every service. Asked on every change: cheap
	Label     func() string                          // of the cluster and its generation; requests of another are refused. nil: ""

	// Superseded is told that another gateway knows a higher ballot for a record that was written here; it may be one
	// that this gateway asked for itself. by is the gateway whose state has taken the place of this one's, "" as long as
	// none has. It must not block. nil: only Put says so, by ErrStale.
	Superseded func(old Outranked, ballot uint64, by string)

	MaxRecord  int   // bytes of one record's contents; 0: DefaultMaxRecord
	MaxBytes   int64 // of all contents here; 0: DefaultMaxBytes
	MaxRecords int   // of sessions that are not deleted; as many handles, and twice as many deletions and promises, may be besides. 0: DefaultMaxRecords

	// Clock tells the wall clock's time, by which records are over, and whether that is sure: while it is not, nothing is
	// over. nil: this machine's, and it is.
	Clock  func() (now time.Time, sure bool)
	Every  time.Duration // between comparisons with each other place; 0: ten seconds
	Event  func(kind, gateway, text string)
	Logger *slog.Logger // nil: discarded
}

// Outranked is a state of a record that was written here and no longer counts, without its contents.
type Outranked struct {
	Record
	Alone uint64 // versions, up to this one, that no other gateway has confirmed
}

// check fills in the defaults.
func (c *Config) check() error {
	switch {
	case c.Gateway == "" || len(c.Gateway) > maxName || len(c.Region) > maxName:
		return errors.New("replica: a gateway and its region have names of 1 to 128 bytes")
	case c.MaxRecord < 0 || c.MaxRecord > 64<<20 || c.MaxBytes < 0 || c.MaxRecords < 0 || c.Every < 0:
		return errors.New("replica: a limit is below 0, or a record may have more than 64 MiB")
	}
	c.MaxRecord = cmp.Or(c.MaxRecord, DefaultMaxRecord)
	c.MaxBytes = cmp.Or(c.MaxBytes, DefaultMaxBytes)
	c.MaxRecords = cmp.Or(c.MaxRecords, DefaultMaxRecords)
	c.Every = cmp.Or(c.Every, 10*time.Second)
	c.fillFuncs()
	return nil
}

func (c *Config) fillFuncs() {
	if c.Places == nil {
		self := Place{Gateway: c.Gateway, Region: c.Region, Up: true}
		c.Places = func() []Place { return []Place{self} }
	}
	if c.Plan == nil {
		c.Plan = func(string) Plan {
			return Plan{Copies: DefaultCopies, Timeout: DefaultTimeout, Retries: DefaultRetries, MaxLag: DefaultMaxLag}
		}
	}
	if c.Label == nil {
		c.Label = func() string { return "" }
	}
	if c.Clock == nil {
		c.Clock = func() (time.Time, bool) { return time.Now(), true }
	}
	if c.Superseded == nil {
		c.Superseded = func(Outranked, uint64, string) {}
	}
	if c.Event == nil {
		c.Event = func(string, string, string) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// planOf is a plan with its defaults filled in.
func (c *Config) planOf(service string) Plan {
	p := c.Plan(service)
	p.Copies, p.Retries = max(p.Copies, 0), max(p.Retries, 0)
	p.Timeout = cmp.Or(max(p.Timeout, 0), DefaultTimeout)
	p.MaxLag = cmp.Or(max(p.MaxLag, 0), DefaultMaxLag)
	return p
}

// Store holds this gateway's own records and copies of others'. All of it is safe for concurrent use.
type Store struct {
	cfg Config
	log *slog.Logger

	slots   [Slots]slot
	count   atomic.Int64 // sessions that are not deleted
	handles atomic.Int64
	small   atomic.Int64 // deletions, and promises without a record
	bytes   atomic.Int64 // of contents
	lagged  lagging
	epoch   atomic.Uint64 // of places and plans
	view    atomic.Pointer[view]

	disk     *disk // nil: memory only
	caughtUp atomic.Bool
	round    atomic.Pointer[round] // the first under the present view; nil: there was none

	mu      sync.Mutex
	senders map[string]*sender
	met     map[string]*acquaintance
	closed  bool

	look   chan struct{}
	soon   chan struct{}
	rounds sync.Mutex // one comparison with the others at a time
	ctx    context.Context
	end    context.CancelFunc
	wg     sync.WaitGroup
}

// Open loads what is on disk and begins to copy. A file that is damaged is set aside: what can still be read of it is
// kept, and the store counts as one that has not caught up.
func Open(cfg Config) (*Store, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, log: cfg.Logger, senders: map[string]*sender{}, met: map[string]*acquaintance{}, look: make(chan struct{}, 1), soon: make(chan struct{}, 1)}
	s.ctx, s.end = context.WithCancel(context.Background())
	for i := range s.slots {
		s.slots[i].entries = map[Key]*entry{}
	}
	s.lagged.began = time.Now()
	known := false
	if cfg.Dir != "" {
		var err error
		if s.disk, known, err = openDisk(s, cfg.Dir); err != nil {
			s.end()
			return nil, fmt.Errorf("replica: open: %w", err)
		}
		s.wg.Go(s.disk.run)
	}
	s.caughtUp.Store(known || cfg.Transport == nil)
	s.see()
	s.wg.Go(s.watch)
	s.wg.Go(s.compare)
	return s, nil
}

// Flush waits until every change of this gateway is on disk and has as many copies as there are places for it.
func (s *Store) Flush(ctx context.Context) error {
	if err := s.FlushLocal(ctx); err != nil {
		return err
	}
	return s.drain(ctx)
}

// drain waits until nothing waits to be sent to places that can be reached.
func (s *Store) drain(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.waiting() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("replica: %w: %w", ErrUnconfirmed, ctx.Err())
		}
	}
	return nil
}

// Close stops copying and leaves what is here on disk. The context bounds the wait.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	err := s.FlushLocal(ctx)
	s.end()
	s.wg.Wait()
	if s.disk != nil {
		err = errors.Join(err, s.disk.close())
	}
	return err
}

// now is what records are held against; none is over at the zero time.
func (s *Store) now() time.Time {
	if now, sure := s.cfg.Clock(); sure {
		return now
	}
	return time.Time{}
}

func (s *Store) event(kind, gateway, text string) { s.cfg.Event(kind, gateway, text) }
