// Package admin serves the operators' listener: metrics, liveness, readiness and status as JSON.
// It must not know how any of it is gathered: the gateway, the table and the configuration reach
// it only as functions.
//
// Who gets in, in this order:
//
//   - A request that reached a loopback address must name a loopback host (or an allowed one) in its
//     Host header, else 403: a web page could otherwise point its own name here (DNS rebinding).
//   - A request that a browser made for another site (Origin, Sec-Fetch-Site) gets 403.
//   - /livez, /readyz, /ready and /health are open on purpose: orchestrators probe them without credentials, and they
//     tell no more than which service has no node.
//   - Every other path, unknown ones too, needs the bearer token or a verified client certificate
//     when either is configured; one of the two is enough. Without credentials 401, with wrong 403.
//
// With neither configured everything is open; the configuration allows that on loopback only.
package admin

import (
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// Token is the secret that a bearer must know. Match must take the same time wherever word differs.
type Token interface {
	Match(word string) bool
}

// Config is what the handler serves and whom it lets in.
type Config struct {
	// Status gathers the answer of /v1/status. Required. Called once per request.
	Status func() Status
	// Ready returns why this gateway cannot serve; none means ready. Required.
	Ready func() []string
	// Regions gathers the answer of /v1/regions, and Order carries an operator's order out: both or neither.
	// Default: there are no such paths.
	Regions func() []Region
	Order   func(Order) error
	// Metrics answers /metrics. Required.
	Metrics http.Handler
	// Token lets its bearers in. Default: no token.
	Token Token
	// ClientCerts lets clients in whose certificate the listener verified; it must ask for them
	// (tls.VerifyClientCertIfGiven). Default: certificates count for nothing.
	ClientCerts bool
	// AllowedHosts are names accepted in the Host header besides loopback ones, without port.
	AllowedHosts []string
	// Logger gets refused requests at debug level. Default: no log.
	Logger *slog.Logger
}

var (
	errNoStatus  = errors.New("admin: new: Status is required")
	errNoReady   = errors.New("admin: new: Ready is required")
	errHalf      = errors.New("admin: new: Regions and Order belong together")
	errNoMetrics = errors.New("admin: new: Metrics is required")
)

// New returns the handler of the admin listener, or an error for an incomplete configuration.
func New(c Config) (http.Handler, error) {
	switch {
	case c.Status == nil:
		return nil, errNoStatus
	case c.Ready == nil:
		return nil, errNoReady
	case (c.Regions == nil) != (c.Order == nil):
		return nil, errHalf
	case c.Metrics == nil:
		return nil, errNoMetrics
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	d := &door{token: c.Token, certs: c.ClientCerts, hosts: hostSet(c.AllowedHosts)}
	return &handler{door: d, routes: routes(c), log: c.Logger}, nil
}

// Bounds of an admin connection. Nothing here is large or slow: the longest answer is /metrics.
const (
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	maxBodyBytes   = 64 << 10
)

// NewServer returns a server for h with every bound set: 10 s to read a request, 30 s to write an
// answer, 2 min idle, 16 KiB of headers, 64 KiB of body. The caller sets TLSConfig where it wants TLS.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	s := &http.Server{
		Handler:           http.MaxBytesHandler(h, maxBodyBytes),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
	if log != nil {
		// TLS handshakes that fail and the like; a scanner must not fill the log.
		s.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	}
	return s
}
