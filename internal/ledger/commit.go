package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// maxQueue and maxQueueBytes bound what waits to be committed here. Beyond them an outcome is not kept, and what
	// is asked for is refused.
	maxQueue      = 8192
	maxQueueBytes = 32 << 20
	// perCommand bounds the results of one command, in bytes: what is around them has to fit, too.
	perCommand = maxCommand / 2
	// proposeFor bounds one proposal.
	proposeFor = 5 * time.Second
	// firstPause and longestPause are between proposals that fail.
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
)

var (
	errQueue  = fmt.Errorf("%w: too much waits to be committed", ErrNoQuorum)
	errClosed = fmt.Errorf("%w: the gateway shuts down", ErrNoQuorum)
)

// wish is an item on its way into the log. It stays on its way until it is committed, or nobody wants it any more.
type wish struct {
	item   item
	waited bool       // only who waits wants it
	left   bool       // and does not wait any more; guarded by the ledger
	tried  bool       // it may have been committed
	done   chan reply // of one
}

type reply struct {
	verdict verdict
	err     error
}

// ask commits an item while ctx lasts. An intent that may have been committed when ctx ended is withdrawn.
func (l *Ledger) ask(ctx context.Context, i item) (verdict, error) {
	w := &wish{item: i, waited: true, done: make(chan reply, 1)}
	if err := l.enqueue(w); err != nil {
		return "", err
	}
	select {
	case r := <-w.done:
		return r.verdict, r.err
	case <-ctx.Done():
		return l.leave(w, fmt.Errorf("%w: %w", ErrNoQuorum, context.Cause(ctx)))
	case <-l.ctx.Done():
		return l.leave(w, errClosed)
	}
}

// leave stops waiting, unless the reply is just there.
func (l *Ledger) leave(w *wish, why error) (verdict, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case r := <-w.done:
		return r.verdict, r.err
	default:
		w.left = true
		return "", why
	}
}

// tell replies to a wish. An intent whose agent has left meanwhile is withdrawn.
func (l *Ledger) tell(w *wish, r reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending--
	if !w.left {
		w.done <- r
		return
	}
	if w.item.Op == opIntent && r.verdict == done {
		l.add(w.withdrawal())
	}
}

// insist has an item committed however long it takes; what it returns is closed when that has happened.
func (l *Ledger) insist(i item) <-chan reply {
	w := &wish{item: i, done: make(chan reply, 1)}
	if err := l.enqueue(w); err != nil {
		w.done <- reply{err: err}
	}
	return w.done
}

func (l *Ledger) enqueue(w *wish) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed && w.waited:
		return errClosed
	case len(l.queue) >= maxQueue || l.bytes+len(w.item.Value) > maxQueueBytes:
		return errQueue
	}
	l.add(w)
	return nil
}

// add is called with l.mu held.
func (l *Ledger) add(w *wish) {
	l.queue = append(l.queue, w)
	l.bytes += len(w.item.Value)
	l.pending++
	l.wake()
}

func (l *Ledger) wake() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// commit takes what is queued into the log, one command at a time. What comes while a command is on its way goes with
// the next one.
func (l *Ledger) commit() {
	pause := firstPause
	for batch := uint64(time.Now().UnixNano()); ; { //nolint:gosec // after 1970
		select {
		case <-l.ctx.Done():
			return
		case <-l.more:
		}
		for wishes := l.next(); len(wishes) > 0; wishes = l.next() {
			batch = max(batch, l.cfg.Part.last(l.cfg.Life().Gateway)) + 1
			if err := l.propose(batch, wishes); err == nil {
				pause = firstPause
				continue
			}
			l.putBack(wishes)
			select {
			case <-l.ctx.Done():
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, longestPause)
		}
	}
}

// next takes the wishes of the next command from the queue.
func (l *Ledger) next() []*wish {
	l.mu.Lock()
	defer l.mu.Unlock()
	var wishes []*wish
	n, size := 0, 0
	for n < len(l.queue) && len(wishes) < maxItems && size <= perCommand-MaxResult {
		w := l.queue[n]
		n++
		l.bytes -= len(w.item.Value)
		if w.left && (w.item.Op != opIntent || !w.tried) {
			l.pending--
			continue
		}
		if w.left {
			w = w.withdrawal()
		}
		size += len(w.item.Value)
		wishes = append(wishes, w)
	}
	l.queue = slices.Delete(l.queue, 0, n)
	return wishes
}

// withdrawal takes back an intent that may be in the log.
func (w *wish) withdrawal() *wish {
	return &wish{item: item{Op: opWithdraw, Scope: w.item.Scope, Attempt: w.item.Attempt}, done: make(chan reply, 1)}
}

func (l *Ledger) putBack(wishes []*wish) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range wishes {
		l.bytes += len(w.item.Value)
	}
	l.queue = append(wishes, l.queue...)
	l.wake()
}

// propose has one command committed and tells everybody. After an error nobody was told, and all of it has to be
// proposed again.
func (l *Ledger) propose(batch uint64, wishes []*wish) error {
	now, _ := l.cfg.Clock()
	c := command{Format: commandFormat, From: l.cfg.Life(), Batch: batch, At: max(now.Unix(), 0)}
	if c.From.Incarnation == 0 {
		return ErrNoQuorum
	}
	for _, w := range wishes {
		w.tried = true
		c.Items = append(c.Items, w.item)
	}
	verdicts, err := l.submit(&c)
	if err != nil && !errors.Is(err, ErrRefused) {
		return err
	}
	for i, w := range wishes {
		r := reply{err: err}
		if err == nil {
			r.verdict = verdicts[i]
		}
		l.tell(w, r)
	}
	return nil
}

func (l *Ledger) submit(c *command) ([]verdict, error) {
	b, err := c.encode()
	if err != nil {
		return nil, errors.Join(ErrRefused, err)
	}
	ctx, cancel := context.WithTimeout(l.ctx, proposeFor)
	defer cancel()
	result, err := l.cfg.Propose(ctx, b)
	if err != nil {
		return nil, err
	}
	var a answer
	switch err := json.Unmarshal(result, &a); {
	case err != nil:
		return nil, fmt.Errorf("ledger: answer: %w", err)
	case a.Stale || len(a.Verdicts) != len(c.Items):
		return nil, errStale
	}
	return a.Verdicts, nil
}

var errStale = errors.New("ledger: a later batch of this gateway was taken")

// drain waits until nothing is on its way, within ctx.
func (l *Ledger) drain(ctx context.Context) {
	tick := time.NewTicker(firstPause)
	defer tick.Stop()
	for l.busy() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (l *Ledger) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending > 0
}
