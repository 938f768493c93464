package control

import (
	"context"
	"sync"

	"github.com/quorate/quorate/internal/authority"
)

// scribe makes a voter's records safe, one after the other. Where several wait, only the last is written.
type scribe struct {
	keep func(authority.Record) error
	done chan written
	wake chan struct{}

	writing sync.Mutex // held from taking a record until the driver knows what became of it

	mu   sync.Mutex
	next *authority.Persist
}

// written says what became of a record.
type written struct {
	number uint64
	err    error
}

func newScribe(keep func(authority.Record) error) *scribe {
	return &scribe{keep: keep, done: make(chan written), wake: make(chan struct{}, 1)}
}

func (s *scribe) write(p authority.Persist) {
	s.mu.Lock()
	s.next = &p
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *scribe) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			s.writeNext(ctx)
		}
	}
}

func (s *scribe) writeNext(ctx context.Context) {
	s.writing.Lock()
	defer s.writing.Unlock()
	p := s.take()
	if p == nil {
		return
	}
	w := written{number: p.Number, err: s.keep(p.Record)}
	select {
	case s.done <- w:
	case <-ctx.Done():
	}
}

func (s *scribe) take() *authority.Persist {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.next
	s.next = nil
	return p
}

// settle makes a record safe in the place of what waits. The voter that asked for that is gone: no answer to it comes
// after settle, so that the next voter, whose numbers begin anew, cannot take one for its own.
func (s *scribe) settle(r authority.Record) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.take()
	return s.keep(r)
}
