// Package admin serves the operators' listener: metrics, liveness, readiness and status as JSON.
// It must not know how any of it is gathered: the gateway, the table and the configuration reach
// it only as functions.
//
// Who gets in, in this order:
//
//   - A request that reached a loopback address must name a loopback host (or an allowed one) in its
//     Host header, else 403: a web page could otherwise point its own name here (DNS rebinding).
//   - A request that a browser made for another site (Origin, Sec-Fetch-Site) gets 403.
//   - /livez, /readyz, /ready, /health and /writez are open on purpose: orchestrators probe them without credentials,
//     and they tell no more than which service has no node and why this gateway may not write.
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

	"github.com/quorate/quorate/internal/events"
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
	// Settled returns why it has not settled: the log is not applied, or no node at all is verified. Default: Ready.
	Settled func() []string
	// Gate says whether this gateway may write now, and if not, why. Default: it may always, as a fleet of one.
	Gate func() (open bool, why string)
	// Control is the control group. Default: there is no /v1/cluster.
	Control *Control
	// Events returns the authority events after a number. Default: there is no /v1/events.
	Events func(after uint64) events.Page
	// Regions gathers the answer of /v1/regions, and Order carries an operator's order out: both or neither.
	// Default: there are no such paths.
	Regions func() []Region
	Order   func(Order) error
	// Settings are the run-time settings. Default: there are no such paths.
	Settings Settings
	// Sessions are those that outlive their gateway. Default: there are no such paths.
	Sessions *Sessions
	// Voters are the voters of the control group. Default: there are no such paths.
	Voters Voters
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
	errNoControl = errors.New("admin: new: every function of Control is required")
	errNoLists   = errors.New("admin: new: every function of Sessions is required")
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
	case c.Control != nil && !c.Control.whole():
		return nil, errNoControl
	case c.Sessions != nil && !c.Sessions.whole():
		return nil, errNoLists
	case (c.Regions == nil) != (c.Order == nil):
		return nil, errHalf
	case c.Metrics == nil:
		return nil, errNoMetrics
	}
	if c.Settled == nil {
		c.Settled = c.Ready
	}
	if c.Gate == nil {
		c.Gate = alwaysOpen
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	d := &door{token: c.Token, certs: c.ClientCerts, hosts: hostSet(c.AllowedHosts)}
	return &handler{door: d, routes: routes(c), log: c.Logger}, nil
}

// Bounds of an admin connection. Nothing here is large or slow but snapshots, which have bounds of their own.
const (
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	maxBodyBytes   = 64 << 10
)

// NewServer returns a server for h with every bound set: 10 s to read a request, 30 s to write an
// answer, 2 min idle, 16 KiB of headers. h bounds bodies: 64 KiB, a snapshot 64 MiB within 2 min. The caller sets
// TLSConfig where it wants TLS.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	s := &http.Server{
		Handler:           h,
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
