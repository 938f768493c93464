package replica

import (
	"context"
	"fmt"
	"time"
)

// release drops the records that this gateway holds and should not hold any more, once everybody who should hold them
// has them. Whoever lacks one gets it first.
func (s *Store) release(ctx context.Context, v *view) error {
	for i := range s.slots {
		extra := s.surplus(v, i, s.now())
		if len(extra) == 0 {
			continue
		}
		left, err := s.offer(ctx, v, extra)
		if err != nil {
			return fmt.Errorf("release: %w", err)
		}
		s.letGo(i, left)
	}
	return nil
}

// surplus returns what is here in a slot and should be elsewhere.
func (s *Store) surplus(v *view, slot int, now time.Time) map[Key]surplus {
	sl := &s.slots[slot]
	sl.mu.Lock()
	defer sl.mu.Unlock()
	all, copies := map[Key]surplus{}, copiesOf{s: s}
	for k, e := range sl.entries {
		if !e.held() || e.rec.Owner == s.cfg.Gateway || over(e.rec.Until, now) {
			continue
		}
		to := v.kept.of(slot, e.rec.Owner, e.rec.Region, copies.of(e.rec.Service))
		if v.kept.should(s.cfg.Gateway, &e.rec, slot, len(to)) || len(to) == 0 {
			continue
		}
		if v.kept.has(e.rec.Owner) {
			to = append([]string{e.rec.Owner}, to...)
		}
		all[k] = surplus{e.head(k), to}
	}
	return all
}

type surplus struct {
	head head
	to   []string
}

// offer asks those who should hold the records whether they do, and returns the records that all of them hold.
func (s *Store) offer(ctx context.Context, v *view, extra map[Key]surplus) (map[Key]surplus, error) {
	by := map[string][]head{}
	for k, x := range extra {
		for _, to := range x.to {
			if !v.isUp(to) {
				delete(extra, k) // nobody knows what it has
				continue
			}
			by[to] = append(by[to], x.head)
		}
	}
	for to, heads := range by {
		has, err := s.have(ctx, to, heads)
		if err != nil {
			return nil, err
		}
		for i, h := range heads {
			if !has[i] {
				delete(extra, h.Key)
				s.sendAll(to, []Key{h.Key})
			}
		}
	}
	return extra, nil
}

// have asks a gateway whether it holds states, or newer ones.
func (s *Store) have(ctx context.Context, to string, heads []head) ([]bool, error) {
	var body []byte
	for _, h := range heads {
		body = appendHead(body, h)
	}
	answer, err := s.askFor(ctx, to, "have", body)
	if err != nil {
		return nil, err
	}
	if len(answer) != len(heads) {
		return nil, errDamaged
	}
	has := make([]bool, len(answer))
	for i, b := range answer {
		has[i] = b == 1
	}
	return has, nil
}

func (s *Store) letGo(slot int, all map[Key]surplus) {
	sl := &s.slots[slot]
	sl.mu.Lock()
	defer sl.mu.Unlock()
	for k, x := range all {
		if e := sl.entries[k]; e != nil && e.held() && e.mark() == x.head.mark {
			s.drop(sl, k, e)
		}
	}
}
