package verify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity"
)

// Config says how a Tracker verifies the nodes of one service. The zero value of every field but
// Service and Logger stands for its default.
type Config struct {
	Service string // required

	// Interval between checks of a healthy node, before ±10 % jitter; 100 ms..1 h, default 5 s.
	Interval time.Duration
	// Timeout of one whole check; default min(Interval, 2 s). It may be larger than a request may
	// take, because a check that runs into it costs nobody anything: the data plane's suspect probe
	// finds a silent node sooner.
	Timeout time.Duration
	// Failures is how many failed checks in a row make a node unhealthy, default 3.
	Failures int
	// Successes is how many good checks in a row make it healthy again, default 2.
	Successes int
	// Concurrency is how many checks run at one time, default 64. Waiting for a turn fails no check.
	Concurrency int

	// Trust holds the authorities that https nodes' certificates may come from; nil means the system's. Every
	// connection for a check is held to its node's Identity, see package regions/identity.
	Trust  *x509.CertPool
	Header http.Header // added to every check, for nodes that ask even for a list who wants it
	// Transport returns what carries the checks of a node that is not reached over TCP of its own, nil for any
	// other node. Default: every node is.
	Transport func(node regions.Proposal) http.RoundTripper
	Logger    *slog.Logger // required

	random func() float64 // uniform in [0,1); tests make it constant
	shared *sharedTools
	proofs *atomic.Uint64 // how often a node's proof failed after it had not
}

func (c *Config) withDefaults() error {
	or := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	if c.Interval == 0 {
		c.Interval = 5 * time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = min(c.Interval, 2*time.Second)
	}
	or(&c.Failures, 3)
	or(&c.Successes, 2)
	or(&c.Concurrency, 64)
	if c.shared == nil {
		c.shared = &sharedTools{}
	}
	if c.proofs == nil {
		c.proofs = &atomic.Uint64{}
	}
	if c.random == nil {
		c.random = rand.Float64
	}
	return c.validate()
}

func (c *Config) validate() error {
	var problems []error
	bad := func(is bool, format string, args ...any) {
		if is {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	bad(c.Service == "", "service is required")
	bad(c.Logger == nil, "logger is required")
	bad(c.Interval < 100*time.Millisecond || c.Interval > time.Hour, "interval %s is outside 100ms..1h", c.Interval)
	bad(c.Timeout < 10*time.Millisecond || c.Timeout > time.Minute, "timeout %s is outside 10ms..1m", c.Timeout)
	bad(c.Failures < 1 || c.Failures > 100, "failures %d is outside 1..100", c.Failures)
	bad(c.Successes < 1 || c.Successes > 100, "successes %d is outside 1..100", c.Successes)
	bad(c.Concurrency < 1 || c.Concurrency > 10_000, "concurrency %d is outside 1..10000", c.Concurrency)
	if len(problems) > 0 {
		return fmt.Errorf("verify: config: %w", errors.Join(problems...))
	}
	return nil
}

// clientOf returns the client for a node's checks, or why the node cannot be checked.
func (c *Config) clientOf(node regions.Proposal) (*http.Client, error) {
	hold, err := identity.ForNode(node, c.Trust)
	if err != nil {
		return nil, err
	}
	client := c.newClient(hold)
	if c.Transport == nil {
		return client, nil
	}
	if t := c.Transport(node); t != nil {
		client.Transport = t
	}
	return client, nil
}

// newClient returns a client of one node's own: two nodes never share a connection, and checks never
// share one with traffic. Environment proxies are not used, redirects are answers.
func (c *Config) newClient(hold *tls.Config) *http.Client {
	keepAlive := net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}
	dialer := proving{Dialer: net.Dialer{KeepAliveConfig: keepAlive}, hold: hold, within: c.Timeout}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			DialTLSContext:         dialer.dialTLS,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        2*c.Interval + 10*time.Second,
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// proving makes connections that are proven when they are handed out.
type proving struct {
	net.Dialer
	hold   *tls.Config   // nil for a node without TLS
	within time.Duration // bound of dial and handshake; 0: that of the context alone
}

// dialTLS is http.Transport.DialTLSContext.
func (p *proving) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	if p.hold == nil {
		return nil, errNoTLS
	}
	if p.within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.within)
		defer cancel()
	}
	raw, err := p.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	secure, err := identity.Handshake(ctx, raw, p.hold)
	if err != nil {
		return nil, err
	}
	return secure, nil
}

// errNoTLS: a client of an http node was led to an https URL; redirects are not followed, so none is.
var errNoTLS = errors.New("the node's url is not https")
