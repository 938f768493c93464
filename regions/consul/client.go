package consul

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/quorate/quorate/internal/breaker"
)

// ClientConfig says how one Consul endpoint is reached. The environment (CONSUL_HTTP_ADDR and the like) is not asked.
type ClientConfig struct {
	Address string // http or https, with host, port and perhaps a path before /v1; required
	// TokenFile holds the ACL token; it is read again for every request. "": no token.
	TokenFile string
	// CAFile holds the authorities (PEM) that may vouch for the endpoint; "": the system's.
	CAFile string
	// CertFile and KeyFile are this client's certificate, read again for every handshake; both or neither.
	CertFile, KeyFile string
	TLSName           string // what the endpoint's certificate must be issued for; "": the host of Address
	// Namespace and Partition are of Consul Enterprise; "": the token's.
	Namespace, Partition string
	// Timeout bounds every request, on top of the time that it asks Consul to wait; 100 ms..1 m, default 5 s.
	Timeout time.Duration
	Logger  *slog.Logger // required
}

// Client asks one Consul endpoint, for any number of sources, which share its circuit breaker. Its methods may be called
// concurrently.
type Client struct {
	cfg       ClientConfig
	api       *api.Client
	transport *transport
	breaker   *breaker.Breaker
}

// NewClient returns a Client, or every problem of cfg at once. It asks nobody yet, but reads the files that cfg names.
// Consul's agent allows 200 connections from one address by default (limits.http_max_conns_per_client), and every source
// holds one.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	u, problems := cfg.problems()
	t, err := newTransport(cfg)
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, fmt.Errorf("consul: client: %w", err)
	}
	c := &Client{cfg: cfg, transport: t}
	c.api, err = api.NewClient(&api.Config{
		Address: u.Host, Scheme: u.Scheme, PathPrefix: strings.TrimSuffix(u.Path, "/"),
		HttpClient: &http.Client{
			Transport:     t,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Token: "set by the transport", // anything: without one the library takes what the environment has
	})
	if err != nil {
		return nil, fmt.Errorf("consul: client: %w", err)
	}
	c.breaker, err = breaker.New(breaker.Config{ProbeDeadline: 2 * c.pingTimeout(), OnChange: func(from, to string) {
		cfg.Logger.Warn("consul endpoint's breaker changed", "address", cfg.Address, "from", from, "to", to)
	}})
	if err != nil {
		return nil, fmt.Errorf("consul: client: %w", err)
	}
	return c, nil
}

// Close drops idle connections. Requests under way end with their own contexts.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Breaker returns the state of the endpoint's circuit breaker: "closed", "open" or "half_open".
func (c *Client) Breaker() string { return c.breaker.State() }

// get asks for path and decodes the answer into out. It is bounded by the client's timeout after what q has Consul wait,
// to which Consul adds up to a sixteenth (developer.hashicorp.com/consul/api-docs/features/blocking).
func (c *Client) get(ctx context.Context, path string, out any, q *api.QueryOptions) (meta *api.QueryMeta, err error) {
	err = c.do(ctx, q.WaitTime+q.WaitTime/16, func(ctx context.Context) error {
		meta, err = c.api.Raw().Query(path, out, q.WithContext(ctx))
		return err
	})
	return meta, err
}

// do makes one request, unless the breaker is open, and tells the breaker what it came to.
func (c *Client) do(ctx context.Context, wait time.Duration, request func(context.Context) error) error {
	done, err := c.allow(ctx)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, wait+c.cfg.Timeout)
	defer cancel()
	err = request(limited)
	done(c.outcome(ctx, err))
	return c.plain(err)
}

// allow asks the breaker. What probes an endpoint that is not well is a ping, since a question that blocks for a minute
// would probe for as long.
func (c *Client) allow(ctx context.Context) (func(breaker.Outcome), error) {
	if c.breaker.State() != "closed" {
		done, err := c.breaker.Allow()
		if err != nil {
			return nil, err
		}
		done(c.ping(ctx))
	}
	return c.breaker.Allow()
}

// outcome is what a request says of the endpoint. A status of any kind is an answer: the error may be another
// datacenter's. So may a silence, which is why the endpoint itself is then asked.
func (c *Client) outcome(ctx context.Context, err error) breaker.Outcome {
	var status api.StatusError
	switch {
	case err == nil, errors.As(err, &status):
		return breaker.Success
	case ctx.Err() != nil:
		return breaker.Ignored
	case errors.Is(err, context.DeadlineExceeded):
		return c.ping(ctx)
	default:
		return breaker.Failure
	}
}

func (c *Client) pingTimeout() time.Duration { return min(c.cfg.Timeout, 2*time.Second) }

// ping asks for what no datacenter but the endpoint's own is needed for, and takes any answer.
func (c *Client) ping(ctx context.Context) breaker.Outcome {
	limited, cancel := context.WithTimeout(ctx, c.pingTimeout())
	defer cancel()
	var leader string
	_, err := c.api.Raw().Query("/v1/status/leader", &leader, (&api.QueryOptions{}).WithContext(limited))
	var status api.StatusError
	switch {
	case err == nil, errors.As(err, &status):
		return breaker.Success
	case ctx.Err() != nil:
		return breaker.Ignored
	default:
		return breaker.Failure
	}
}

// plain gives a library's error the sentinel that callers branch on, bounds its text and keeps the token out of it.
func (c *Client) plain(err error) error {
	var status api.StatusError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return ErrTimeout
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, ErrTooLarge):
		return ErrTooLarge
	case errors.As(err, &status):
		return &refusal{code: status.Code, text: c.text(status.Body)}
	default:
		return errors.New(c.text(err.Error()))
	}
}

// refusal is an answer with another status than 200.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.code, r.text) }

// Is gives a status the sentinel that callers branch on.
func (r *refusal) Is(target error) bool { return target == ErrDenied && r.code == http.StatusForbidden }

// text makes a line of at most 150 bytes of what a server said.
func (c *Client) text(said string) string { return line(c.transport.token.hide(said), 150) }

// line cuts s to n bytes of printable text.
func line(s string, n int) string {
	s = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s), "?")
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-3], "") + "..."
}
