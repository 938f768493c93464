package replica

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/quorate/quorate/internal/planted"
)

// Fetched is the newest state of a record that was found.
type Fetched struct {
	Record
	Found  bool
	Heard  []string // who answered for all that it holds; others may hold something newer
	Silent []string // places that did not answer, or do not know yet what they should hold; this gateway may be one
	Stale  []string // gateways that know a higher ballot; what else is said counts for nothing then
}

// MaxFetch is how many records one FetchAll may be about.
const MaxFetch = 1024

// What a holder says, as bits.
const (
	saysFound   = 1 << iota
	saysUnsure  // it has not caught up, or could not keep the promise
	saysRefused // a higher ballot is known here
)

// holding is what a holder says of one record.
type holding struct {
	flags byte
	rec   Record
}

// holdings is a holder's answer.
type holdings struct {
	from string
	all  []holding // of each that was asked for
	err  error
}

// Fetch asks this store and every place, all at once, for the newest state of a record. A ballot above 0 is a promise
// that each holder gives first, on its disk: it refuses lower ones from then on, so that nothing that a caller does not
// see here can be confirmed under a lower ballot later. With ballot 0 it only looks. The gateway named except is not
// asked. ErrStale: some holder knows a higher ballot. The context bounds it, and five seconds do; who has not answered by
// then is silent.
func (s *Store) Fetch(ctx context.Context, k Key, ballot uint64, except string) (Fetched, error) {
	all, err := s.FetchAll(ctx, []Key{k}, ballot, except)
	switch {
	case err != nil:
		return Fetched{}, err
	case len(all[0].Stale) > 0:
		return Fetched{}, fmt.Errorf("replica: fetch: %w at %q", ErrStale, all[0].Stale)
	}
	return all[0], nil
}

// FetchAll is Fetch for many records under one ballot, 1 to MaxFetch, with one question to each place and one write to
// each disk. The answers are in the order of the keys. What comes late of a place that answers in parts is silent.
func (s *Store) FetchAll(ctx context.Context, keys []Key, ballot uint64, except string) ([]Fetched, error) {
	if len(keys) == 0 || len(keys) > MaxFetch {
		return nil, fmt.Errorf("replica: fetch: %d records, 1 to %d at a time", len(keys), MaxFetch)
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	places, out := s.holders(), make([]Fetched, len(keys))
	answers := make(chan holdings, len(places)+1)
	go func() { answers <- holdings{s.cfg.Gateway, s.vow(ctx, keys, ballot, s.cfg.Gateway), nil} }()
	asked := 1
	for _, p := range places {
		switch {
		case p.Gateway == except:
		case !p.Up || s.cfg.Transport == nil:
			add(out, holdings{p.Gateway, nil, errAlone})
		default:
			asked++
			go func() { answers <- s.ask(ctx, p.Gateway, keys, ballot) }()
		}
	}
	for range asked {
		add(out, <-answers)
	}
	for i := range out {
		slices.Sort(out[i].Silent)
	}
	return out, nil
}

// holders are the other places as they are this moment. The view is as old as the last look, and one who has come since may hold
// the only copy.
func (s *Store) holders() []Place {
	return slices.DeleteFunc(slices.Clone(s.cfg.Places()), func(p Place) bool { return p.Gateway == s.cfg.Gateway })
}

// add takes the newer of two states, for each record.
func add(out []Fetched, h holdings) {
	for i := range out {
		f := &out[i]
		if i >= len(h.all) {
			f.Silent = append(f.Silent, h.from)
			continue
		}
		one := &h.all[i]
		if one.flags&saysUnsure != 0 {
			f.Silent = append(f.Silent, h.from)
		} else {
			f.Heard = append(f.Heard, h.from)
		}
		switch {
		case one.flags&saysRefused != 0:
			f.Stale = append(f.Stale, h.from)
		case one.flags&saysFound != 0 && (!f.Found || f.mark().below(one.rec.mark()) && !planted.On(planted.First)):
			f.Found, f.Record = true, one.rec
		}
	}
}

// ask asks one gateway until it has answered for all. What it has answered before it fails counts.
func (s *Store) ask(ctx context.Context, gateway string, keys []Key, ballot uint64) holdings {
	h := holdings{from: gateway}
	for left := keys; len(left) > 0 && h.err == nil; left = keys[len(h.all):] {
		body := binary.AppendUvarint(nil, ballot)
		for _, k := range left {
			body = appendKey(body, k)
		}
		var answer []byte
		if answer, h.err = s.call(ctx, gateway, "fetch", body); h.err == nil {
			h.err = h.read(answer, left)
		}
	}
	return h
}

func (h *holdings) read(answer []byte, keys []Key) error {
	in, n := reader{b: answer}, 0
	for ; len(in.b) > 0 && n < len(keys); n++ {
		one := holding{flags: in.octet()}
		if one.flags&saysFound != 0 {
			one.rec = in.record(len(answer))
		}
		if in.bad || one.flags&saysFound != 0 && one.rec.Key != keys[n] {
			return errDamaged
		}
		h.all = append(h.all, one)
	}
	if n == 0 || len(in.b) > 0 {
		return errDamaged
	}
	return nil
}

// serveFetch answers for as many of the records as one answer holds, at least for the first.
func (s *Store) serveFetch(ctx context.Context, from string, body []byte) ([]byte, error) {
	in := reader{b: body}
	ballot := in.number()
	var keys []Key
	for len(in.b) > 0 && len(keys) <= MaxFetch {
		keys = append(keys, in.key())
	}
	if in.bad || len(keys) == 0 || len(keys) > MaxFetch {
		return nil, errBadRequest
	}
	var out []byte
	for _, h := range s.vow(ctx, keys, ballot, from) {
		before := len(out)
		out = append(out, h.flags)
		if h.flags&saysFound != 0 {
			out = appendRecord(out, &h.rec)
		}
		if len(out) > pullBytes && before > 0 {
			return out[:before], nil
		}
	}
	return out, nil
}

// vow promises to refuse ballots below one, then says what is here. The promises are on the disk before anybody hears.
func (s *Store) vow(ctx context.Context, keys []Key, ballot uint64, from string) []holding {
	all, fresh := make([]holding, len(keys)), false
	for i, k := range keys {
		var news bool
		all[i], news = s.promise(k, ballot)
		fresh = fresh || news
		if news && from != s.cfg.Gateway {
			s.outranked(k, ballot)
		}
	}
	if fresh && s.FlushLocal(ctx) != nil || !s.caughtUp.Load() {
		for i := range all {
			all[i].flags |= saysUnsure
		}
	}
	return all
}

// promise refuses lower ballots for a record from here on, and returns the record as it is then.
func (s *Store) promise(k Key, ballot uint64) (h holding, fresh bool) {
	now := s.now()
	sl := s.slot(k)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	e, err := s.entryFor(sl, k, ballot)
	switch {
	case err != nil:
		return holding{flags: saysUnsure}, false
	case e == nil:
		return h, false
	case ballot > 0 && (e.promised > ballot || e.rec.Ballot > ballot):
		return holding{flags: saysRefused}, false
	}
	if fresh = ballot > e.promised && ballot > e.rec.Ballot; fresh {
		e.promised = ballot
		sl.gen.Add(1)
		s.dirty(k)
	}
	if e.held() && !over(e.rec.Until, now) {
		h.flags, h.rec = saysFound, e.rec
	}
	return h, fresh
}

// entryFor returns what is known of a record, which may be nothing, with a place for a promise if there is one to keep.
func (s *Store) entryFor(sl *slot, k Key, ballot uint64) (*entry, error) {
	e := sl.entries[k]
	if e != nil || ballot == 0 {
		return e, nil
	}
	if err := s.room(nil, &Record{}); err != nil {
		return nil, err
	}
	now, _ := s.cfg.Clock()
	e = &entry{promisedUntil: now.Add(promiseLife).Unix()}
	sl.entries[k] = e
	return e, nil
}

func appendKey(b []byte, k Key) []byte { return appendText(append(b, byte(k.Kind)), k.ID) }

func (r *reader) key() Key {
	k := Key{Kind: Kind(r.octet()), ID: string(r.text(maxID))}
	r.bad = r.bad || k.ID == ""
	return k
}
