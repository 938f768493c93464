package dns

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"

	miekg "github.com/miekg/dns"
)

// Bounds of one reply. A reply beyond them is refused whole: a part of it would be an answer nobody gave.
const (
	maxRecords   = 4096 // of any type, in its answer section
	maxEndpoints = 1024 // SRV records, or addresses of the name asked for
	maxAddresses = 32   // of one SRV target
	maxAliases   = 8    // CNAME records on the way to the records asked for
)

// Why the answer section of a reply is refused.
var (
	errTooMany = errors.New("its answer is too large")
	errAlias   = errors.New("its CNAME records lead nowhere")
)

// forever is the time to live of nothing: the lowest of none.
const forever = math.MaxUint32

// service is one usable SRV record.
type service struct {
	target           string // canonical, without the last dot
	port             uint16
	priority, weight uint16
}

// records returns the records of qtype for name in the reply's answer section, and the lowest time to live among them
// and the aliases on the way. Aliases are followed in this reply only; what is not on the way is not looked at.
func records(m *miekg.Msg, name string, qtype uint16) (found []miekg.RR, ttl uint32, err error) {
	if len(m.Answer) > maxRecords {
		return nil, 0, fmt.Errorf("%w: %d records, %d is the limit", errTooMany, len(m.Answer), maxRecords)
	}
	name, ttl = miekg.CanonicalName(name), forever
	for range maxAliases + 1 {
		alias := ""
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != miekg.ClassINET || miekg.CanonicalName(h.Name) != name {
				continue
			}
			if cname, ok := rr.(*miekg.CNAME); ok {
				alias = miekg.CanonicalName(cname.Target)
			} else if h.Rrtype != qtype {
				continue
			} else {
				found = append(found, rr)
			}
			ttl = min(ttl, lifetime(h.Ttl))
		}
		if len(found) > 0 || alias == "" {
			return found, ttl, nil
		}
		name = alias
	}
	return nil, 0, fmt.Errorf("%w: a loop, or more than %d", errAlias, maxAliases)
}

// lifetime reads a time to live: one with its highest bit set is 0 (RFC 2181 section 8).
func lifetime(ttl uint32) uint32 {
	if ttl > math.MaxInt32 {
		return 0
	}
	return ttl
}

// services returns the usable SRV records of a reply. A target of "." says that there is no service (RFC 2782); one
// that is no plain host name, or has port 0, cannot be reached and is left out.
func services(m *miekg.Msg, name string) (all []service, ttl uint32, err error) {
	found, ttl, err := records(m, name, miekg.TypeSRV)
	if err != nil {
		return nil, 0, err
	}
	if len(found) > maxEndpoints {
		return nil, 0, fmt.Errorf("%w: %d SRV records, %d is the limit", errTooMany, len(found), maxEndpoints)
	}
	for _, rr := range found {
		srv, ok := rr.(*miekg.SRV)
		if !ok || srv.Port == 0 || !hostname(srv.Target) {
			continue
		}
		all = append(all, service{bare(srv.Target), srv.Port, srv.Priority, srv.Weight})
	}
	return all, ttl, nil
}

// bare returns a name in lower case without its last dot.
func bare(name string) string {
	name = miekg.CanonicalName(name)
	return name[:len(name)-1]
}

// addresses returns the addresses of qtype that a reply names and that a node can have, sorted, each once.
func addresses(m *miekg.Msg, name string, qtype uint16, limit int) (all []netip.Addr, ttl uint32, err error) {
	found, ttl, err := records(m, name, qtype)
	if err != nil {
		return nil, 0, err
	}
	if len(found) > limit {
		return nil, 0, fmt.Errorf("%w: %d addresses, %d is the limit", errTooMany, len(found), limit)
	}
	for _, rr := range found {
		if a, ok := address(rr); ok {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all), ttl, nil
}

// address returns a record's address unless no node can be reached there: 0.0.0.0, multicast, link-local (where
// clouds keep their metadata services), and IPv4 in disguise.
func address(rr miekg.RR) (a netip.Addr, ok bool) {
	switch rr := rr.(type) {
	case *miekg.A:
		a, ok = netip.AddrFromSlice(rr.A)
		a = a.Unmap()
		ok = ok && a.Is4()
	case *miekg.AAAA:
		a, ok = netip.AddrFromSlice(rr.AAAA)
		ok = ok && a.Is6() && !a.Is4In6()
	}
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return a, ok && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLinkLocalUnicast() && a != broadcast
}
