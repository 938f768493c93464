package session_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/session"
)

// lost is what server-everything answers to a session it does not know.
func lost(w http.ResponseWriter, id []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":` + string(id) + `,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}`))
}

func TestUnknownSessionMovesWhateverItIsCalled(t *testing.T) {
	for name, stranger := range map[string]func(http.ResponseWriter, []byte){"404": nil, "400 -32000": lost} {
		for _, tool := range []string{"read", "once"} { // neither can have run
			t.Run(name+"/"+tool, func(t *testing.T) {
				s := &script{stranger: stranger}
				b := newBed(t, nil, s)
				w := dial(t, b)
				id := w.id
				s.forget() // restarted
				if resp, body := w.call(1, tool); resp.StatusCode != 200 || !strings.Contains(body, `"id":1,"result"`) {
					t.Fatalf("%s: %s", resp.Status, body)
				}
				if s.initializes() != 2 || b.migrated.Load() != 1 || w.id != id {
					t.Fatalf("%d initializes, %d moves", s.initializes(), b.migrated.Load())
				}
			})
		}
	}
}

func TestOtherRefusalsDoNotCostTheSession(t *testing.T) {
	refuse := func(status int, body string) func(http.ResponseWriter, *http.Request, string) {
		return func(w http.ResponseWriter, _ *http.Request, id string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(strings.ReplaceAll(body, "ID", id)))
		}
	}
	for _, c := range []struct {
		status int
		body   string
	}{
		{400, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: Unsupported protocol version"}}`},
		{404, `{"jsonrpc":"2.0","id":ID,"error":{"code":-32601,"message":"no such method"}}`},
		{503, "busy"},
		{500, "broken"},
		{401, "who are you"},
	} {
		s := &script{}
		s.on = map[string]func(http.ResponseWriter, *http.Request, string){"tools/call": refuse(c.status, c.body)}
		b := newBed(t, nil, s, &script{})
		w := dial(t, b)
		resp, body := w.call(7, "read")
		if want := strings.ReplaceAll(c.body, "ID", "7"); resp.StatusCode != c.status || body != want {
			t.Errorf("%d: got %s %q", c.status, resp.Status, body)
		}
		if s.initializes() != 1 || b.migrated.Load() != 0 {
			t.Errorf("%d: the session moved", c.status)
		}
	}
}

func TestHonestLossBeforeAnyByte(t *testing.T) {
	a, other := &script{}, &script{capabilities: `{"tools":{}}`}
	b := newBed(t, nil, a, other)
	w := dial(t, b)
	b.places[0].kill()
	for range 2 {
		resp, body := w.call(1, "read")
		if resp.StatusCode != http.StatusNotFound || strings.Contains(body, "{") {
			t.Fatalf("%s: %q", resp.Status, body)
		}
	}
	if b.lost.Load() != 1 || b.m.Count() != 0 {
		t.Fatalf("lost %d, sessions %d", b.lost.Load(), b.m.Count())
	}
	for deadline := time.Now().Add(5 * time.Second); other.left() != 0; {
		if time.Now().After(deadline) {
			t.Fatal("a session was left behind on the node that did not fit")
		}
		soon(t, time.After(time.Millisecond))
	}
}

func TestHonestLossInAnOpenStream(t *testing.T) {
	for tool, code := range map[string]string{"read": "-32072", "once": "-32070"} {
		s, ticks := ticking()
		b := newBed(t, nil, s, &script{capabilities: `{}`})
		w := dial(t, b)
		opened := make(chan *http.Response, 1)
		go func() { opened <- w.do(http.MethodPost, callOf(7, tool), "") }()
		ticks <- "one"
		resp := soon(t, opened)
		close(ticks)
		b.places[0].kill()
		if _, body := w.whole(resp); !strings.Contains(body, `"id":7,"error":{"code":`+code) {
			t.Errorf("%s: %s", tool, body)
		}
		if resp, _ := w.call(2, "read"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: afterwards %s", tool, resp.Status)
		}
	}
}

func TestNoNodeKeepsTheSession(t *testing.T) {
	s := &script{}
	b := newBed(t, nil, s)
	w := dial(t, b)
	b.places[0].kill()
	resp, body := w.call(1, "read")
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"id":1,"error":{"code":-32072`) {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	s.forget()
	b.places[0].start(s)
	if resp, body := w.call(2, "read"); resp.StatusCode != 200 || !strings.Contains(body, `"id":2,"result"`) {
		t.Fatalf("%s: %s", resp.Status, body)
	}
}

func TestCredentialsOfTheLatestRequestMoveAlong(t *testing.T) {
	a, other := &script{}, &script{}
	b := newBed(t, nil, a, other)
	w := dial(t, b)
	w.auth = "Bearer second-secret"
	w.call(1, "read")
	b.places[0].kill()
	w.auth = "Bearer third-secret"
	w.call(2, "read")
	want := []string{"POST initialize Bearer third-secret", "POST notifications/initialized Bearer third-secret", "POST tools/call Bearer third-secret"}
	if got := other.seen(); !slices.Equal(got, want) {
		t.Errorf("the new node saw %q", got)
	}
	for _, secret := range []string{"-secret", w.id, "upstream-"} {
		if strings.Contains(b.logs.String(), secret) {
			t.Errorf("%q was logged", secret)
		}
	}
}

func TestRefusedCredentialsReachTheAgent(t *testing.T) {
	a := &script{}
	strict := &script{}
	guard := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer renewed" {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		strict.ServeHTTP(w, r)
	})
	b := newBed(t, nil, a, guard)
	w := dial(t, b)
	b.places[0].kill()
	resp, _ := w.call(1, "read")
	if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") == "" {
		t.Fatalf("%s, %v", resp.Status, resp.Header)
	}
	w.auth = "Bearer renewed"
	if resp, body := w.call(2, "read"); resp.StatusCode != 200 {
		t.Fatalf("%s: %s", resp.Status, body)
	}
}

func TestDeletedSessionStaysDeleted(t *testing.T) {
	s := &script{}
	b := newBed(t, nil, s)
	w := dial(t, b)
	resp, _ := w.whole(w.do(http.MethodDelete, "", ""))
	if resp.StatusCode != http.StatusNoContent || s.left() != 0 {
		t.Fatalf("%s, %d sessions at the node", resp.Status, s.left())
	}
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		resp, body := w.whole(w.do(method, callOf(1, "read"), ""))
		if resp.StatusCode != http.StatusNotFound || strings.HasPrefix(body, "{") {
			t.Errorf("%s after DELETE: %s %q", method, resp.Status, body)
		}
	}
	if s.initializes() != 1 || b.m.Count() != 0 {
		t.Errorf("%d initializes, %d sessions", s.initializes(), b.m.Count())
	}
}

func TestNodeThatForbidsDeleteKeepsTheSession(t *testing.T) {
	s := &script{}
	forbid := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		s.ServeHTTP(w, r)
	})
	w := dial(t, newBed(t, nil, forbid))
	if resp, _ := w.whole(w.do(http.MethodDelete, "", "")); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Fatalf("%s", resp.Status)
	}
	if resp, _ := w.call(1, "read"); resp.StatusCode != 200 {
		t.Fatalf("afterwards: %s", resp.Status)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	b := newBed(t, func(c *session.Config) { c.MaxSessions = 1 }, &script{})
	w := dial(t, b)
	id := w.id
	w.id = ""
	resp, body := w.post(`{"jsonrpc":"2.0","id":9,"method":"initialize","params":{}}`)
	if resp.StatusCode != 503 || !strings.Contains(body, `"id":9,"error":{"code":-32073`) || resp.Header.Get("Retry-After") == "" {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	w.id = id
	w.whole(w.do(http.MethodDelete, "", ""))
	dial(t, b)
}

func TestStatelessNodeIsPassedThrough(t *testing.T) {
	stateless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-03-26","capabilities":{}}}`))
	})
	b := newBed(t, nil, stateless)
	w := &wire{t: t, url: b.front.URL, client: b.front.Client()}
	resp, body := w.post(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}`)
	if resp.StatusCode != 200 || resp.Header.Get("Mcp-Session-Id") != "" || !strings.Contains(body, "result") || b.m.Count() != 0 {
		t.Fatalf("%s %v %s, %d sessions", resp.Status, resp.Header, body, b.m.Count())
	}
}

func TestInitializeTriesTheNextNode(t *testing.T) {
	b := newBed(t, nil, &script{}, &script{})
	b.places[0].kill()
	dial(t, b)
}
