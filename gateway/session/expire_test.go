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
