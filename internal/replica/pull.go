package replica

import (
	"context"
	"fmt"
)

// pull fetches records from a gateway, as many as it takes.
func (s *Store) pull(ctx context.Context, gateway string, keys []Key) error {
	for len(keys) > 0 {
		n := min(len(keys), pullKeys)
		if err := s.pullSome(ctx, gateway, keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

func (s *Store) pullSome(ctx context.Context, gateway string, keys []Key) error {
	for len(keys) > 0 {
		var body []byte
		for _, k := range keys {
			body = appendKey(body, k)
		}
		answer, err := s.askFor(ctx, gateway, "pull", body)
		if err != nil {
			return err
		}
		came, err := s.takeIn(answer)
		if err != nil || len(came) == 0 {
			return err // the rest is gone there
		}
		left := keys[:0:0]
		for _, k := range keys {
			if !came[k] {
				left = append(left, k)
			}
		}
		keys = left
	}
	return nil
}

// takeIn stores what was pulled. What has no room here is an error: this store is not whole then.
func (s *Store) takeIn(answer []byte) (map[Key]bool, error) {
	came := map[Key]bool{}
	for in := (reader{b: answer}); len(in.b) > 0; {
		one := reader{b: in.text(len(answer))}
		r := one.record(len(answer))
		if in.bad || one.bad || len(one.b) > 0 || !wellNamed(&r) {
			return came, errDamaged
		}
		came[r.Key] = true
		if f := s.receive(r, true); f != nil && f.Why != whyStale && f.Why != whyOver {
			return came, fmt.Errorf("a record is not taken in: %s", f.Why)
		}
	}
	return came, nil
}

func (s *Store) takeWanted(gateway string) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.met[gateway]
	if a == nil {
		return nil
	}
	keys := a.wanted
	a.wanted = nil
	return keys
}
