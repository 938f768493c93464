package jetstream

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quorate/quorate/strategies"
)

// A mirror follows the bucket in another region, some time behind. Nothing rests on what it says: a promise writes what
// the mirror has in the place of the revision that it names, which the bucket's leader refuses where that is not the
// newest, and a hint tells a gateway no more than that there may be something.

// mirrorAgain is how often a mirror is looked for that is not there.
const mirrorAgain = 5 * time.Second

// mirror is that of this gateway's region.
type mirror struct {
	conn *nats.Conn // to servers nearby, which no write goes through; nil: that of the store
	js   jetstream.JetStream

	mu     sync.Mutex
	stream jetstream.Stream // nil until it is found
	next   time.Time        // when it is looked for again
}

// mirrorConfig is a copy in another region, on servers with its tag.
func (s *Store) mirrorConfig(region string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: s.set.mirror(region), Description: "hints for " + region, Mirror: &jetstream.StreamSource{Name: s.set.stream()},
		MaxMsgsPerSubject: 1, Storage: jetstream.FileStorage, Replicas: 1, AllowDirect: true, AllowMsgTTL: true, Placement: placed(region),
	}
}

// mirrorOf returns a region's mirror, and has it made where there is none.
func (s *Store) mirrorOf(ctx context.Context, js jetstream.JetStream, region string) (jetstream.Stream, error) {
	m, err := js.Stream(ctx, s.set.mirror(region))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		m, err = js.CreateStream(ctx, s.mirrorConfig(region))
	}
	return m, err
}

// makeMirrors has every mirror made that is missing, and tries again where a region has no server yet, until Close.
func (s *Store) makeMirrors() {
	for missing := true; missing; {
		missing = false
		for _, region := range s.set.Mirrors {
			ctx, cancel := context.WithTimeout(context.Background(), mirrorAgain)
			if _, err := s.mirrorOf(ctx, s.js, region); err != nil {
				missing = true
			}
			cancel()
		}
		if !missing {
			return
		}
		select {
		case <-time.After(mirrorAgain):
		case <-s.ended:
			return
		}
	}
}

// approach prepares the connection to servers nearby, where there are any with a mirror.
func (s *Store) approach() (err error) {
	s.near.js = s.js
	if urls := s.set.Near[s.told.Region]; len(urls) > 0 {
		if s.near.conn, err = s.connect(urls, func() {}); err != nil {
			return err
		}
		s.near.js, err = jetstream.New(s.near.conn)
	}
	return err
}

// mirrored reports whether this gateway's region has a mirror that can be asked.
func (s *Store) mirrored() bool {
	return slices.Contains(s.set.Mirrors, s.told.Region) && (s.near.conn == nil || s.near.conn.IsConnected())
}

// nearby returns the mirror of this gateway's region, nil while it is not known to be there.
func (s *Store) nearby(ctx context.Context) jetstream.Stream {
	s.near.mu.Lock()
	defer s.near.mu.Unlock()
	if now := time.Now(); s.near.stream == nil && !now.Before(s.near.next) {
		s.near.next = now.Add(mirrorAgain)
		if m, err := s.mirrorOf(ctx, s.near.js, s.told.Region); err == nil {
			s.near.stream = m
		}
	}
	return s.near.stream
}

// old is what the mirror has of a key; nil where it has nothing to say.
func (s *Store) old(ctx context.Context, key string) *entry {
	if !s.mirrored() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, oneRound) // a question that nobody answers must not hold up the next
	defer cancel()
	m := s.nearby(ctx)
	if m == nil {
		return nil
	}
	found, err := m.GetLastMsgForSubject(ctx, s.set.subject(key))
	if err != nil {
		return nil
	}
	e, err := read(key, found.Header, found.Data, found.Sequence, time.Now())
	if err != nil || !e.alive(time.Now()) {
		return nil
	}
	return &e
}

// hint answers a question that an old answer will do for: what the leader says costs no write here, which is what is
// dear.
func (s *Store) hint(ctx context.Context, key string) strategies.Answer {
	e, old := s.soonest(ctx, key)
	if e == nil || !e.alive(time.Now()) {
		return strategies.Answer{}
	}
	s.hinted.put(*e)
	a := e.answer(time.Now())
	a.Old = old
	return a
}

// first is a guess at what there is of a key; nil where it is better to ask the leader.
func (s *Store) first(ctx context.Context, key string) *entry {
	if e := s.hinted.take(key); e != nil {
		return e
	}
	if !s.mirrored() {
		return nil
	}
	e, _ := s.soonest(ctx, key)
	return e
}

// soonest is what there is of a key by the mirror, which may be old, or by the leader, whoever is quicker; nil: neither
// has said. So a mirror can save a question, and costs nothing where it is far or silent.
func (s *Store) soonest(ctx context.Context, key string) (found *entry, old bool) {
	ctx, cancel := context.WithTimeout(ctx, oneRound)
	defer cancel()
	mirror, leader := make(chan *entry, 1), make(chan *entry, 1)
	go func() { mirror <- s.old(ctx, key) }()
	go func() {
		e, err := s.entry(ctx, key, nil)
		if err != nil {
			leader <- nil
			return
		}
		leader <- &e
	}()
	select {
	case e := <-mirror:
		if e != nil {
			return e, true
		}
		return <-leader, false
	case e := <-leader:
		return e, false
	}
}
