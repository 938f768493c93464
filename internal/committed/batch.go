package committed

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Bounds of what waits and of what is under way at one gateway.
const (
	maxFlying  = 2        // entries on their way
	maxWaiting = 20_000   // changes
	maxQueued  = 64 << 20 // bytes of them
	// pause is before changes are asked for again: whoever leads next is not known any sooner.
	pause = 50 * time.Millisecond
)

// change is one that waits for its outcome.
type change struct {
	item  item
	ctx   context.Context // of who waits
	done  chan error      // of one
	tried bool            // an earlier entry with it may have been applied
}

// finish tells whoever waits. Told twice, only the first counts.
func (w *change) finish(err error) {
	if err != nil && w.tried {
		err = fmt.Errorf("%w: %w", err, ErrUnknown)
	}
	select {
	case w.done <- err:
	default:
	}
}

// enqueue adds a change to those that go with the next entry.
func (c *Client) enqueue(w *change) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := w.item.size()
	switch {
	case c.closed || !c.cfg.Group.Allow():
		return fmt.Errorf("%w: this gateway may not write now", ErrNoQuorum)
	case !c.cfg.Ready():
		return ErrNotReady
	case len(c.queue) >= maxWaiting || c.bytes+size > maxQueued:
		return ErrBusy
	}
	c.queue, c.bytes = append(c.queue, w), c.bytes+size
	if c.flying < maxFlying {
		c.flying++
		c.flights.Go(c.fly)
	}
	return nil
}

// fly sends entries, one after the other, as long as something waits.
func (c *Client) fly() {
	for {
		batch := c.next()
		if batch == nil {
			return
		}
		if again := c.send(batch); len(again) > 0 {
			c.wait()
			c.back(again)
		}
	}
}

// next takes what goes into one entry; nil: nothing waits, and this flight is over. Who has left is not sent.
func (c *Client) next() []*change {
	c.mu.Lock()
	defer c.mu.Unlock()
	var batch []*change
	size, taken := fixed, 0
	for _, w := range c.queue {
		n := w.item.size()
		if len(batch) == MaxItems || (len(batch) > 0 && size+n > MaxEntry) {
			break
		}
		taken++
		c.bytes -= n
		if w.ctx.Err() == nil {
			batch, size = append(batch, w), size+n
		}
	}
	clear(c.queue[:taken])
	if c.queue = c.queue[taken:]; len(c.queue) == 0 {
		c.queue = nil
	}
	if batch == nil {
		c.flying--
	}
	return batch
}

// send has a batch committed and tells the outcomes. It returns what is to be asked for again: it may have been applied
// or not, and a second time it changes nothing.
func (c *Client) send(batch []*change) (again []*change) {
	items := make([]item, len(batch))
	for i, w := range batch {
		items[i] = w.item
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.Try)
	defer cancel()
	_, result, err := c.cfg.Group.Propose(ctx, PartName, encodeItems(items))
	if err == nil && len(result) != len(batch) {
		err = errors.New("the part's answer is of another length")
	}
	if err == nil {
		for i, w := range batch {
			w.finish(outcome(result[i]).err())
		}
		return nil
	}
	final := c.cfg.Final(err)
	for _, w := range batch {
		switch {
		case final:
			w.finish(fmt.Errorf("%w: %w", ErrRefused, err))
		case w.ctx.Err() != nil || c.ctx.Err() != nil || !c.cfg.Group.Allow():
			w.tried = true
			w.finish(fmt.Errorf("%w: %w", ErrNoQuorum, err))
		default:
			w.tried = true
			again = append(again, w)
		}
	}
	return again
}

// wait lets a moment pass.
func (c *Client) wait() {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}

// back puts changes before those that came later.
func (c *Client) back(again []*change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range again {
		c.bytes += w.item.size()
	}
	c.queue = append(again, c.queue...)
}
