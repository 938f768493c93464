package session

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/retry"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/regions"
)

// memoryNode is a node without a socket, for tests of time.
type memoryNode struct {
	deleted atomic.Int64
	down    chan struct{}
}

func (n *memoryNode) ID() regions.NodeID    { return "m" }
func (n *memoryNode) Down() <-chan struct{} { return n.down }
func (n *memoryNode) Pick(exclude func(regions.NodeID) bool) (Node, bool) {
	return n, !exclude("m")
}
func (n *memoryNode) Stays(regions.NodeID, uint64) bool  { return true }
func (n *memoryNode) Lookup(regions.NodeID) (Node, bool) { return n, true }

func (n *memoryNode) Do(_ context.Context, r *upstream.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	rec.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodDelete {
		n.deleted.Add(1)
	}
	if bytes.Contains(r.Body, []byte(mcp.MethodInitialize)) {
		rec.Header().Set("Mcp-Session-Id", "node's own")
	}
	_, _ = io.WriteString(rec, `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{}}}`)
	return rec.Result(), nil
}

func memoryManager(t *testing.T, n *memoryNode) *Manager {
	t.Helper()
	budget, err := retry.NewBudget(0.2, 3)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(Config{Budget: budget, Logger: slog.New(slog.DiscardHandler), Current: func() Pool { return n }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

func request(t *testing.T, m *Manager, n *memoryNode, id, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if id != "" {
		r.Header.Set("Mcp-Session-Id", id)
	}
	env, err := mcp.Scan([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	in := Call{Envelope: env, Body: []byte(body), Class: mcp.Hedge, Pool: n, Header: r.Header}
	if id == "" {
		m.ServeInitialize(rec, r, in)
	} else {
		m.Serve(rec, r, in)
	}
	return rec
}

const (
	opens = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`
	pings = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
)

func TestIdleSessionsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memoryNode{down: make(chan struct{})}
		m := memoryManager(t, n)
		id := request(t, m, n, "", opens).Header().Get("Mcp-Session-Id")
		idle := request(t, m, n, "", opens).Header().Get("Mcp-Session-Id")
		for range 3 { // one of them stays in use
			time.Sleep(25 * time.Minute)
			if rec := request(t, m, n, id, pings); rec.Code != http.StatusOK {
				t.Fatalf("status %d after %d bytes", rec.Code, rec.Body.Len())
			}
		}
		synctest.Wait()
		if rec := request(t, m, n, idle, pings); rec.Code != http.StatusNotFound {
			t.Errorf("the idle session answers %d", rec.Code)
		}
		if m.Count() != 1 || n.deleted.Load() != 1 {
			t.Errorf("%d sessions, %d deleted at the node", m.Count(), n.deleted.Load())
		}
		time.Sleep(36 * time.Minute)
		synctest.Wait()
		if m.Count() != 0 {
			t.Errorf("%d sessions", m.Count())
		}
	})
}

// jumped is the moment now as it is read after somebody has set the wall clock: package time keeps whole seconds of it
// above thirty bits of nanoseconds, beside the reading of the clock that nobody sets.
func jumped(t *testing.T, now time.Time, by time.Duration) time.Time {
	t.Helper()
	then := now
	*(*uint64)(unsafe.Pointer(&then)) += uint64(by/time.Second) << 30
	if then.Sub(now) != 0 || then.Round(0).Sub(now.Round(0)) != by {
		t.Fatal("package time keeps moments in another form by now")
	}
	return then
}

// Agents have been away as long as they have, whatever the wall clock is set to.
func TestWallClockExpiresNobody(t *testing.T) {
	n := &memoryNode{down: make(chan struct{})}
	m := memoryManager(t, n)
	id := request(t, m, n, "", opens).Header().Get("Mcp-Session-Id")
	m.expire(jumped(t, time.Now(), 25*time.Hour))
	if rec := request(t, m, n, id, pings); rec.Code != http.StatusOK {
		t.Errorf("a day ahead: %d", rec.Code)
	}
	m.expire(jumped(t, time.Now().Add(31*time.Minute), -25*time.Hour))
	if m.Count() != 0 {
		t.Error("a day behind: an idle session stays")
	}
}

// hangingNode does not answer calls of tools.
type hangingNode struct {
	*memoryNode
	began chan struct{}
}

func (n hangingNode) Pick(exclude func(regions.NodeID) bool) (Node, bool) { return n, !exclude("m") }
func (n hangingNode) Lookup(regions.NodeID) (Node, bool)                  { return n, true }

func (n hangingNode) Do(ctx context.Context, r *upstream.Request) (*http.Response, error) {
	if !bytes.Contains(r.Body, []byte(mcp.MethodToolsCall)) {
		return n.memoryNode.Do(ctx, r)
	}
	n.began <- struct{}{}
	<-ctx.Done()
	return nil, &upstream.Error{Progress: upstream.Sent, Failure: upstream.Canceled, Err: ctx.Err()}
}

// An operator ends a session over a call: one that may have run, and must not run twice, is told so. To the agent the
// session alone would look as if nothing had been done.
func TestSessionEndedOverACall(t *testing.T) {
	for class, want := range map[mcp.RetryClass]string{mcp.Once: `"code":-32070`, mcp.Hedge: "session not found"} {
		n := hangingNode{&memoryNode{down: make(chan struct{})}, make(chan struct{})}
		budget, err := retry.NewBudget(0.2, 3)
		if err != nil {
			t.Fatal(err)
		}
		m, err := New(Config{Budget: budget, Logger: slog.New(slog.DiscardHandler), Current: func() Pool { return n }})
		if err != nil {
			t.Fatal(err)
		}
		send := func(id, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
			r.Header.Set("Mcp-Session-Id", id)
			env, err := mcp.Scan([]byte(body))
			if err != nil {
				t.Error(err)
			}
			rec := httptest.NewRecorder()
			in := Call{Envelope: env, Body: []byte(body), Class: class, Pool: n, Header: r.Header}
			if id == "" {
				m.ServeInitialize(rec, r, in)
			} else {
				m.Serve(rec, r, in)
			}
			return rec
		}
		id := send("", opens).Header().Get("Mcp-Session-Id")
		answered := make(chan string)
		go func() {
			answered <- send(id, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"charge"}}`).Body.String()
		}()
		<-n.began
		m.End(id)
		if got := <-answered; !strings.Contains(got, want) {
			t.Errorf("%s: %s", class, got)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A Last-Event-ID from anywhere else is refused, and takes the open stream from nobody.
func TestForeignEventIDLeavesTheStreamAlone(t *testing.T) {
	n := &memoryNode{down: make(chan struct{})}
	m := memoryManager(t, n)
	id := request(t, m, n, "", opens).Header().Get("Mcp-Session-Id")
	v, _ := m.sessions.Load(id)
	s := v.(*session)
	st := s.streams.listen()
	if err := st.message(t.Context(), []byte(`{"n":1}`)); err != nil {
		t.Fatal(err)
	}
	rd := st.attachEnd()
	for _, foreign := range []string{"somebody-else-1", s.hash + "-0-x", "-"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header.Set("Mcp-Session-Id", id)
		r.Header.Set("Last-Event-Id", foreign)
		rec := httptest.NewRecorder()
		m.ServeStream(rec, r, n, r.Header)
		if rec.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", foreign, rec.Code)
		}
		if err := st.message(t.Context(), []byte(`{"n":2}`)); err != nil {
			t.Fatal(err)
		}
		if _, at := st.take(rd); at != ready {
			t.Fatalf("after %s the reader before it is put off", foreign)
		}
	}
}

func TestMoveWithoutCredentialsWaitsForTheNextRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memoryNode{down: make(chan struct{})}
		m := memoryManager(t, n)
		id := request(t, m, n, "", opens).Header().Get("Mcp-Session-Id")
		v, _ := m.sessions.Load(id)
		s := v.(*session)
		first := s.where()
		s.agent.Store(nil)
		s.lose(first, "test")
		if _, err := s.settled(n); err == nil {
			t.Fatal("moved in nobody's name")
		}
		if rec := request(t, m, n, id, pings); rec.Code != http.StatusOK || s.where() == first {
			t.Fatalf("status %d", rec.Code)
		}
	})
}

func TestCloseRefusesAndWaits(t *testing.T) {
	n := &memoryNode{down: make(chan struct{})}
	m := memoryManager(t, n)
	id := request(t, m, n, "", opens).Header().Get("Mcp-Session-Id")
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n.deleted.Load() != 1 || m.Count() != 0 {
		t.Errorf("%d deleted, %d sessions", n.deleted.Load(), m.Count())
	}
	if rec := request(t, m, n, "", opens); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("initialize while closed: %d", rec.Code)
	}
	if rec := request(t, m, n, id, pings); rec.Code != http.StatusNotFound {
		t.Errorf("ping while closed: %d", rec.Code)
	}
}
