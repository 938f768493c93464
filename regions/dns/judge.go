package dns

import (
	"fmt"
	"time"
)

// view is what one resolver said in one round.
type view struct {
	who       *resolver
	outcome   outcome
	endpoints []endpoint
	ad        bool   // its answer came with the AD bit, also one that there is nothing
	rcode     string // of what is no answer, in words
	unsigned  bool   // addresses of it do not count, as they came without the AD bit
	notes     []string
	took      time.Duration
}

// verdict is what is believed after a round.
type verdict struct {
	consensus        // its party is by view
	views     []view // as far as they count
	ttl       time.Duration
	uncounts  []string // by view: why it does not count under DNSSEC
	err       error    // nil, or one of the sentinels
	counted   int      // views that count: endpoints, or that there are none
	need      int
}

// judge decides what of the views is believed. It is a pure function.
func judge(views []view, r rule, mode Validation) verdict {
	sifted, uncounts := sift(views, mode)
	v := verdict{views: sifted, uncounts: uncounts, need: r.agree}
	r.validated = mode == Prefer && validates(views)
	var opinions []opinion
	var from []int
	for i, s := range sifted {
		if uncounts[i] != "" || s.outcome > nxdomain {
			continue
		}
		v.counted++
		if s.outcome == answered {
			opinions, from = append(opinions, opinion{s.endpoints, s.ad && s.who.trusted}), append(from, i)
		}
	}
	v.consensus = agree(opinions, r)
	party := make([]bool, len(views))
	for j, i := range from {
		party[i] = v.party[j]
	}
	v.party = party
	if len(v.accepted) == 0 {
		v.err = why(v, r)
		return v
	}
	lowest := v.accepted[0].ttl
	for _, e := range v.accepted {
		lowest = min(lowest, e.ttl)
	}
	v.ttl = time.Duration(lowest) * time.Second
	return v
}

// why returns the sentinel for a round in which nothing is accepted.
func why(v verdict, r rule) error {
	var n [silent + 1]int
	unsigned, addresses := 0, false
	for i, w := range v.views {
		addresses = addresses || w.unsigned
		switch v.uncounts[i] {
		case "":
			n[w.outcome]++
		case noAD:
			unsigned++
		}
	}
	switch none := n[empty] + n[nxdomain]; {
	case none >= r.agree && n[nxdomain] >= n[empty]:
		return fmt.Errorf("%w (%w)", ErrNXDomain, ErrEmpty)
	case none >= r.agree:
		return ErrEmpty
	case v.counted >= r.agree && !addresses && (!r.validated || n[bogus] == 0):
		return ErrNoAgreement
	case v.counted+n[bogus]+unsigned >= r.agree:
		return ErrBogus
	case n[servfail] > n[silent]:
		return ErrServFail
	}
	return ErrUnanswered
}

// failed returns the error of an answer in which nothing is learned.
func failed(name string, v verdict) error {
	return fmt.Errorf("dns: %q: %w: %d of %d resolvers gave an answer that counts, %d must agree",
		name, v.err, v.counted, len(v.party), v.need)
}
