package replica

import (
	"encoding/binary"
	"encoding/json"
	"slices"
)

// query says which records two gateways compare: those that both hold by the asker's view of the places. Views differ
// while links come and go, so the asker's counts for both.
type query struct {
	Places []queried `json:"places"`
	Slots  []int     `json:"slots,omitempty"`
}

type queried struct {
	Gateway string `json:"gateway"`
	Region  string `json:"region"`
}

// maxPlaces bounds a fleet, as far as comparing goes.
const maxPlaces = 1024

func (v *view) query(slots ...int) []byte {
	q := query{Slots: slots}
	for _, p := range v.lasting {
		q.Places = append(q.Places, queried{p.Gateway, p.Region})
	}
	b, err := json.Marshal(q)
	if err != nil {
		return nil // strings and numbers: it does not happen
	}
	return b
}

func parseQuery(body []byte) (query, *placings, error) {
	var q query
	if json.Unmarshal(body, &q) != nil || len(q.Places) > maxPlaces || len(q.Slots) > Slots {
		return q, nil, errBadRequest
	}
	for _, i := range q.Slots {
		if i < 0 || i >= Slots {
			return q, nil, errBadRequest
		}
	}
	places := make([]Place, 0, len(q.Places))
	for _, p := range q.Places {
		places = append(places, Place{Gateway: p.Gateway, Region: p.Region, Up: true})
	}
	return q, newPlacings(places), nil
}

// head is a state without its contents. The promise is part of it: holders tell each other what they promised, so that
// an owner that was outranked hears of it from any of them.
type head struct {
	Key
	mark     mark
	promised uint64 // 0 unless it is above the ballot
}

func (e *entry) head(k Key) head {
	h := head{Key: k, mark: e.mark()}
	if e.promised > e.rec.Ballot {
		h.promised = e.promised
	}
	return h
}

func (h *head) digest() uint64 { return mix(digestOf(h.Key, h.mark) ^ mix(h.promised)) }

func appendHead(b []byte, h head) []byte {
	flags := byte(0)
	if h.mark.deleted {
		flags = 1
	}
	b = append(appendKey(b, h.Key), flags)
	b = binary.AppendUvarint(b, h.mark.ballot)
	b = binary.AppendUvarint(b, h.mark.version)
	b = binary.BigEndian.AppendUint32(b, h.mark.sum)
	return binary.AppendUvarint(b, h.promised)
}

func (r *reader) head() head {
	h := head{Key: r.key()}
	h.mark.deleted = r.octet()&1 != 0
	h.mark.ballot, h.mark.version = r.number(), r.number()
	for range 4 {
		h.mark.sum = h.mark.sum<<8 | uint32(r.octet())
	}
	h.promised = r.number()
	return h
}

// shared returns the states in a slot that this gateway and another should both hold. What is over is among them until it
// is swept: a sum changes with the slot, not with the clock.
func (s *Store) shared(p *placings, other string, slot int) []head {
	sl := &s.slots[slot]
	sl.mu.Lock()
	defer sl.mu.Unlock()
	all := make([]head, 0, len(sl.entries))
	copies := copiesOf{s: s}
	for k, e := range sl.entries {
		if !e.held() {
			continue
		}
		n := copies.of(e.rec.Service)
		if p.should(s.cfg.Gateway, &e.rec, slot, n) && p.should(other, &e.rec, slot, n) {
			all = append(all, e.head(k))
		}
	}
	return all
}

// copiesOf asks for a service's plan once for many records.
type copiesOf struct {
	s     *Store
	known map[string]int
}

func (c *copiesOf) of(service string) int {
	n, ok := c.known[service]
	if !ok {
		if c.known == nil {
			c.known = map[string]int{}
		}
		n = c.s.cfg.planOf(service).Copies
		c.known[service] = n
	}
	return n
}

func sumOf(heads []head) uint64 {
	sum := uint64(0)
	for i := range heads {
		sum ^= heads[i].digest()
	}
	return sum
}

// serveDigest answers with a sum for every slot.
func (s *Store) serveDigest(from string, body []byte) ([]byte, error) {
	t := s.tallyFor(from, true)
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.places
	if t.of != string(body) || p == nil {
		var err error
		if _, p, err = parseQuery(body); err != nil {
			return nil, err
		}
	}
	t.renew(string(body), p, s.epoch.Load())
	out := make([]byte, 0, 8*Slots)
	for _, sum := range t.answers(s, from) {
		out = binary.BigEndian.AppendUint64(out, sum)
	}
	return out, nil
}

// serveList answers with the states in some slots.
func (s *Store) serveList(from string, body []byte) ([]byte, error) {
	q, p, err := parseQuery(body)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, i := range q.Slots {
		for _, h := range s.shared(p, from, i) {
			out = appendHead(out, h)
		}
	}
	return out, nil
}

// servePull answers with the records asked for, as many as one answer holds.
func (s *Store) servePull(body []byte) ([]byte, error) {
	in := reader{b: body}
	var out []byte
	for len(in.b) > 0 {
		k := in.key()
		if in.bad {
			return nil, errBadRequest
		}
		r, _, ok := s.state(k)
		if !ok {
			continue
		}
		before := len(out)
		if out = appendText(out, appendRecord(nil, &r)); len(out) > pullBytes && before > 0 {
			return slices.Clip(out[:before]), nil
		}
	}
	return out, nil
}

// serveHave answers with one byte for every state: 1 if it, or a newer one, is here.
func (s *Store) serveHave(body []byte) ([]byte, error) {
	in := reader{b: body}
	var out []byte
	for len(in.b) > 0 {
		h := in.head()
		if in.bad {
			return nil, errBadRequest
		}
		_, m, ok := s.state(h.Key)
		has := byte(0)
		if ok && !m.below(h.mark) {
			has = 1
		}
		out = append(out, has)
	}
	return out, nil
}
