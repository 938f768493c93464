// Package adminclient asks and changes a fleet over the admin listener of one of its gateways, and tries again what is
// safe to repeat. It must not know who uses it: what a document means is the gateway's business.
package adminclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// DefaultPatience is how long what is safe to repeat is tried again: an election takes a second or two.
	DefaultPatience = 15 * time.Second
	// pause lies between two tries.
	pause = 250 * time.Millisecond
	// oneTry bounds one request. The gateway takes up to 10 s to agree on a change.
	oneTry = 20 * time.Second
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 16 << 20
)

// Config says which gateway is asked, and as whom.
type Config struct {
	// Address is HOST:PORT or an http or https URL.
	Address string
	// Token is the bearer token; TokenFile names a file that holds it. At most one is set.
	Token, TokenFile string
	// CAFile, CertFile and KeyFile are PEM files: who vouches for the gateway, and who asks.
	CAFile, CertFile, KeyFile string
	// Patience is how long to try again, 0 to 10 min; 0: DefaultPatience.
	Patience time.Duration
}

func (c Config) check() error {
	switch {
	case c.Address == "":
		return errors.New("address is missing; write HOST:PORT of a gateway's admin listener")
	case c.Token != "" && c.TokenFile != "":
		return errors.New("token and token_file are both given; write one of them")
	case (c.CertFile == "") != (c.KeyFile == ""):
		return errors.New("cert_file and key_file belong together; write both or neither")
	case c.Patience < 0 || c.Patience > 10*time.Minute:
		return errors.New("patience is out of range; write 0s to 10m")
	}
	return nil
}

// Client asks one gateway. It is safe for concurrent use.
type Client struct {
	base, token string
	certified   bool // it has a certificate to show
	patience    time.Duration
	http        *http.Client
	// tired is set when patience has ended once, until something is answered: whoever asks many things of a dead
	// gateway waits for it once.
	tired atomic.Bool
}

// New returns a client; it connects to nothing yet.
func New(cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("adminclient: %w", err)
	}
	c := &Client{token: cfg.Token, certified: cfg.CertFile != "", patience: cfg.Patience}
	if c.patience == 0 {
		c.patience = DefaultPatience
	}
	if cfg.TokenFile != "" {
		text, err := os.ReadFile(cfg.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("adminclient: token_file: %w", err)
		}
		c.token = strings.TrimSpace(string(text))
	}
	var err error
	if c.base, err = baseOf(cfg); err != nil {
		return nil, fmt.Errorf("adminclient: %w", err)
	}
	secure, err := tlsOf(cfg)
	if err != nil {
		return nil, fmt.Errorf("adminclient: %w", err)
	}
	// No redirects: a token is for the gateway alone. No kept connections: a gateway may be another process next time.
	c.http = &http.Client{
		Transport:     &http.Transport{TLSClientConfig: secure, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

func baseOf(cfg Config) (string, error) {
	base := cfg.Address
	if !strings.Contains(base, "://") {
		scheme := "http://"
		if cfg.CAFile != "" || cfg.CertFile != "" {
			scheme = "https://"
		}
		base = scheme + base
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("address %.200q is not HOST:PORT or an http or https URL", cfg.Address)
	}
	return strings.TrimSuffix(base, "/"), nil
}

func tlsOf(cfg Config) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CAFile != "" {
		data, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("ca_file: %s holds no PEM certificate", cfg.CAFile)
		}
	}
	if cfg.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cert_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// request is one request, which may be sent more than once.
type request struct {
	method, path string
	body         []byte // JSON; nil for none
	match, none  string // If-Match, If-None-Match
}

// answer is what came of it. Unsure says that an earlier try may have happened.
type answer struct {
	body   []byte
	unsure bool
}

// do sends a request until it is answered, refused for good, or patience ends. The error of a gateway that refuses is a
// *Refusal.
func (c *Client) do(ctx context.Context, q request) (answer, error) {
	end := time.Now().Add(c.patience)
	unsure := false
	for {
		body, err := c.once(ctx, q)
		if err == nil {
			c.tired.Store(false)
			return answer{body, unsure}, nil
		}
		var no *Refusal
		refused := errors.As(err, &no)
		if refused && !no.passing() || errors.Is(err, ErrCertificate) || ctx.Err() != nil {
			return answer{unsure: unsure}, err
		}
		if c.tired.Load() || time.Now().After(end) {
			c.tired.Store(true)
			return answer{unsure: unsure}, err
		}
		unsure = unsure || !refused || no.Unknown()
		select {
		case <-ctx.Done():
			return answer{unsure: unsure}, err
		case <-time.After(pause):
		}
	}
}

func (c *Client) once(ctx context.Context, q request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, q.method, c.base+q.path, bytes.NewReader(q.body))
	if err != nil {
		return nil, fmt.Errorf("adminclient: %s: %w", q.path, err)
	}
	for name, value := range map[string]string{"If-Match": q.match, "If-None-Match": q.none} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	if q.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		if certificate := c.certificate(err); certificate != nil {
			return nil, fmt.Errorf("adminclient: %w", certificate)
		}
		return nil, fmt.Errorf("adminclient: no gateway answers at %s: %w", c.base, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("adminclient: %s: the answer broke off: %w", q.path, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, refusalOf(resp, body)
	}
	return body, nil
}

// read decodes what a path answers.
func (c *Client) read(ctx context.Context, path string, into any) error {
	a, err := c.do(ctx, request{method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("adminclient: %s: %w", path, err)
	}
	return nil
}
