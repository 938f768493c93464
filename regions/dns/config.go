package dns

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/discovery"
)

// Type says which records name the nodes.
type Type string

const (
	// SRV records name targets and ports; each target's A and AAAA records are asked of the same resolver (RFC 2782).
	SRV Type = "SRV"
	// A records of the name are nodes.
	A Type = "A"
	// AAAA records of the name are nodes.
	AAAA Type = "AAAA"
	// Address: A and AAAA records of the name are nodes.
	Address Type = "ADDRESS"
)

// Validation says what the AD bit of a trusted resolver decides (RFC 4035 section 3.2.3, RFC 6840 section 5.8). This
// package checks no signatures itself.
type Validation string

const (
	// Off: nothing.
	Off Validation = "off"
	// Prefer: once a trusted resolver validates the answer, or finds it bogus, only answers with the AD bit count,
	// and only what a trusted resolver validated is proposed.
	Prefer Validation = "prefer"
	// Require: only answers with the AD bit of trusted resolvers count.
	Require Validation = "require"
)

// Config says what a Source asks, whom, and what it believes.
type Config struct {
	Service, Region string // of the nodes; required
	// Name is what is asked for; required. Unless it ends in a dot it is tried through Search.
	Name string
	Type Type // default SRV
	Port int  // of the nodes, 1..65535; required for A, AAAA and ADDRESS, refused for SRV
	// Resolvers to ask, 1..16, each an IP address with a port: "192.0.2.1:53" (UDP, and TCP for long answers),
	// "tcp://192.0.2.1:53", "tls://192.0.2.1:853#dns.example" (RFC 7858; without a name the certificate must hold
	// the address). Whether they are independent of each other nobody can see: that is up to the operator.
	// Empty: those of ResolvConf, whose search list, ndots, timeout and attempts stand in for what is not set here.
	Resolvers  []string
	ResolvConf string // a file as resolv.conf(5) has it; default /etc/resolv.conf
	// Agree is how many resolvers must name the same. Default: all but one of three or more, both of two, one of one.
	// 1 is accepted only together with an identity that the answer itself does not choose.
	Agree  int
	Scheme string     // "https" (default) or "http"
	Path   string     // of the MCP endpoint, from a slash; default "/mcp"
	DNSSEC Validation // default Off
	// Validating are those of Resolvers whose AD bit is believed. Each must be reached over loopback or TLS.
	// Empty: all that are.
	Validating []string
	// Identity is what every node must prove.
	Identity regions.Identity
	// TargetTLSName asks every node to prove the name under which it was found: its SRV target, or Name. It replaces
	// Identity.TLSName. For SRV the answer chooses that name, so it is no identity that permits Agree 1.
	TargetTLSName bool
	RootCAs       *x509.CertPool // who certifies resolvers that are asked over TLS; nil: the system's
	Search        []string       // domains that a name is tried below, at most 16
	Ndots         int            // a name with this many dots is tried as it is first, 0..15; 0 means 1
	// Floor and Ceiling bound the time to the next question, whatever the answer's time to live; a jitter of up to a
	// tenth comes on top. 1 ms..24 h; default 5 s and 5 min.
	Floor, Ceiling time.Duration
	Timeout        time.Duration // for one query, 10 ms..1 min; default 2 s
	Tries          int           // queries for one question to one resolver, 1..10; default 2

	dial   func(ctx context.Context, network, address string) (net.Conn, error) // nil: the network
	random func() float64                                                       // uniform in [0,1); nil: math/rand
}

const (
	maxResolvers = discovery.MaxVoices
	maxSearch    = 16
	// roundFactor times one question's longest time bounds a whole round.
	roundFactor = 4
)

func (c Config) roundTimeout() time.Duration { return roundFactor * c.Timeout * time.Duration(c.Tries) }

// proves reports whether a node proves by itself that it is the one meant, so that its address needs no agreement.
func (c Config) proves() bool { return c.TargetTLSName || !c.Identity.None() }

// fixed reports whether what a node proves is settled without DNS.
func (c Config) fixed() bool {
	if c.Type == SRV && c.TargetTLSName {
		return c.Identity.SPIFFE != "" || c.Identity.SPKI != ""
	}
	return c.proves()
}

// complete returns c with the system's resolvers, when it names none, and the defaults.
func (c Config) complete() (Config, error) {
	if len(c.Resolvers) == 0 {
		system, err := readResolvConf(cmp.Or(c.ResolvConf, "/etc/resolv.conf"))
		if err != nil {
			return c, fmt.Errorf("dns: %q: resolvers: %w", c.Name, err)
		}
		c = system.into(c)
	}
	c.Type, c.DNSSEC = cmp.Or(c.Type, SRV), cmp.Or(c.DNSSEC, Off)
	c.Scheme, c.Path = cmp.Or(c.Scheme, "https"), cmp.Or(c.Path, "/mcp")
	c.Agree, c.Ndots = cmp.Or(c.Agree, usualAgree(len(c.Resolvers))), cmp.Or(c.Ndots, 1)
	c.Floor, c.Ceiling = cmp.Or(c.Floor, 5*time.Second), cmp.Or(c.Ceiling, 5*time.Minute)
	c.Timeout, c.Tries = cmp.Or(c.Timeout, 2*time.Second), cmp.Or(c.Tries, 2)
	if c.dial == nil {
		c.dial = new(net.Dialer).DialContext
	}
	if c.random == nil {
		c.random = rand.Float64
	}
	return c, nil
}

// usualAgree permits one dissenter among three or more, as certificate authorities' perspectives do.
func usualAgree(resolvers int) int {
	if resolvers < 3 {
		return resolvers
	}
	return resolvers - 1
}

// problems returns all that is wrong with a complete configuration, given the resolvers that could be read.
func (c Config) problems(resolvers []*resolver) (problems []error) {
	problem := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	problem(c.Service == "" || c.Region == "", "service and region are required")
	problem(!hostname(c.Name), "name %q is not a domain name of letters, digits, hyphens and underscores", c.Name)
	problem(c.Type != SRV && c.Type != A && c.Type != AAAA && c.Type != Address,
		"type %q is none of SRV, A, AAAA and ADDRESS", c.Type)
	problem(c.Type == SRV && c.Port != 0, "port: SRV records name the port; leave it out")
	problem(c.Type != SRV && (c.Port < 1 || c.Port > 65535), "port %d is outside 1..65535: %s records name none", c.Port, c.Type)
	problem(c.Scheme != "http" && c.Scheme != "https", "scheme %q is neither http nor https", c.Scheme)
	problem(!path(c.Path), "path %q must begin with a slash and be a plain path", c.Path)
	problem(c.Scheme == "http" && c.proves(), "an identity is proved by TLS: write scheme: https")
	problem(c.Floor < time.Millisecond || c.Ceiling < c.Floor || c.Ceiling > 24*time.Hour,
		"floor %v and ceiling %v: 1ms <= floor <= ceiling <= 24h", c.Floor, c.Ceiling)
	problem(c.Timeout < 10*time.Millisecond || c.Timeout > time.Minute, "timeout %v is outside 10ms..1m", c.Timeout)
	problem(c.Tries < 1 || c.Tries > 10, "tries %d is outside 1..10", c.Tries)
	problem(c.Ndots < 0 || c.Ndots > 15, "ndots %d is outside 0..15", c.Ndots)
	problem(len(c.Search) > maxSearch, "search has %d domains; %d is the limit", len(c.Search), maxSearch)
	for _, d := range c.Search {
		problem(!hostname(d), "search: %q is not a domain name", d)
	}
	return append(problems, c.checkAgree(), c.checkDNSSEC(resolvers))
}

// checkAgree refuses what would let one resolver decide alone where traffic goes.
func (c Config) checkAgree() error {
	switch resolvers := len(c.Resolvers); {
	case c.Agree < 1 || c.Agree > resolvers:
		return fmt.Errorf("agree %d is outside 1..%d, the number of resolvers", c.Agree, resolvers)
	case c.Agree > 1 || c.fixed():
		return nil
	case c.TargetTLSName:
		return errors.New("agree 1 lets one resolver choose the SRV target, and with it the name to prove: " +
			"write identity: {tls_name: ...}, a spiffe_id or an spki_sha256, or name a second resolver and write agree: 2")
	}
	return errors.New("agree 1 with no identity lets one resolver send traffic anywhere: write " +
		`identity: {tls_name: "..."}, a spiffe_id or an spki_sha256, or name a second resolver and write agree: 2`)
}

func (c Config) checkDNSSEC(resolvers []*resolver) error {
	if c.DNSSEC != Off && c.DNSSEC != Prefer && c.DNSSEC != Require {
		return fmt.Errorf("dnssec %q is none of off, prefer and require", c.DNSSEC)
	}
	trusted := 0
	for _, r := range resolvers {
		if r.trusted {
			trusted++
		}
	}
	if c.DNSSEC == Require && trusted < c.Agree {
		return fmt.Errorf("dnssec require: %d of %d resolvers are trusted to validate, and %d must agree: "+
			"reach them over loopback or tls://, or write a smaller agree", trusted, len(resolvers), c.Agree)
	}
	return nil
}

// hostname reports whether s is a domain name that needs no escapes anywhere: in a URL, an id or a log.
func hostname(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	_, ok := miekg.IsDomainName(s) // empty and overlong labels
	return ok
}

// path reports whether s is a path that needs no escapes, and no query or fragment.
func path(s string) bool {
	u, err := url.Parse(s)
	return err == nil && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && u.Path == s && u.EscapedPath() == s
}
