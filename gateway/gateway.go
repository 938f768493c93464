// Package gateway is the data plane: it classifies an agent's request, picks nodes for it from the
// routing table, carries it there and its answer back, and hides what nodes do wrong as far as the
// protocol lets it. It must not know plugins, Consul, DNS or Raft, nor where the table comes from.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/regions"
)

// Tracer makes spans of requests and attempts.
type Tracer interface {
	// Request begins the span of an agent's request. traceParent is the one in the message's _meta.
	Request(r *http.Request, traceParent string, span RequestSpan) (*http.Request, func(outcome string))
	// Attempt begins the span of one attempt; the fields it returns name it to the node.
	Attempt(ctx context.Context, span AttemptSpan) (trace []upstream.Field, end func(result string))
}

// RequestSpan is what a request's span says. Nothing else of a request ever gets into one.
type RequestSpan struct{ Service, Era, Method, Tool, RetryClass, LatencyClass, Spill string }

// AttemptSpan is what an attempt's span says: the routing decision.
type AttemptSpan struct {
	Node, Region, RegionClass string
	RTT                       time.Duration // to the region
	Number                    int           // of the attempt, from 1
}

// Config is what a Gateway needs. Every field without a default is required.
type Config struct {
	Name           string   // of this gateway, unique in its fleet
	AllowedHosts   []string // Host values; empty: loopback names on loopback listeners, anything elsewhere
	AllowedOrigins []string // Origin values besides the request's own host
	MaxBody        int64    // bytes; default 4 MiB
	BodyTimeout    time.Duration
	Tracer         Tracer // nil: no traces, at no cost
	// Duration returns what records how long requests of one kind took; called once per kind.
	Duration func(service, era, methodClass string) func(time.Duration)
	Outside  Outside
	// Authority is asked before every write; nil: this gateway may always write, and names no epoch.
	Authority Authority
	// Lease is how long a permit to write may last at most now: bytes to nodes stay unacknowledged no longer
	// (TCP_USER_TIMEOUT). It is asked at every dial and must not block; nil or 0: the services' attempt bounds alone.
	Lease func() time.Duration
	// Keeper owns and keeps the sessions of agents; nil: they are this process's alone, and end with it.
	Keeper session.Keeper
	// Alone: this gateway is a fleet of one, and nobody else could go on with its sessions.
	Alone bool
	// Relay returns what carries requests to another gateway of the fleet; nil: there is none.
	Relay func(gateway string) http.RoundTripper
	// Handles knows which nodes other gateways' tasks are at; nil: this process's own memory has to do.
	Handles Handles
	// Ledger remembers calls under agents' keys; nil: they are refused where the route has the ledger.
	Ledger Ledger
	Logger *slog.Logger
}

// Gateway serves agents. Its tables are published by one writer.
type Gateway struct {
	cfg     Config
	buffers *buffers
	view    atomic.Pointer[view]
	fleet   *fleet
	serial  atomic.Uint64
	holds   holds
	closing chan struct{} // closed when held streams have to end
	close   sync.Once
}

// view is everything a request loads, once: the table and what belongs to it.
type view struct {
	table   *regions.Table
	guard   guard
	byPath  map[string]*pool
	regions []*region // by index in the table less one: the gateway's own is not among them
}

// New returns a gateway that answers 503 until a table is published.
func New(cfg Config) (*Gateway, error) {
	if cfg.Name == "" || cfg.Duration == nil || cfg.Outside == nil || cfg.Logger == nil {
		return nil, errors.New("gateway: new: name, duration, outside and logger are required")
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 4 << 20
	}
	if cfg.BodyTimeout == 0 {
		cfg.BodyTimeout = 30 * time.Second
	}
	if cfg.MaxBody < 0 || cfg.BodyTimeout < 0 {
		return nil, fmt.Errorf("gateway: new: negative limit: max body %d, body timeout %v", cfg.MaxBody, cfg.BodyTimeout)
	}
	g := &Gateway{cfg: cfg, buffers: newBuffers(), fleet: newFleet(cfg.Logger), closing: make(chan struct{})}
	g.view.Store(&view{guard: newGuard(cfg.AllowedHosts, cfg.AllowedOrigins)})
	return g, nil
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := g.view.Load()
	g.boundBody(w, r)
	if why := v.guard.allows(r); why != "" {
		mcp.WriteError(w, refusal(http.StatusForbidden, "forbidden", why), nil)
		return
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		v.guard.cors(w.Header(), origin)
		if r.Method == http.MethodOptions {
			preflight(w, r)
			return
		}
	}
	g.serve(w, r, v)
}

// serve serves a request that was let in.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request, v *view) {
	p, ok := v.byPath[r.URL.Path]
	if !ok {
		g.noService(w, v)
		return
	}
	dropNamedByConnection(r.Header)
	switch r.Method {
	case http.MethodPost:
		g.servePost(w, r, p)
	case http.MethodGet, http.MethodDelete:
		g.serveSession(w, r, p)
	default:
		notAllowed(w, "POST, GET, DELETE")
	}
}

// boundBody gives a body its time before anybody decides whether to read it: the server waits for the body
// of a refused request too, before it sends the answer.
func (g *Gateway) boundBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(g.cfg.BodyTimeout)) // readBody lifts it, and says if it cannot
	}
}

// noService: a path nobody configured is 404, but before the first table everything may be configured.
func (g *Gateway) noService(w http.ResponseWriter, v *view) {
	if v.table == nil {
		mcp.WriteError(w, nothingFits("starting"), nil)
		return
	}
	mcp.WriteError(w, refusal(http.StatusNotFound, "unknown_service", "no service at this path"), nil)
}

func notAllowed(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	mcp.WriteError(w, refusal(http.StatusMethodNotAllowed, "method_not_allowed", "method not allowed"), nil)
}

// preflight lets a page of an allowed origin send what headers it wants: Mcp-Param-* have names of the
// tools' own.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "POST, GET, DELETE")
	h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// dropNamedByConnection removes the fields that the agent's Connection header declares its own
// (RFC 9110 section 7.6.1); the usual ones are left out when a request is written.
func dropNamedByConnection(h http.Header) {
	for _, list := range h["Connection"] {
		for name := range splitList(list) {
			if name != "" {
				h.Del(name)
			}
		}
	}
}

// requestID names a request in logs: the agent's own X-Request-Id if it is sane, else a number.
func (g *Gateway) requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); id != "" && len(id) <= 64 {
		return id
	}
	return fmt.Sprintf("%x", g.serial.Add(1))
}
