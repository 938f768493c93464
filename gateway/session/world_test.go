package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/internal/breaker"
)

// world is a fleet's memory: who owns which session, and what is kept of it. A life that has ended loses what it owns
// to whoever is asked for it next.
type world struct {
	mu      sync.Mutex
	last    uint64
	living  map[uint64]string // life → gateway
	records map[string]*record
}

type record struct {
	service  string
	owner    uint64
	contents []byte
	deleted  bool
	versions int
}

func newWorld() *world {
	return &world{living: make(map[uint64]string), records: make(map[string]*record)}
}

// keeper is the world as one gateway sees it. It implements session.Keeper.
type keeper struct {
	w       *world
	gateway string
	life    atomic.Uint64
	lagging atomic.Pointer[mcp.Error]
	failing atomic.Pointer[error] // of changes
	undying atomic.Pointer[error] // of sessions' ends
	cutOff  atomic.Pointer[mcp.Error]
	commits atomic.Bool
	meant   func() // called when something is kept; nil: nothing
	finds   atomic.Int64
	gate    chan struct{} // finds wait for it; nil: they do not
}

func (w *world) gatewayNamed(name string) *keeper {
	k := &keeper{w: w, gateway: name}
	k.begin()
	return k
}

// begin ends the present life, if there is one, and begins another.
func (k *keeper) begin() {
	k.end()
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	k.w.last++
	k.w.living[k.w.last] = k.gateway
	k.life.Store(k.w.last)
}

// end ends the present life: it is fenced, or has left.
func (k *keeper) end() {
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	delete(k.w.living, k.life.Load())
	k.life.Store(0)
}

func (k *keeper) Life() uint64 { return k.life.Load() }

func (k *keeper) Mint() (string, uint64) {
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	id := fmt.Sprintf("q1-%s-%d", k.gateway, len(k.w.records))
	k.w.records[id] = &record{owner: k.life.Load()}
	return id, k.life.Load()
}

func (k *keeper) Changes(string) *mcp.Error { return k.lagging.Load() }

func (k *keeper) Ends(string) *mcp.Error {
	if e := k.cutOff.Load(); e != nil {
		return e
	}
	return k.lagging.Load()
}

func (k *keeper) Commits(string) bool { return k.commits.Load() }

func (k *keeper) Keep(_ context.Context, service, id string, contents []byte, how session.How) error {
	if e := k.failing.Load(); e != nil && how != session.Aside {
		return *e
	}
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	r := k.w.records[id]
	if r == nil || r.deleted || r.owner != k.life.Load() {
		return fmt.Errorf("keep: %w", session.ErrTaken)
	}
	r.service, r.contents = service, contents
	r.versions++
	if k.meant != nil && how == session.Change {
		k.meant()
	}
	return nil
}

func (k *keeper) Drop(_ context.Context, _, id string, _ session.How) error {
	if e := k.undying.Load(); e != nil {
		return *e
	}
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	r := k.w.records[id]
	if r == nil || r.owner != k.life.Load() {
		return errors.New("drop: not the owner")
	}
	r.deleted, r.contents = true, nil
	return nil
}

func (k *keeper) Find(ctx context.Context, service, id string) (session.Found, error) {
	k.finds.Add(1)
	if k.gate != nil {
		select {
		case <-k.gate:
		case <-ctx.Done():
			return session.Found{}, ctx.Err()
		}
	}
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	r := k.w.records[id]
	switch {
	case r == nil, r.deleted, r.service != service:
		return session.Found{Where: session.Unknown}, nil
	case k.life.Load() == 0:
		return session.Found{Where: session.Nowhere, Why: mcp.NoAuthority(mcp.ReasonMinority, 0)}, nil
	case r.owner != k.life.Load() && k.w.living[r.owner] != "":
		return session.Found{Where: session.There, Gateway: k.w.living[r.owner]}, nil
	}
	r.owner = k.life.Load()
	return session.Found{Where: session.Here, Contents: r.contents, Life: r.owner}, nil
}

// kept returns what is kept of a session.
func (w *world) kept(id string) (contents string, deleted bool, versions int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.records[id]
	return string(r.contents), r.deleted, r.versions
}

// give makes nobody the owner of a session, as a release does.
func (w *world) give(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records[id].owner = 0
}

// fleet is some gateways in front of the same nodes, behind one address.
type fleet struct {
	*bed // the gateway that the address leads to
	t    *testing.T
	w    *world
	beds []*bed
	keep []*keeper
	to   atomic.Int64
	at   *httptest.Server
	open atomic.Int64 // requests under way
}

func newFleet(t *testing.T, gateways int, change func(*session.Config), nodes ...http.Handler) *fleet {
	t.Helper()
	f := &fleet{t: t, w: newWorld()}
	for i := range gateways {
		k := f.w.gatewayNamed(string(rune('A' + i)))
		more := func(c *session.Config) {
			if c.Keeper = k; change != nil {
				change(c)
			}
		}
		var b *bed
		if i == 0 {
			b = newBed(t, more, nodes...)
		} else {
			b = newBed(t, more)
			for _, p := range f.beds[0].places {
				b.places = append(b.places, p.again(b.logs))
			}
		}
		f.beds, f.keep = append(f.beds, b), append(f.keep, k)
	}
	f.bed = f.beds[0]
	f.at = httptest.NewServer(f)
	f.at.Config.SetKeepAlivesEnabled(false) // or an agent may use a connection that is just being closed
	t.Cleanup(func() {
		f.at.CloseClientConnections()
		f.at.Close()
	})
	return f
}

// again is the same node as another gateway sees it.
func (p *place) again(logs *logs) *place {
	p.t.Helper()
	br, err := breaker.New(breaker.Config{})
	if err != nil {
		p.t.Fatal(err)
	}
	other := &place{t: p.t, address: p.address}
	other.node, err = upstream.New(upstream.Config{ID: p.node.ID(), URL: "http://" + p.address + "/mcp",
		Alive: other.alive, Breaker: br, Observer: other, Logger: slog.New(slog.NewTextHandler(logs, nil))})
	if err != nil {
		p.t.Fatal(err)
	}
	return other
}

func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.open.Add(1)
	defer f.open.Add(-1)
	f.beds[f.to.Load()].ServeHTTP(w, r)
}

// switchTo leads the address to another gateway, and cuts the agents' connections.
func (f *fleet) switchTo(gateway int) {
	f.to.Store(int64(gateway))
	f.bed = f.beds[gateway]
	f.at.CloseClientConnections()
}

// kill ends a gateway as the death of its process does, and leads the address to another.
func (f *fleet) kill(gateway, next int) {
	for _, p := range f.beds[gateway].places {
		p.node.Close()
	}
	f.keep[gateway].end()
	for id := range f.beds[gateway].m.Keepable() {
		f.beds[gateway].m.Yield(id)
	}
	f.switchTo(next)
}

// dial is an agent of the fleet.
func (f *fleet) dial() *wire {
	f.t.Helper()
	return dialURL(f.t, f.at.URL)
}

// agent is a go-sdk agent of the fleet.
func (f *fleet) agent() *agent {
	f.t.Helper()
	return newAgent(f.t, f.at.URL)
}
