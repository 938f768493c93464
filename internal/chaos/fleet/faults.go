package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/chaos/schedule"
	"github.com/quorate/quorate/internal/child"
)

// Standing is a fault that has been made and not yet taken away.
type Standing struct {
	Fault schedule.Fault // with the leader's name in it
	stop  chan struct{}
	once  sync.Once
	done  chan error
}

// End takes the fault away and waits until that is done: a killed gateway runs again.
func (s *Standing) End() error {
	s.once.Do(func() { close(s.stop) })
	err := <-s.done
	s.done <- err // for the next one who asks
	return err
}

// wait waits for a time, or for the end of the fault.
func (s *Standing) wait(d time.Duration) (ended bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return false
	case <-s.stop:
		return true
	}
}

// Make makes a fault. When it returns, the fault is there.
func (f *Fleet) Make(ctx context.Context, fault schedule.Fault) (*Standing, error) {
	if fault.Asks() {
		fault = fault.Resolve(f.leader(ctx), f.names())
	}
	s := &Standing{Fault: fault, stop: make(chan struct{}), done: make(chan error, 1)}
	rest, err := f.begin(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("fleet: %s: %w", fault, err)
	}
	f.mu.Lock()
	f.standing = append(f.standing, s)
	f.mu.Unlock()
	go func() {
		err := rest()
		if err != nil {
			err = fmt.Errorf("fleet: end of %s: %w", fault, err)
		}
		s.done <- err
	}()
	return s, nil
}

// begin makes the fault and returns the rest of it, which ends it.
func (f *Fleet) begin(ctx context.Context, s *Standing) (rest func() error, err error) {
	ways := s.Fault.Ways(f.names())
	switch s.Fault.Kind {
	case schedule.Cut, schedule.OneWay:
		f.lines.cut(ways)
		return s.after(func() error { f.lines.heal(ways); return nil }), nil
	case schedule.Loss:
		return s.ended(f.lines.lose(ways, s.Fault.Loss)), nil
	case schedule.Flap:
		f.lines.cut(ways)
		return func() error { f.flap(s, ways); return nil }, nil
	case schedule.Burn:
		return f.burn(ctx, s)
	case schedule.Rule, schedule.Vote, schedule.Unvote:
		f.order(ctx, s.Fault)
		return s.ended(func() {}), nil
	}
	members, err := f.named(s.Fault.From)
	if err != nil {
		return nil, err
	}
	return f.harm(ctx, s, members)
}

// harm does something to processes.
func (f *Fleet) harm(ctx context.Context, s *Standing, members []*Member) (rest func() error, err error) {
	ctx = context.WithoutCancel(ctx) // what was taken is given back even when the run is broken off
	switch s.Fault.Kind {
	case schedule.Kill:
		err = each(members, func(m *Member) error { m.kill(); return nil })
		return s.after(func() error { return each(members, func(m *Member) error { return m.restart(ctx) }) }), err
	case schedule.Freeze:
		err = each(members, (*Member).freeze)
		return s.after(func() error { return each(members, func(m *Member) error { m.thaw(); return nil }) }), err
	case schedule.Hang:
		err = each(members, func(m *Member) error { return m.hang(s.Fault.Count) })
		return s.after(func() error { return each(members, func(m *Member) error { return m.unhang() }) }), err
	case schedule.Clock:
		err = each(members, func(m *Member) error { return m.setClock(s.Fault.Shift) })
		return s.after(func() error { return each(members, func(m *Member) error { return m.setClock(0) }) }), err
	case schedule.Full:
		err = each(members, (*Member).fill)
		return s.after(func() error { return each(members, func(m *Member) error { return m.free(ctx) }) }), err
	case schedule.Power:
		err = each(members, (*Member).cutPower)
		return s.after(func() error { return each(members, func(m *Member) error { return m.restart(ctx) }) }), err
	case schedule.Sync:
		return s.ended(func() {}), each(members, (*Member).sync)
	case schedule.Wipe:
		err = each(members, (*Member).wipe)
		return s.after(func() error { return each(members, func(m *Member) error { return m.restart(ctx) }) }), err
	case schedule.Upgrade:
		err = each(members, func(m *Member) error { return m.upgrade(ctx) })
		return s.ended(func() {}), err
	}
	return nil, errors.New("this cannot be made")
}

// ended is what only waits for the end and then does something.
func (s *Standing) ended(do func()) func() error {
	return func() error { <-s.stop; do(); return nil }
}

// after is what waits for the fault's own time, or its end.
func (s *Standing) after(do func() error) func() error {
	return func() error {
		if s.Fault.For > 0 {
			s.wait(s.Fault.For)
		} else {
			<-s.stop
		}
		return do()
	}
}

// burn starts processes that do nothing but use the CPU.
func (f *Fleet) burn(ctx context.Context, s *Standing) (rest func() error, err error) {
	group := child.NewGroup()
	for range s.Fault.Count {
		if _, _, err := group.Start(ctx, child.Spec{Path: "/bin/sh", Args: []string{"-c", "while :; do :; done"}}); err != nil {
			group.Close()
			return nil, err
		}
	}
	return s.ended(group.Close), nil
}

// flap heals and cuts in turn; at the end it is healed.
func (f *Fleet) flap(s *Standing, ways [][2]string) {
	for cut := true; ; cut = !cut {
		ended := s.wait(s.Fault.For)
		switch {
		case cut:
			f.lines.heal(ways)
		case !ended:
			f.lines.cut(ways)
		}
		if ended {
			return
		}
	}
}

func (f *Fleet) names() (names []string) {
	for _, m := range f.members {
		names = append(names, m.Name)
	}
	return names
}

// named are the gateways of these names.
func (f *Fleet) named(names []string) (all []*Member, err error) {
	for _, n := range names {
		m := f.Member(n)
		if m == nil {
			return nil, fmt.Errorf("no gateway %q", n)
		}
		all = append(all, m)
	}
	return all, nil
}
