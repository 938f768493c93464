package session_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/gateway/mcp"
)

// script is a stateful node written by hand, for what go-sdk's server does not do.
type script struct {
	capabilities string
	json         bool                                   // answer in JSON
	stranger     func(w http.ResponseWriter, id []byte) // what a request of an unknown session gets; 404 by default
	on           map[string]func(w http.ResponseWriter, r *http.Request, id string)
	get          http.HandlerFunc

	mu       sync.Mutex
	sessions map[string]bool
	made     int
	requests []string // method and credentials of all, in order
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	env, _ := mcp.Scan(body)
	s.mu.Lock()
	s.requests = append(s.requests, strings.TrimSpace(r.Method+" "+env.Method+" "+r.Header.Get("Authorization")))
	known := s.sessions[r.Header.Get("Mcp-Session-Id")]
	s.mu.Unlock()
	id := env.ID.Of(body)
	switch {
	case env.Method == mcp.MethodInitialize:
		s.initialize(w, id)
	case !known && s.stranger != nil:
		s.stranger(w, id)
	case !known:
		http.Error(w, "session not found", http.StatusNotFound)
	case r.Method == http.MethodDelete:
		s.forget()
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet && s.get != nil:
		s.get(w, r)
	case r.Method == http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case id == nil || env.Kind == mcp.KindResponse:
		w.WriteHeader(http.StatusAccepted)
	case s.on[env.Method] != nil:
		s.on[env.Method](w, r, string(id))
	default:
		s.answer(w, string(id), `{}`)
	}
}

func (s *script) initialize(w http.ResponseWriter, id []byte) {
	s.mu.Lock()
	s.made++
	sid := fmt.Sprintf("upstream-%p-%d", s, s.made)
	if s.sessions == nil {
		s.sessions = make(map[string]bool)
	}
	s.sessions[sid] = true
	s.mu.Unlock()
	w.Header().Set("Mcp-Session-Id", sid)
	capabilities := s.capabilities
	if capabilities == "" {
		capabilities = `{"tools":{"listChanged":true}}`
	}
	s.answer(w, string(id), `{"protocolVersion":"2025-03-26","capabilities":`+capabilities+`,"serverInfo":{"name":"s","version":"1"}}`)
}

func (s *script) answer(w http.ResponseWriter, id, result string) {
	message := `{"jsonrpc":"2.0","id":` + id + `,"result":` + result + `}`
	if s.json {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, message)
		return
	}
	s.events(w, "event: message\ndata: "+message+"\n\n")
}

// events sends raw SSE and flushes it.
func (s *script) events(w http.ResponseWriter, raw string) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, raw)
	_ = http.NewResponseController(w).Flush()
}

func (s *script) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions = nil
}

// left returns the number of sessions that the node keeps.
func (s *script) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

func (s *script) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

func (s *script) initializes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made
}

// wire is an agent that speaks HTTP by hand.
type wire struct {
	t       *testing.T
	url     string
	id      string // session
	auth    string
	version string
	relay   string // the gateway that sends on what the agent asks
	client  *http.Client
}

func dial(t *testing.T, b *bed) *wire {
	t.Helper()
	return dialURL(t, b.front.URL)
}

func dialURL(t *testing.T, url string) *wire {
	t.Helper()
	w := &wire{t: t, url: url, auth: "Bearer first-secret", client: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(w.client.CloseIdleConnections)
	resp, _ := w.post(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"w","version":"1"}}}`)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("initialize: %s", resp.Status)
	}
	w.id = resp.Header.Get("Mcp-Session-Id")
	if resp, _ := w.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`); resp.StatusCode != http.StatusAccepted {
		t.Fatalf("initialized: %s", resp.Status)
	}
	return w
}

func (w *wire) do(method, body, lastEventID string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	set := func(name, value string) {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	set("Content-Type", "application/json")
	set("Accept", "application/json, text/event-stream")
	set("Authorization", w.auth)
	set("Mcp-Session-Id", w.id)
	set("Last-Event-ID", lastEventID)
	set("MCP-Protocol-Version", w.version)
	set(mcp.HeaderRelay, w.relay)
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp
}

// post returns the whole answer.
func (w *wire) post(body string) (*http.Response, string) {
	w.t.Helper()
	return w.whole(w.do(http.MethodPost, body, ""))
}

func (w *wire) whole(resp *http.Response) (*http.Response, string) {
	w.t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, string(b)
}

func (w *wire) call(id int, tool string) (*http.Response, string) {
	w.t.Helper()
	return w.post(callOf(id, tool))
}

func callOf(id int, tool string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q}}`, id, tool)
}

// next reads one event that is not a comment.
func next(t *testing.T, r *mcp.EventReader) mcp.Event {
	t.Helper()
	for {
		ev, err := r.Next()
		if err != nil {
			t.Fatalf("event: %v", err)
		}
		if !ev.Comment {
			ev.Data = bytes.Clone(ev.Data)
			return ev
		}
	}
}
