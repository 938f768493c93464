package jetstream

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quorate/quorate/strategies"
)

const (
	// page is how many entries are asked for at once, and pageWait how long: what was counted may be over by now.
	page     = 500
	pageWait = time.Second
	// idle is how long the cluster remembers a list that nobody reads on.
	idle = 10 * time.Second
)

// List implements strategies.Store. It reads headers only.
func (s *Store) List(ctx context.Context, each func(strategies.Head) error) error {
	b, err := s.open(ctx)
	if err != nil {
		return outer("list", err)
	}
	c, err := b.CreateConsumer(ctx, jetstream.ConsumerConfig{
		FilterSubject: s.set.subject(">"), DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true,
		InactiveThreshold: idle, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return outer("list", inner(err))
	}
	seen, began := map[string]bool{}, time.Now()
	for left := c.CachedInfo().NumPending; left > 0; {
		more, err := s.page(ctx, c, seen, each)
		if nobody := errors.Is(err, nats.ErrNoResponders) && time.Since(began) < patience; err != nil && !nobody {
			return err
		} else if nobody { // the consumer's leader is new, or is just elected
			if err := pause(ctx, pauseMost); err != nil {
				return outer("list", err)
			}
			continue
		}
		left, began = more, time.Now()
	}
	return nil
}

// page reads some entries, and returns how many are left.
func (s *Store) page(ctx context.Context, c jetstream.Consumer, seen map[string]bool, each func(strategies.Head) error) (left uint64, err error) {
	batch, err := c.Fetch(page, jetstream.FetchMaxWait(pageWait))
	if err != nil {
		return 0, outer("list", inner(err))
	}
	for got := 0; ; got++ {
		var m jetstream.Msg
		var ok bool
		select {
		case m, ok = <-batch.Messages():
		case <-ctx.Done():
			return 0, outer("list", ctx.Err())
		}
		if !ok && got > 0 || m == nil && ok {
			return left, nil
		}
		if !ok {
			return s.left(ctx, c, batch.Error())
		}
		if left, err = s.show(m, seen, each); err != nil || left == 0 {
			return left, err
		}
	}
}

// left asks how many entries are left when none has come.
func (s *Store) left(ctx context.Context, c jetstream.Consumer, cause error) (uint64, error) {
	info, err := c.Info(ctx)
	if err == nil && cause != nil && info.NumPending > 0 {
		err = cause
	}
	if err != nil {
		return 0, outer("list", inner(err))
	}
	return info.NumPending, nil
}

// show passes an entry on, once, and returns how many come after it.
func (s *Store) show(m jetstream.Msg, seen map[string]bool, each func(strategies.Head) error) (left uint64, err error) {
	about, err := m.Metadata()
	if err != nil {
		return 0, outer("list", err)
	}
	key := strings.TrimPrefix(m.Subject(), s.set.subject(""))
	e, err := read(key, m.Headers(), nil, about.Sequence.Stream, time.Now())
	if err != nil {
		return 0, outer("list", err)
	}
	if !e.alive(time.Now()) || seen[key] {
		return about.NumPending, nil
	}
	seen[key] = true
	return about.NumPending, each(e.head())
}
