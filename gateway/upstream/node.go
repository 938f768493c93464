package upstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/balance"
	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/internal/breaker"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity"
)

// Observer is told what traffic saw of a node. Calls must not block.
type Observer interface {
	// NodeFailed reports a failure; dead says that the node refused a connect, left a suspect probe
	// unanswered or stopped acknowledging bytes, so that nobody should use it.
	NodeFailed(id regions.NodeID, dead bool)
	// NodeUnproven reports that what answers at the node's address has failed to prove that it is the node.
	NodeUnproven(id regions.NodeID, cause error)
}

// Config is what a Node needs. Every field without a default is required.
type Config struct {
	ID          regions.NodeID
	URL         string
	Host        string                          // of the Host field; default URL's
	Connect     time.Duration                   // bound of dial and handshake; default 250 ms
	Suspect     time.Duration                   // no response headers for this long starts a probe; default 300 ms
	Probe       time.Duration                   // bound of that probe; default 400 ms
	UserTimeout time.Duration                   // TCP_USER_TIMEOUT; default Connect + Suspect + Probe
	Lease       func() time.Duration            // the most that UserTimeout and RTT may come to, asked at every dial; nil or 0: no bound
	TLS         *tls.Config                     // for https, as of package regions/identity: what every connection is held to; nil: the URL's host and the system's roots
	Alive       func(ctx context.Context) error // asks the node, on a connection of its own, for any answer at all; identity.ErrIdentity: another answers
	Link        http.RoundTripper               // carries the attempts to a gateway of another region; nil: HTTP/1.1 connections of the node's own
	RTT         func() time.Duration            // round trip to the node's region, which the bounds above come on top of; nil: it is near
	Labels      []Field                         // set on every answer, where the node's own fields of the name Quorate-* are not believed
	Breaker     *breaker.Breaker
	Observer    Observer
	Logger      *slog.Logger
}

func (c *Config) withDefaults() {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&c.Connect, 250*time.Millisecond)
	set(&c.Suspect, 300*time.Millisecond)
	set(&c.Probe, 400*time.Millisecond)
	set(&c.UserTimeout, c.Connect+c.Suspect+c.Probe)
}

// Node is one MCP server process as the data plane uses it. It outlives routing tables.
type Node struct {
	cfg    Config
	target string // request target: the MCP endpoint's path, and its query if it has one
	host   string // the node's own name: what it checks against DNS rebinding
	dialer dialer
	pool   *pool
	shapes map[string]*http.Request // what http.ReadResponse needs to know of a request, by method

	base     *url.URL // for the link
	attempts attempts // over the link
	labels   []label

	life     atomic.Pointer[life]
	probing  atomic.Pointer[probeRun]
	unproven atomic.Int64 // Unix nanoseconds of the last failed proof of identity; 0: none since the node was last verified
	inFlight atomic.Int64
	results  results
	ewma     balance.EWMA
}

// life is the span between two deaths of a node.
type life struct {
	down   chan struct{} // closed at death
	diedAt atomic.Int64  // Unix nanoseconds; 0 while alive
}

// New returns a node that is taken for alive until something proves otherwise.
func New(cfg Config) (*Node, error) {
	cfg.withDefaults()
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("upstream: node %s: %w", cfg.ID, err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("upstream: node %s: %q is not an http or https URL", cfg.ID, cfg.URL)
	}
	if cfg.ID == "" || cfg.Alive == nil || cfg.Breaker == nil || cfg.Observer == nil || cfg.Logger == nil {
		return nil, errors.New("upstream: node: id, alive, breaker, observer and logger are required")
	}
	n := &Node{cfg: cfg, target: u.EscapedPath(), host: cmp.Or(cfg.Host, u.Host), pool: newPool(), shapes: make(map[string]*http.Request)}
	if n.target == "" {
		n.target = "/"
	}
	if u.RawQuery != "" {
		n.target += "?" + escapeQuery(u.RawQuery)
	}
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodOptions} {
		n.shapes[m] = &http.Request{Method: m}
	}
	n.dialer = dialer{address: address(u), connect: cfg.Connect, userTimeout: n.unacknowledged}
	if u.Scheme == "https" {
		if n.dialer.tls, err = tlsFor(cfg.TLS, u.Hostname()); err != nil {
			return nil, fmt.Errorf("upstream: node %s: %w", cfg.ID, err)
		}
	}
	n.base = baseURL(u)
	for _, l := range cfg.Labels {
		n.labels = append(n.labels, label{l.Name, []string{l.Value}})
	}
	n.life.Store(&life{down: make(chan struct{})})
	return n, nil
}

func address(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "https" {
		return net.JoinHostPort(u.Hostname(), "443")
	}
	return net.JoinHostPort(u.Hostname(), "80")
}

func tlsFor(hold *tls.Config, host string) (*tls.Config, error) {
	if hold == nil {
		var err error
		if hold, err = identity.TLS(regions.Identity{}, host, nil); err != nil {
			return nil, err
		}
	}
	c := hold.Clone()
	c.ServerName = cmp.Or(c.ServerName, host)
	c.NextProtos = []string{"http/1.1"}
	return c, nil
}

// rtt is the round trip to the node's region.
func (n *Node) rtt() time.Duration {
	if n.cfg.RTT == nil {
		return 0
	}
	return n.cfg.RTT()
}

// unacknowledged is how long written bytes may stay so, before their connection is given up. Within the lease, none
// is still on its way when another gateway may write.
func (n *Node) unacknowledged() time.Duration {
	d := n.cfg.UserTimeout + 2*n.rtt()
	if n.cfg.Lease == nil {
		return d
	}
	if lease := n.cfg.Lease(); lease > 0 {
		d = min(d, max(lease, time.Millisecond)) // the kernel takes 0 ms for no bound
	}
	return d
}

// suspectAfter is how long response headers may be away before the node is asked for a sign of life.
func (n *Node) suspectAfter() time.Duration { return n.cfg.Suspect + n.rtt() }

// ID returns the node's id.
func (n *Node) ID() regions.NodeID { return n.cfg.ID }

// URL returns the MCP endpoint as configured.
func (n *Node) URL() string { return n.cfg.URL }

// InFlight returns the number of attempts that have not ended, response bodies included but for streams
// that stay open.
func (n *Node) InFlight() int64 { return n.inFlight.Load() }

// Results calls f with every result that attempts ended with, and how many did.
func (n *Node) Results(f func(result string, count uint64)) { n.results.each(f) }

// Latency returns the peak EWMA of the time to response headers, as of now.
func (n *Node) Latency() time.Duration { return n.ewma.Value(time.Now()) }

// EWMA returns the latency estimate itself, for balancing.
func (n *Node) EWMA() *balance.EWMA { return &n.ewma }

// BreakerState returns "closed", "open" or "half_open".
func (n *Node) BreakerState() string { return n.cfg.Breaker.State() }

// Down returns a channel that is closed when the node is declared dead. After a recovery it is another one.
func (n *Node) Down() <-chan struct{} { return n.life.Load().down }

// Dead reports whether the node is declared dead now.
func (n *Node) Dead() bool { return n.life.Load().diedAt.Load() != 0 }

func (n *Node) shape(method string) *http.Request {
	if r, ok := n.shapes[method]; ok {
		return r
	}
	return &http.Request{Method: method}
}

// Do makes one attempt. Any status is a response; an error is always an *Error. The response's body
// must be closed, and its reads can fail with an *Error whose progress is Responding.
// There is no total timeout: a call ends when it answers, when ctx ends, or when its node is dead.
func (n *Node) Do(ctx context.Context, r *Request) (*http.Response, error) {
	report, err := n.cfg.Breaker.Allow()
	if err != nil {
		n.results.failed(BreakerOpen)
		return nil, &Error{Node: n.cfg.ID, Progress: NotSent, Failure: BreakerOpen, Err: err}
	}
	n.inFlight.Add(1)
	began := time.Now()
	if n.cfg.Link != nil {
		return n.forward(ctx, r, report, began)
	}
	c := n.pool.take(began)
	if c == nil {
		if c, err = n.connect(ctx); err != nil {
			n.inFlight.Add(-1)
			return nil, n.refused(ctx, report, err)
		}
	}
	fence, ok := r.permitted()
	if !ok {
		n.inFlight.Add(-1)
		n.pool.put(c, time.Now())
		report(breaker.Ignored)
		return nil, n.closed()
	}
	x := &exchange{node: n, conn: c, ctx: ctx}
	resp, err := x.start(r, fence)
	if err != nil {
		progress := NotSent
		if c.written > 0 {
			progress = Sent
		}
		failure := n.fail(ctx, c, progress, err)
		report(outcome(failure, n.Dead()))
		x.finish(false)
		return nil, failure
	}
	if r.fenced(resp) {
		_ = resp.Body.Close()
		report(breaker.Success)
		return nil, n.refusedEpoch()
	}
	n.observe(began, resp.StatusCode, report)
	n.label(resp.Header)
	if r.Standing || r.Method == http.MethodGet {
		x.standing = true
		n.inFlight.Add(-1)
	}
	return resp, nil
}

// observe counts an answer: a server error is a failure for the breaker, whatever its body says.
func (n *Node) observe(began time.Time, status int, report func(breaker.Outcome)) {
	now := time.Now()
	// Slow tools would otherwise make their node look slow for everything else.
	n.ewma.Observe(now, min(now.Sub(began), time.Second))
	if status >= 500 {
		n.results.serverError()
		report(breaker.Failure)
		return
	}
	n.results.ok()
	report(breaker.Success)
}

func (n *Node) connect(ctx context.Context) (*conn, error) {
	c, err := n.dialer.dial(ctx, n.rtt())
	if err != nil {
		return nil, err
	}
	c.suspect = time.AfterFunc(time.Hour, func() { n.suspectConn(c) })
	c.suspect.Stop()
	n.pool.add(c)
	return c, nil
}

// outcome is what the breaker is told. A death is verification's matter: if it counted here as well, a
// node that was killed and restarted would stay shut out by the calls that died with it.
func outcome(e *Error, dead bool) breaker.Outcome {
	if e.Failure == Canceled || dead {
		return breaker.Ignored
	}
	return breaker.Failure
}

// Close ends all connections. The node must not be used afterwards.
func (n *Node) Close() {
	n.pool.closeAll()
	n.attempts.cancel(errNodeDead)
}

// CloseIdle ends connections that were idle too long; called now and then by the owner.
func (n *Node) CloseIdle() { n.pool.closeIdle(time.Now()) }

// label is a header field whose value's slice is shared by all answers.
type label struct {
	name  string
	value []string
}

// label names the node in an answer. What it says itself in the gateway's own fields is left out.
func (n *Node) label(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, mcp.OwnPrefix) {
			delete(h, name)
		}
	}
	for _, l := range n.labels {
		h[l.name] = l.value
	}
}

// Forwards reports whether the node is the gateway of another region.
func (n *Node) Forwards() bool { return n.cfg.Link != nil }
