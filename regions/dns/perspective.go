package dns

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	miekg "github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
)

// lookupsAtOnce bounds the questions to one resolver that are under way.
const lookupsAtOnce = 8

// perspective asks one resolver everything: also the SRV targets' addresses, so that no resolver speaks for another.
func (s *Source) perspective(ctx context.Context, r *resolver) view {
	t, began := &talk{cfg: s.cfg, r: r}, time.Now()
	defer t.close()
	var best view
	validated := true
	for i, name := range s.names {
		v, next := s.named(ctx, t, name)
		validated = validated && v.ad // also that the names before do not exist: it leads to this one
		v.ad = validated
		if i == 0 || v.outcome < best.outcome || !next {
			best = v
		}
		if !next {
			break
		}
	}
	best.who, best.took, best.notes = r, time.Since(began), t.notes
	return best
}

// named asks for one name. next says that the next name of the search list is to be tried: only after a reply that
// there is nothing. After a failure it is not, as whoever can cause one could choose the name.
func (s *Source) named(ctx context.Context, t *talk, name string) (v view, next bool) {
	if s.cfg.Type == SRV {
		return s.namedBySRV(ctx, t, name)
	}
	found := t.lookup(ctx, name, s.cfg.families(), maxEndpoints)
	v = view{outcome: found.outcome, ad: found.secure, rcode: found.rcode}
	if v.outcome == answered {
		k := key{bare(name), bare(name), uint16(s.cfg.Port)}
		v.endpoints = []endpoint{{key: k, addrs: found.addrs, ttl: found.ttl, secure: found.secure}}
	}
	return v, v.outcome == empty || v.outcome == nxdomain
}

func (c Config) families() []uint16 {
	switch c.Type {
	case A:
		return []uint16{miekg.TypeA}
	case AAAA:
		return []uint16{miekg.TypeAAAA}
	}
	return []uint16{miekg.TypeA, miekg.TypeAAAA}
}

func (s *Source) namedBySRV(ctx context.Context, t *talk, name string) (v view, next bool) {
	reply, err := t.ask(ctx, name, miekg.TypeSRV)
	if err != nil {
		return view{outcome: silent, rcode: plain(err.Error(), 120)}, false
	}
	v.ad = reply.AuthenticatedData
	if v.outcome, v.rcode = rcode(reply); v.outcome != answered {
		return v, v.outcome == nxdomain
	}
	all, ttl, err := services(reply, name)
	switch {
	case err != nil:
		return view{outcome: silent, rcode: plain(err.Error(), 120)}, false
	case len(all) == 0 && ttl == forever:
		v.outcome, v.rcode = empty, "no SRV records"
		return v, true
	case len(all) == 0:
		v.outcome, v.rcode = empty, "SRV records, but no service is offered there"
		return v, false
	}
	s.located(ctx, t, &v, endpoints(name, ttl, all))
	return v, false
}

// endpoints returns what SRV records name, each endpoint once, at its best priority.
func endpoints(name string, ttl uint32, all []service) []endpoint {
	found := make([]endpoint, 0, len(all))
	for _, s := range all {
		found = append(found, endpoint{
			key: key{bare(name), s.target, s.port}, priority: s.priority, weight: s.weight, ttl: ttl,
		})
	}
	slices.SortFunc(found, byPriority)
	seen := make(map[key]bool, len(found))
	return slices.DeleteFunc(found, func(e endpoint) bool {
		again := seen[e.key]
		seen[e.key] = true
		return again
	})
}

// located fills in the addresses of the endpoints' targets. With none at all there is no answer, but what the
// addresses came to.
func (s *Source) located(ctx context.Context, t *talk, v *view, named []endpoint) {
	places := t.locate(ctx, named)
	worst, addressed := place{outcome: empty, rcode: "no addresses of its targets"}, false
	for i, e := range named {
		p := places[e.target]
		named[i].addrs, named[i].secure, named[i].ttl = p.addrs, p.secure, min(e.ttl, p.ttl)
		named[i].bogus = p.outcome == bogus
		addressed = addressed || len(p.addrs) > 0
		if p.outcome > nxdomain && p.outcome > worst.outcome {
			worst = *p
		}
	}
	if v.endpoints = named; !addressed {
		v.endpoints, v.outcome, v.rcode = nil, worst.outcome, worst.rcode
	}
}

// locate looks up every target once.
func (t *talk) locate(ctx context.Context, named []endpoint) map[string]*place {
	places := make(map[string]*place, len(named))
	var group errgroup.Group
	group.SetLimit(lookupsAtOnce)
	for _, e := range named {
		if places[e.target] != nil {
			continue
		}
		p := new(place)
		places[e.target] = p
		group.Go(func() error {
			*p = t.lookup(ctx, miekg.Fqdn(e.target), []uint16{miekg.TypeA, miekg.TypeAAAA}, maxAddresses)
			return nil
		})
	}
	_ = group.Wait() // the functions return no errors
	return places
}

// place is where a name is.
type place struct {
	addrs   []netip.Addr
	ttl     uint32
	secure  bool // every reply that says something came with the AD bit
	outcome outcome
	rcode   string
}

// lookup asks for a name's addresses. One family that fails does not take the other's addresses away.
func (t *talk) lookup(ctx context.Context, name string, families []uint16, limit int) place {
	p := place{ttl: forever, secure: true, outcome: nxdomain}
	secure := true
	for _, family := range families {
		one := t.family(ctx, name, family, limit)
		secure = secure && one.secure
		if one.outcome == answered {
			p.addrs, p.ttl, p.secure = append(p.addrs, one.addrs...), min(p.ttl, one.ttl), p.secure && one.secure
			continue
		}
		if one.outcome > nxdomain {
			t.note(miekg.TypeToString[family] + ": " + one.rcode)
		}
		if p.rcode == "" || one.outcome > nxdomain && one.outcome > p.outcome || one.outcome == empty && p.outcome == nxdomain {
			p.outcome, p.rcode = one.outcome, one.rcode
		}
		if one.outcome == nxdomain {
			break
		}
	}
	if len(p.addrs) > 0 {
		p.outcome = answered
	} else {
		p.secure = secure
	}
	return p
}

func (t *talk) family(ctx context.Context, name string, family uint16, limit int) place {
	reply, err := t.ask(ctx, name, family)
	if err != nil {
		return place{outcome: silent, rcode: plain(err.Error(), 120)}
	}
	o, text := rcode(reply)
	if o != answered {
		return place{outcome: o, rcode: text, secure: reply.AuthenticatedData}
	}
	addrs, ttl, err := addresses(reply, name, family, limit)
	switch {
	case err != nil:
		return place{outcome: silent, rcode: plain(err.Error(), 120)}
	case len(addrs) == 0:
		return place{outcome: empty, rcode: fmt.Sprintf("no usable %s records", miekg.TypeToString[family]), secure: reply.AuthenticatedData}
	}
	return place{addrs: addrs, ttl: ttl, secure: reply.AuthenticatedData}
}
