package replica

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"
)

// Bounds of comparing with another gateway.
const (
	pullBytes   = 1 << 20 // of one answer; a record that is larger comes alone
	pullKeys    = 512     // of one question
	listSlots   = 8       // of one question
	listBytes   = 2 << 20 // of one answer, about
	meetings    = 4       // at a time
	roundTime   = 30 * time.Second
	askTime     = 5 * time.Second // for one answer
	compareSoon = time.Second     // after a comparison that did not succeed
	leastPause  = 50 * time.Millisecond
)

// Difference is what two copies of the records that both should hold differ in.
type Difference struct {
	Gateway string
	Slots   int // of 256 whose sums differ; by promises alone too
	Here    int // records that are missing or older here
	There   int // records that are missing or older there
	Err     error
}

// hurry has everybody compared soon.
func (s *Store) hurry() {
	select {
	case s.soon <- struct{}{}:
	default:
	}
}

// compare is the loop that brings copies together.
func (s *Store) compare() {
	t := time.NewTimer(s.cfg.Every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-s.soon:
		case <-s.ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(s.ctx, roundTime)
		pause := s.cfg.Every
		if _, whole := s.compareAll(ctx, true); !whole {
			pause = min(pause, compareSoon)
		}
		cancel()
		if !s.rest() {
			return
		}
		t.Reset(pause)
	}
}

// rest keeps a link that comes and goes from having everything compared all the time.
func (s *Store) rest() bool {
	select {
	case <-time.After(leastPause):
		return true
	case <-s.ctx.Done():
		return false
	}
}

// compareAll compares with every place that is up. whole: all of them answered, and what was newer there is here now.
func (s *Store) compareAll(ctx context.Context, repair bool) (all []Difference, whole bool) {
	s.rounds.Lock()
	defer s.rounds.Unlock()
	v := s.view.Load()
	whole = v.self || len(v.places) > 0 || s.cfg.Transport == nil
	all = s.meetAll(ctx, v, repair)
	whole = whole && (len(all) > 0 || len(v.places) == 0)
	for _, d := range all {
		whole = whole && d.Err == nil
	}
	if whole && repair {
		s.catchUp()
		if whole = s.release(ctx, v) == nil; whole {
			s.rounded(v)
		}
	}
	return all, whole
}

// meetAll compares with several at a time: one that hangs must not keep the others apart.
func (s *Store) meetAll(ctx context.Context, v *view, repair bool) []Difference {
	all := make([]Difference, 0, len(v.places))
	found := make(chan Difference, len(v.places))
	turn := make(chan struct{}, meetings)
	for _, p := range v.places {
		if !p.Up || s.cfg.Transport == nil {
			continue
		}
		all = append(all, Difference{})
		go func() {
			turn <- struct{}{}
			d := s.meet(ctx, v, p.Gateway, repair)
			<-turn
			if d.Err == nil && repair {
				s.compared(d)
			}
			found <- d
		}()
	}
	for i := range all {
		all[i] = <-found
	}
	return all
}

func (s *Store) catchUp() {
	if s.caughtUp.Swap(true) {
		return
	}
	if s.disk != nil {
		s.disk.touch()
	}
	s.event(EventCaughtUp, s.cfg.Gateway, "this gateway has asked every other for the copies it should hold")
}

func (s *Store) askFor(ctx context.Context, gateway, what string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return s.call(ctx, gateway, what, body)
}

// meet compares with one gateway and, to repair, pulls what is newer there and queues what is newer here.
func (s *Store) meet(ctx context.Context, v *view, gateway string, repair bool) Difference {
	d := Difference{Gateway: gateway}
	if repair {
		d.Err = s.pull(ctx, gateway, s.takeWanted(gateway))
	}
	differ, err := s.differing(ctx, v, gateway)
	d.Slots = len(differ)
	for len(differ) > 0 && err == nil {
		n := min(len(differ), s.listable())
		err = s.settleSlots(ctx, v, &d, differ[:n], repair)
		differ = differ[n:]
	}
	if d.Err == nil && err != nil {
		d.Err = fmt.Errorf("compare: %w", err)
	}
	return d
}

// listable is how many slots one answer lists, so that it stays within bounds.
func (s *Store) listable() int {
	perSlot := 1 + s.entries()/Slots
	return int(min(listSlots, max(1, listBytes/(perSlot*maxID/4))))
}

// differing returns the slots whose sums differ. Where they do not, the other has what is here.
func (s *Store) differing(ctx context.Context, v *view, gateway string) ([]int, error) {
	answer, err := s.askFor(ctx, gateway, "digest", v.query())
	if err != nil {
		return nil, err
	}
	if len(answer) != 8*Slots {
		return nil, errDamaged
	}
	t := s.tallyFor(gateway, false)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.renew("", v.kept, s.epoch.Load())
	var differ []int
	for i := range Slots {
		at := s.lagged.now()
		sum, heads := t.sum(s, gateway, i)
		if sum != binary.BigEndian.Uint64(answer[8*i:]) {
			t.known[i].agreed = false
			differ = append(differ, i)
			continue
		}
		s.confirmAll(gateway, heads, at)
		t.known[i].agreed = true
	}
	return differ, nil
}

func (s *Store) confirmAll(gateway string, heads []head, at int64) {
	for _, h := range heads {
		if h.promised == 0 && !s.isAcked(h.Key, gateway, h.mark) {
			s.confirm(h.Key, gateway, h.mark, at)
		}
	}
}

// settleSlots compares some slots record by record.
func (s *Store) settleSlots(ctx context.Context, v *view, d *Difference, slots []int, repair bool) error {
	answer, err := s.askFor(ctx, d.Gateway, "list", v.query(slots...))
	if err != nil {
		return err
	}
	theirs := map[Key]head{}
	for in := (reader{b: answer}); len(in.b) > 0; {
		h := in.head()
		if in.bad {
			return errDamaged
		}
		theirs[h.Key] = h
	}
	at := s.lagged.now()
	var push, pull []Key
	var same []head
	for _, i := range slots {
		for _, mine := range s.shared(v.kept, d.Gateway, i) {
			h, ok := theirs[mine.Key]
			delete(theirs, mine.Key)
			switch {
			case ok && mine.mark.below(h.mark):
				pull = append(pull, mine.Key)
			case !ok || h.mark.below(mine.mark):
				push = append(push, mine.Key)
			case h.promised == mine.promised:
				same = append(same, mine)
			case repair && h.promised > mine.promised:
				s.hear(mine.Key, h.promised)
			}
		}
	}
	for k := range theirs {
		pull = append(pull, k)
	}
	d.Here, d.There = d.Here+len(pull), d.There+len(push)
	if !repair {
		return nil
	}
	s.confirmAll(d.Gateway, same, at)
	s.unconfirm(d.Gateway, push)
	s.sendAll(d.Gateway, push)
	return s.pull(ctx, d.Gateway, pull)
}

// hear takes over what another holder has promised.
func (s *Store) hear(k Key, ballot uint64) {
	s.promise(k, ballot)
	s.outranked(k, ballot)
}

func (s *Store) sendAll(gateway string, keys []Key) {
	s.mu.Lock()
	x := s.senders[gateway]
	s.mu.Unlock()
	if x != nil {
		x.add(keys...)
	}
}

// compared takes down that a comparison succeeded.
func (s *Store) compared(d Difference) {
	s.mu.Lock()
	a, x := s.met[d.Gateway], s.senders[d.Gateway]
	if a != nil {
		a.compared = true
	}
	s.mu.Unlock()
	if x != nil && d.There == 0 {
		x.works()
	}
}
