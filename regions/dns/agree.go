package dns

import (
	"cmp"
	"net/netip"
	"slices"
)

// key is what resolvers agree on: a service endpoint, not its addresses, which may differ by where one asks.
type key struct {
	name   string // asked for, fully qualified: a search list may lead resolvers to different ones
	target string // of the SRV record; for A and AAAA the name itself
	port   uint16
}

// endpoint is one that a resolver names.
type endpoint struct {
	key
	priority, weight uint16
	addrs            []netip.Addr
	ttl              uint32 // seconds, the lowest of its records
	secure           bool   // its addresses came with the AD bit
	bogus            bool   // its addresses' signatures are bad, says the resolver
}

// opinion is all that one resolver names, if it counts.
type opinion struct {
	endpoints []endpoint
	validated bool // by a resolver that is trusted for it
}

// rule says what is accepted.
type rule struct {
	agree     int  // resolvers that must name an endpoint
	confirm   bool // as many must name an address too: nothing else tells whose it is
	validated bool // one of them must have validated it, and with confirm its address, if any address was judged
}

// tally counts what is said of one endpoint.
type tally struct {
	endpoint
	last                int // 1 + the opinion that was counted last
	votes               int
	validated           bool
	judged              bool // a trusted resolver validated addresses, or found them bogus
	priorities, weights []uint16
	said                []saidAddress
}

type saidAddress struct {
	addr      netip.Addr
	opinion   int
	validated bool
}

// consensus is what opinions come to.
type consensus struct {
	accepted []endpoint           // with addresses, best priority first
	named    map[key][]netip.Addr // what enough opinions name, with its accepted addresses, most named first
	party    []bool               // by opinion: it names something accepted, and nothing that is not named here
}

// agree returns what opinions agree on under r. Priority and weight of an endpoint are the lower median of those who
// name it, its time to live the lowest. agree is a pure function, and the order of opinions does not matter to it.
func agree(opinions []opinion, r rule) consensus {
	tallies := count(opinions)
	c := consensus{named: make(map[key][]netip.Addr, len(tallies)), party: make([]bool, len(opinions))}
	for _, t := range tallies {
		if t.votes < r.agree || r.validated && !t.validated {
			continue
		}
		t.addrs = t.confirmed(r)
		t.priority, t.weight = lowerMedian(t.priorities), lowerMedian(t.weights)
		c.named[t.key] = t.addrs
		if len(t.addrs) > 0 {
			c.accepted = append(c.accepted, t.endpoint)
		}
	}
	slices.SortFunc(c.accepted, byPriority)
	for i, o := range opinions {
		c.party[i] = c.isParty(o, r)
	}
	return c
}

func count(opinions []opinion) map[key]*tally {
	size := 0
	for _, o := range opinions {
		size = max(size, len(o.endpoints))
	}
	tallies := make(map[key]*tally, size)
	for i, o := range opinions {
		for _, e := range o.endpoints {
			t := tallies[e.key]
			if t == nil {
				t = newTally(e.key, len(opinions))
				tallies[e.key] = t
			}
			if t.last != i+1 { // nobody votes twice
				t.vote(i, e, o.validated)
			}
		}
	}
	return tallies
}

func newTally(k key, opinions int) *tally {
	numbers := make([]uint16, 2*opinions) // one allocation for both
	return &tally{
		endpoint: endpoint{key: k, ttl: forever}, priorities: numbers[:0:opinions], weights: numbers[opinions:opinions],
		said: make([]saidAddress, 0, opinions),
	}
}

func (t *tally) vote(i int, e endpoint, validated bool) {
	t.last, t.votes = i+1, t.votes+1
	t.validated = t.validated || validated
	t.judged = t.judged || validated && (e.bogus || e.secure && len(e.addrs) > 0)
	t.ttl = min(t.ttl, e.ttl)
	t.priorities, t.weights = append(t.priorities, e.priority), append(t.weights, e.weight)
	for _, a := range e.addrs {
		t.said = append(t.said, saidAddress{a, i, validated && e.secure})
	}
}

// confirmed returns the addresses that may be used, most named first.
func (t *tally) confirmed(r rule) []netip.Addr {
	said := t.said
	slices.SortFunc(said, func(a, b saidAddress) int {
		return cmp.Or(a.addr.Compare(b.addr), cmp.Compare(a.opinion, b.opinion))
	})
	type counted struct {
		addr  netip.Addr
		votes int
	}
	var enough []counted
	for len(said) > 0 {
		c, validated, last := counted{addr: said[0].addr}, false, -1
		for len(said) > 0 && said[0].addr == c.addr {
			if said[0].opinion != last {
				c.votes++
			}
			last, validated, said = said[0].opinion, validated || said[0].validated, said[1:]
		}
		if !r.confirm || c.votes >= r.agree && (validated || !r.validated || !t.judged) {
			enough = append(enough, c)
		}
	}
	slices.SortStableFunc(enough, func(a, b counted) int { return cmp.Compare(b.votes, a.votes) })
	var addrs []netip.Addr
	for _, c := range enough {
		addrs = append(addrs, c.addr)
	}
	return addrs
}

func (c consensus) isParty(o opinion, r rule) bool {
	accepted := false
	for _, e := range o.endpoints {
		addrs, ok := c.named[e.key]
		if !ok {
			return false
		}
		accepted = accepted || len(addrs) > 0
		for _, a := range e.addrs {
			if r.confirm && !slices.Contains(addrs, a) {
				return false
			}
		}
	}
	return accepted
}

// lowerMedian is no liar's choice as long as most tell the truth.
func lowerMedian(values []uint16) uint16 {
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

func byPriority(a, b endpoint) int {
	return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.target, b.target),
		cmp.Compare(a.port, b.port), cmp.Compare(a.name, b.name))
}
