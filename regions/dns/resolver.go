package dns

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/breaker"
)

// resolver is one party that is asked.
type resolver struct {
	text    string // as configured
	net     string // "udp", "tcp" or "tls"
	addr    netip.AddrPort
	tls     *tls.Config // for "tls"
	trusted bool        // its AD bit is believed
	breaker *breaker.Breaker
}

// A breaker opens for a resolver after silent queries, so that it costs the rounds after that no time.
const (
	silentQueries = 3
	breakerWindow = 10 * time.Minute
	breakerOpen   = 30 * time.Second
)

// resolvers returns the configured resolvers, and what is wrong with them.
func (c Config) resolvers() ([]*resolver, error) {
	var all []*resolver
	var problems []error
	for _, text := range c.Resolvers {
		r, err := c.resolver(text)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if i := slices.IndexFunc(all, func(o *resolver) bool { return o.addr == r.addr }); i >= 0 {
			problems = append(problems, fmt.Errorf("resolvers %q and %q are one: it would agree with itself", all[i].text, text))
		}
		all = append(all, r)
	}
	if len(c.Resolvers) == 0 || len(c.Resolvers) > maxResolvers {
		problems = append(problems, fmt.Errorf("%d resolvers; 1..%d is the limit", len(c.Resolvers), maxResolvers))
	}
	problems = append(problems, c.trust(all))
	return all, errors.Join(problems...)
}

func (c Config) resolver(text string) (*resolver, error) {
	r, name, err := parseResolver(text)
	if err != nil {
		return nil, err
	}
	if r.net == "tls" {
		r.tls = &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs, ServerName: name, NextProtos: []string{"dot"},
			ClientSessionCache: tls.NewLRUClientSessionCache(1),
		}
	}
	r.breaker, err = breaker.New(breaker.Config{
		Consecutive: silentQueries, Window: breakerWindow, OpenFor: breakerOpen, ProbeDeadline: 2 * max(c.Timeout, time.Millisecond),
	})
	return &r, err
}

// parseResolver reads "IP:PORT", "tcp://IP:PORT" or "tls://IP:PORT#SERVER-NAME". The name is "" except with tls,
// where it is the address unless one is given.
func parseResolver(text string) (r resolver, name string, err error) {
	bad := func(why string) (resolver, string, error) {
		return resolver{}, "", fmt.Errorf("resolver %q: %s: write 192.0.2.1:53, tcp://192.0.2.1:53 or tls://192.0.2.1:853#name", text, why)
	}
	r = resolver{text: text, net: "udp"}
	rest := text
	if scheme, after, found := strings.Cut(text, "://"); found {
		if scheme != "tcp" && scheme != "tls" && scheme != "udp" {
			return bad("unknown scheme")
		}
		r.net, rest = scheme, after
	}
	rest, name, named := strings.Cut(rest, "#")
	if named && (r.net != "tls" || !hostname(name)) {
		return bad("a server name after # belongs to tls:// and is a domain name")
	}
	r.addr, err = netip.ParseAddrPort(rest)
	if err != nil || r.addr.Port() == 0 || r.addr.Addr().IsUnspecified() || r.addr.Addr().IsMulticast() {
		return bad("not an IP address with a port")
	}
	r.addr = netip.AddrPortFrom(r.addr.Addr().Unmap(), r.addr.Port())
	if r.net == "tls" && !named {
		name = r.addr.Addr().WithZone("").String()
	}
	return r, strings.TrimSuffix(name, "."), nil
}

// private reports whether nobody between can set a bit in what r says.
func (r *resolver) private() bool { return r.net == "tls" || r.addr.Addr().IsLoopback() }

// trust marks the resolvers whose AD bit is believed.
func (c Config) trust(all []*resolver) error {
	for _, r := range all {
		r.trusted = r.private() && (len(c.Validating) == 0 || slices.Contains(c.Validating, r.text))
	}
	var problems []error
	for _, text := range c.Validating {
		i := slices.IndexFunc(all, func(r *resolver) bool { return r.text == text })
		switch {
		case i < 0:
			problems = append(problems, fmt.Errorf("validating %q is none of the resolvers", text))
		case !all[i].private():
			problems = append(problems, fmt.Errorf("validating %q: its AD bit can be forged on the way: "+
				"reach it over loopback or tls://", text))
		}
	}
	return errors.Join(problems...)
}
