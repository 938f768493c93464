package peer

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds of forwarded requests.
const (
	maxStreams = 10_000 // on one connection from another gateway
	// maxHeaderBytes bounds a header section from another gateway. It is above whatever an agent's 64 KiB, or a node's
	// 256 KiB, can come to: HTTP/2 counts 32 bytes more for each field, and one that is refused here would look to the
	// gateway that sends it like a broken link.
	maxHeaderBytes = 1 << 20
	forwardIdle    = 5 * time.Minute
)

// Lanes is how many connections carry requests to one gateway, in turn. When a region is lost, everything goes
// at once to connections that were nearly idle, and what is more than the first window of one of them
// (10 segments, RFC 6928) waits there for another round trip.
const Lanes = 4

// handed is a listener for connections that were accepted elsewhere, and whose handshake is done.
type handed struct {
	conns chan net.Conn
	trust sync.Map // of the connections that are open, by connection
	ended chan struct{}
	once  sync.Once
}

func newHanded() *handed { return &handed{conns: make(chan net.Conn), ended: make(chan struct{})} }

// hand gives a connection to whoever accepts next.
func (h *handed) hand(c *tls.Conn, t *trust) {
	h.trust.Store(net.Conn(c), t)
	select {
	case h.conns <- c:
	case <-h.ended:
		h.trust.Delete(net.Conn(c))
		_ = c.Close()
	}
}

// Accept implements net.Listener.
func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.ended:
		return nil, net.ErrClosed
	}
}

func (h *handed) close() { h.once.Do(func() { close(h.ended) }) }

// Close implements net.Listener.
func (h *handed) Close() error { h.close(); return nil }

// Addr implements net.Listener.
func (h *handed) Addr() net.Addr { return &net.TCPAddr{} }

type trustKey struct{}

// From returns the gateway that passed a request on; false for a request that none has.
func From(ctx context.Context) (Identity, bool) {
	t, ok := ctx.Value(trustKey{}).(*trust)
	if !ok {
		return Identity{}, false
	}
	return t.identity, true
}

// forwardServer serves HTTP/2 on connections whose handshake is done.
func (p *Peers) forwardServer() *http.Server {
	s := &http.Server{
		Handler:           http.HandlerFunc(p.forwarded),
		ReadHeaderTimeout: handshake,
		IdleTimeout:       forwardIdle,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         new(http.Protocols),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := p.conns.trust.Load(c); ok {
				return context.WithValue(ctx, trustKey{}, t)
			}
			return ctx
		},
		ConnState: func(c net.Conn, s http.ConnState) {
			if s == http.StateClosed || s == http.StateHijacked {
				p.conns.trust.Delete(c)
			}
		},
		ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	s.Protocols.SetHTTP2(true)
	return s
}

// forwarded serves a request as long as its gateway is to be believed.
func (p *Peers) forwarded(w http.ResponseWriter, r *http.Request) {
	t, ok := r.Context().Value(trustKey{}).(*trust)
	if !ok {
		http.Error(w, "no gateway", http.StatusForbidden)
		return
	}
	if err := t.check(time.Now()); err != nil {
		p.refused.Add(1)
		http.Error(w, "certificate is not good any more", http.StatusForbidden)
		return
	}
	p.cfg.Forward.ServeHTTP(w, r)
}

// newTransport carries requests to the remote over HTTP/2, as long as it is that gateway; "" may be any.
func (r *remote) newTransport(gateway string) *http.Transport {
	t := &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, r.patience())
			defer cancel()
			c, _, err := r.connect(ctx, gateway, protocolForward)
			if err != nil {
				return nil, err
			}
			return c, nil
		},
		Protocols:              new(http.Protocols),
		DisableCompression:     true,
		MaxResponseHeaderBytes: 4 * maxHeaderBytes,
		IdleConnTimeout:        forwardIdle,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: time.Second, PingTimeout: time.Second},
	}
	t.Protocols.SetHTTP2(true)
	return t
}

// carriers are the transports to one remote, one for each lane.
type carriers struct {
	gateway string // the only one they lead to; "" for whoever is there
	shown   uint64 // generation of the credentials on their connections
	lanes   [Lanes]*http.Transport
}

func (r *remote) newCarriers(gateway string, generation uint64) *carriers {
	c := carriers{gateway: gateway, shown: generation}
	for i := range c.lanes {
		c.lanes[i] = r.newTransport(gateway)
	}
	return &c
}

func (c *carriers) closeIdle() {
	if c == nil {
		return
	}
	for _, t := range c.lanes {
		t.CloseIdleConnections()
	}
}

// carriers returns the transports kept at a place, to a gateway, whose connections show the credentials in use.
// The connections of older ones end with the requests they carry: the other side believes them only until
// their certificate ends.
func (r *remote) carriers(kept **carriers, gateway string) *carriers {
	generation := r.p.cfg.Credentials.get().generation
	r.mu.Lock()
	c, old := *kept, *kept
	if c == nil || c.shown < generation || c.gateway != gateway {
		c = r.newCarriers(gateway, generation)
		*kept = c
	}
	r.mu.Unlock()
	if c != old && old != nil {
		old.closeIdle()                         // writes: not while holding mu
		context.AfterFunc(r.ctx, old.closeIdle) // of those that are busy now
	}
	return c
}

// carrier returns the transport whose turn it is.
func (r *remote) carrier(c *carriers) *http.Transport { return c.lanes[r.turn.Add(1)%Lanes] }

// idle closes the connections that carry nothing.
func (r *remote) idle() {
	r.mu.Lock()
	forward, named := r.forward, r.named
	r.mu.Unlock()
	forward.closeIdle()
	named.closeIdle()
}

// Transport returns what carries requests to a remote; region "" is whichever is at the address. It fails with
// ErrUnknown while there is none.
func (p *Peers) Transport(region, address string) http.RoundTripper {
	return transport{p, region, address}
}

type transport struct {
	p               *Peers
	region, address string
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(q *http.Request) (*http.Response, error) {
	r := t.p.remote(t.region, t.address)
	if r == nil {
		return nil, fmt.Errorf("peer: forward: %s at %s: %w", t.region, t.address, ErrUnknown)
	}
	return r.carrier(r.carriers(&r.forward, "")).RoundTrip(q)
}

// TransportTo returns what carries requests to the gateway of that name, over whichever remote was that gateway
// when its link was last up. Nobody else gets them. It fails with ErrUnknown while there is no such remote.
func (p *Peers) TransportTo(gateway string) http.RoundTripper { return transportTo{p, gateway} }

type transportTo struct {
	p       *Peers
	gateway string
}

// RoundTrip implements http.RoundTripper.
func (t transportTo) RoundTrip(q *http.Request) (*http.Response, error) {
	r := t.p.leading(t.gateway)
	if r == nil {
		return nil, fmt.Errorf("peer: forward: gateway %s: %w", t.gateway, ErrUnknown)
	}
	return r.carrier(r.carriers(&r.named, t.gateway)).RoundTrip(q)
}
