package committed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Group is the control group as it is needed here; *control.Node is one.
type Group interface {
	// Propose returns when the command was applied here, with what the part answered.
	Propose(ctx context.Context, part string, command []byte) (index uint64, result []byte, err error)
	// Allow reports whether this gateway may write now.
	Allow() bool
}

// Config is what a Client needs. Fields without a default are required.
type Config struct {
	Part  *Part // the one that Group applies to
	Group Group
	// Ready reports whether every gateway of the group has the part; it must not block. Nil: they have.
	Ready func() bool
	// Final reports whether an error of Propose says that the group refused the entry for good. Nil: none does.
	Final func(error) bool
	// Patience is how long a call waits where its context does not say, and at most; default 5 s, 10 ms..60 s.
	Patience time.Duration
	// Try is how long one entry is waited for before its changes are asked for again; default 2 s, 10 ms..60 s.
	Try time.Duration
}

func (c *Config) check() error {
	if c.Ready == nil {
		c.Ready = func() bool { return true }
	}
	if c.Final == nil {
		c.Final = func(error) bool { return false }
	}
	if c.Patience == 0 {
		c.Patience = 5 * time.Second
	}
	if c.Try == 0 {
		c.Try = 2 * time.Second
	}
	const least, most = 10 * time.Millisecond, time.Minute
	switch {
	case c.Part == nil || c.Group == nil:
		return errors.New("committed: config: part and group are required")
	case c.Patience < least || c.Patience > most || c.Try < least || c.Try > most:
		return fmt.Errorf("committed: config: patience %s and try %s must be %s..%s", c.Patience, c.Try, least, most)
	}
	return nil
}

// Client is this gateway's way to the records. It is safe for concurrent use.
type Client struct {
	cfg     Config
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	flights sync.WaitGroup

	mu     sync.Mutex // guards what follows
	queue  []*change  // the oldest first
	bytes  int        // of the queue
	flying int        // entries on their way
	closed bool
}

// New returns a client. Close ends it.
func New(cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c, nil
}

// Put has a record committed, and returns when it is applied here. A newer version of the same ballot that is there
// already holds this change too: that is no error. The contents must not change afterwards.
func (c *Client) Put(ctx context.Context, r Record) error {
	if len(r.Contents) > MaxContents {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(r.Contents))
	}
	r.Deleted = false
	return c.do(ctx, item{opPut, r})
}

// Drop has a record deleted for good, whatever version of it is there.
func (c *Client) Drop(ctx context.Context, r Record) error {
	r.Deleted, r.Contents = true, nil
	return c.do(ctx, item{opDrop, r})
}

// Take has the ballot of a claim promised, and returns the record as it was at that moment: what is written under a
// lower ballot after it changes nothing, what was acknowledged before is in it. found: there is a record, be it a
// deleted one. Of r, key, service, ballot and the end of its time count.
func (c *Client) Take(ctx context.Context, r Record) (taken Record, found bool, err error) {
	r.Contents = nil
	err = c.do(ctx, item{opTake, r})
	if errors.Is(err, ErrOver) {
		return Record{}, false, nil
	}
	if err != nil {
		return Record{}, false, err
	}
	now, promised, found := c.cfg.Part.look(r.Key)
	if promised > r.Ballot && !now.Deleted {
		return Record{}, false, fmt.Errorf("%w: %d, not %d", ErrStale, promised, r.Ballot)
	}
	return now, found, nil
}

// Look returns a record as it is after everything that was acknowledged anywhere before the call.
func (c *Client) Look(ctx context.Context, k Key) (Record, bool, error) {
	if err := c.do(ctx, item{op: opLook}); err != nil {
		return Record{}, false, err
	}
	r, found := c.cfg.Part.Get(k)
	return r, found, nil
}

// Get returns a record as it is applied here; elsewhere it may have changed since.
func (c *Client) Get(k Key) (Record, bool) { return c.cfg.Part.Get(k) }

// All returns the records as they are applied here, deleted ones too, in no order.
func (c *Client) All() []Record { return c.cfg.Part.all() }

// Expire has forgotten, everywhere, what is over at a time. One gateway of the fleet needs to do so now and then. It
// asks the group for nothing while nothing is over. The time should be well past: clocks differ.
func (c *Client) Expire(ctx context.Context, now time.Time) error {
	if !c.cfg.Part.over(now.Unix()) {
		return nil
	}
	return c.do(ctx, item{opExpire, Record{Until: now.Unix()}})
}

// Close ends what is under way, with ErrNoQuorum, and waits for it.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.flights.Wait()
}

// do has an item applied.
func (c *Client) do(ctx context.Context, i item) error {
	if len(i.record.ID) > MaxName || len(i.record.Service) > MaxName || len(i.record.Owner) > MaxName {
		return fmt.Errorf("%w: a name of more than %d bytes", ErrRefused, MaxName)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Patience)
	defer cancel()
	w := &change{item: i, ctx: ctx, done: make(chan error, 1)}
	if err := c.enqueue(w); err != nil {
		return err
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w: %w", ErrNoQuorum, ErrUnknown, context.Cause(ctx))
	}
}
