package session_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/retry"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/internal/breaker"
	"github.com/quorate/quorate/regions"
)

// place is one node's address: a server that can be killed, started again, and replaced.
type place struct {
	t           *testing.T
	node        *upstream.Node
	address     string
	connections atomic.Int64
	hole        atomic.Bool // probes get no answer either

	mu     sync.Mutex
	server *http.Server
	done   chan struct{}
}

// start serves h at the place's address, the same after every kill.
func (p *place) start(h http.Handler) {
	p.t.Helper()
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil && strings.HasSuffix(p.address, ":0") {
		p.address = l.Addr().String()
	}
	p.server, p.done = &http.Server{Handler: h, ConnState: p.count}, make(chan struct{})
	go func(s *http.Server, done chan struct{}) {
		defer close(done)
		_ = s.Serve(l)
	}(p.server, p.done)
}

func (p *place) count(_ net.Conn, state http.ConnState) {
	if state == http.StateNew {
		p.connections.Add(1)
	}
}

// kill closes the listener and every connection, as the death of the process does.
func (p *place) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		_ = p.server.Close()
		<-p.done
		p.server = nil
	}
}

// NodeFailed implements upstream.Observer: nothing verifies nodes here.
func (p *place) NodeFailed(regions.NodeID, bool) {}

// NodeUnproven implements upstream.Observer.
func (p *place) NodeUnproven(regions.NodeID, error) {}

func (p *place) alive(ctx context.Context) error {
	if p.hole.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return err
	}
	return c.Close()
}

// bed is a gateway's session layer in front of some places, on real sockets.
type bed struct {
	t      *testing.T
	places []*place
	m      *session.Manager
	front  *httptest.Server
	class  mcp.RetryClass // of batches
	turn   atomic.Int64   // which node is picked first
	permit upstream.Permit

	migrated, lost, retried, unknown atomic.Int64
	logs                             *logs
}

// logs keeps what was logged, to look for secrets in it.
type logs struct {
	mu   sync.Mutex
	text []byte
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	return len(b), nil
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

func newBed(t *testing.T, change func(*session.Config), handlers ...http.Handler) *bed {
	t.Helper()
	b := &bed{t: t, logs: &logs{}}
	log := slog.New(slog.NewTextHandler(b.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for i, h := range handlers {
		b.places = append(b.places, newPlace(t, regions.NodeID('a'+rune(i)), h, log, nil))
	}
	budget, err := retry.NewBudget(0.2, 20)
	if err != nil {
		t.Fatal(err)
	}
	count := func(n *atomic.Int64) func() { return func() { n.Add(1) } }
	cfg := session.Config{Service: "test", Budget: budget, Logger: log,
		Current: func() session.Pool { return b },
		Hooks: session.Hooks{Migrated: count(&b.migrated), Lost: count(&b.lost),
			Retried: count(&b.retried), Unknown: count(&b.unknown)}}
	if change != nil {
		change(&cfg)
	}
	if b.m, err = session.New(cfg); err != nil {
		t.Fatal(err)
	}
	b.front = httptest.NewServer(b)
	t.Cleanup(b.close)
	return b
}

func newPlace(t *testing.T, id regions.NodeID, h http.Handler, log *slog.Logger, link http.RoundTripper) *place {
	t.Helper()
	p := &place{t: t, address: "127.0.0.1:0"}
	p.start(h)
	br, err := breaker.New(breaker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p.node, err = upstream.New(upstream.Config{ID: id, URL: "http://" + p.address + "/mcp",
		Alive: p.alive, Breaker: br, Observer: p, Logger: log, Link: link})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (b *bed) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = b.m.Close(ctx)
	b.front.CloseClientConnections()
	b.front.Close()
	for _, p := range b.places {
		p.node.Close()
		p.kill()
	}
	http.DefaultClient.CloseIdleConnections()
}

// Pick implements session.Pool: in turn, the living first.
func (b *bed) Pick(exclude func(regions.NodeID) bool) (session.Node, bool) {
	first := int(b.turn.Load())
	for _, dead := range []bool{false, true} {
		for i := range b.places {
			p := b.places[(first+i)%len(b.places)]
			if !exclude(p.node.ID()) && p.node.Dead() == dead {
				return p.node, true
			}
		}
	}
	return nil, false
}

// Lookup implements session.Pool.
func (b *bed) Stays(id regions.NodeID, _ uint64) bool {
	_, ok := b.Lookup(id)
	return ok
}

func (b *bed) Lookup(id regions.NodeID) (session.Node, bool) {
	for _, p := range b.places {
		if p.node.ID() == id {
			return p.node, true
		}
	}
	return nil, false
}

// ServeHTTP does what the gateway does in front of the sessions.
func (b *bed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		b.located(w, r, func() bool { return b.m.ServeStream(w, r, b, r.Header) })
		return
	case http.MethodDelete:
		b.located(w, r, func() bool { return b.m.ServeDelete(w, r, b, r.Header) })
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if r.Header.Get(mcp.HeaderAdopt) != "" {
		b.m.ServeAdoption(w, r, session.Call{Body: body, Pool: b, Header: r.Header})
		return
	}
	env, err := mcp.Scan(body)
	if err != nil {
		mcp.WriteError(w, mcp.ScanError(err), nil)
		return
	}
	in := session.Call{Envelope: env, Body: body, Pool: b, Header: r.Header, Class: class(&env)}
	if env.Kind == mcp.KindBatch {
		in.Class = b.class
	}
	if env.Method == mcp.MethodInitialize {
		b.m.ServeInitialize(w, r, in)
		return
	}
	in.Permit = b.permit
	b.located(w, r, func() bool { return b.m.Serve(w, r, in) })
	clear(body) // the gateway uses bodies again
}

// located serves a request here, or says where its session is.
func (b *bed) located(w http.ResponseWriter, r *http.Request, serve func() bool) {
	for !serve() {
		switch f := b.m.Locate(r.Context(), r.Header.Get("Mcp-Session-Id"), r.Header); f.Where {
		case session.Here:
		case session.Unknown:
			session.NotFound(w)
			return
		case session.There:
			http.Error(w, "at "+f.Gateway, http.StatusMisdirectedRequest)
			return
		default:
			mcp.WriteError(w, f.Why, nil)
			return
		}
	}
}

// class takes tools named once* as having effects, and all others as reading.
func class(env *mcp.Envelope) mcp.RetryClass {
	return mcp.ClassOf(env.Method, mcp.ToolHints{Known: true, ReadOnly: len(env.Name) < 4 || env.Name[:4] != "once"})
}

func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
