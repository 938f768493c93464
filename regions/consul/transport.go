package consul

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"
)

const (
	// maxAnswer bounds an answer, in bytes: about 80,000 instances.
	maxAnswer = 128 << 20
	// maxComplaint bounds an answer that is an error, in bytes.
	maxComplaint = 64 << 10
)

// problems returns what is wrong with c besides its files, and the address parsed.
func (c *ClientConfig) problems() (*url.URL, []error) {
	var problems []error
	u, err := url.Parse(c.Address)
	switch {
	case err != nil:
		problems = append(problems, errors.New("address cannot be parsed")) // the parser's text may hold a password
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		problems = append(problems, errors.New("address must be http://HOST:PORT or https://HOST:PORT"))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		problems = append(problems, errors.New("address must have neither user, query nor fragment"))
	}
	if c.Logger == nil {
		problems = append(problems, errors.New("logger is required"))
	}
	if c.Timeout < 100*time.Millisecond || c.Timeout > time.Minute {
		problems = append(problems, fmt.Errorf("timeout %s is outside 100ms..1m", c.Timeout))
	}
	return u, problems
}

// transport is the one place that says who asks: it sets the token and the tenancy of every request, and bounds what
// comes back, which the library reads whatever its size.
type transport struct {
	http      *http.Transport
	token     token
	tenancy   map[string]string // query parameters of every request; "" takes one out
	limit     int64             // bytes of an answer
	logger    *slog.Logger
	tokenLost atomic.Bool // the token file cannot be read, and that was logged
}

func newTransport(cfg ClientConfig) (*transport, error) {
	settings, err := tlsConfig(cfg)
	t := &transport{
		http: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: cfg.Timeout, KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig:        settings,
			TLSHandshakeTimeout:    cfg.Timeout,
			MaxIdleConnsPerHost:    16,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 64 << 10,
		},
		token:   token{file: cfg.TokenFile},
		tenancy: map[string]string{"ns": cfg.Namespace, "partition": cfg.Partition},
		limit:   maxAnswer,
		logger:  cfg.Logger,
	}
	_, tokenErr := t.token.current()
	return t, errors.Join(err, tokenErr)
}

// tlsConfig reads the authorities once, and the client's certificate now and for every handshake, so that it may be
// renewed.
func tlsConfig(cfg ClientConfig) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.TLSName}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca file: %s: no certificate in it", cfg.CAFile)
		}
	}
	if cfg.CertFile == "" && cfg.KeyFile == "" {
		return c, nil
	}
	load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		return &pair, err
	}
	if _, err := load(nil); err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	c.GetClientCertificate = load
	return c, nil
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := t.token.current()
	t.note(err)
	req = req.Clone(req.Context())
	req.Header.Del("X-Consul-Token")
	if token != "" {
		req.Header.Set("X-Consul-Token", token)
	}
	q := req.URL.Query()
	for key, value := range t.tenancy {
		q.Del(key)
		if value != "" {
			q.Set(key, value)
		}
	}
	req.URL.RawQuery = q.Encode()
	resp, err := t.http.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	limit := t.limit
	if resp.StatusCode != http.StatusOK {
		limit = maxComplaint
	}
	resp.Body = &bounded{body: resp.Body, left: limit}
	return resp, nil
}

// note logs that the token file cannot be read, and that it can be again, once each.
func (t *transport) note(err error) {
	switch lost := err != nil; {
	case t.tokenLost.Swap(lost) == lost:
	case lost:
		t.logger.Warn("consul token file cannot be read; its last token stays in use", "err", err)
	default:
		t.logger.Info("consul token file is read again")
	}
}

// CloseIdleConnections lets http.Client.CloseIdleConnections through.
func (t *transport) CloseIdleConnections() { t.http.CloseIdleConnections() }

// bounded fails with ErrTooLarge after left bytes.
type bounded struct {
	body io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := b.body.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (b *bounded) Close() error { return b.body.Close() }
