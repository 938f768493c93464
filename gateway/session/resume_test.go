package session_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
)

// ticking is a script whose call sends an event for everything that is put into its channel; "" ends
// it with the answer, "cut" without.
func ticking() (*script, chan string) {
	ticks := make(chan string)
	s := &script{}
	s.on = map[string]func(http.ResponseWriter, *http.Request, string){
		"tools/call": func(w http.ResponseWriter, _ *http.Request, id string) {
			for tick := range ticks {
				switch tick {
				case "":
					s.answer(w, id, `{"content":[]}`)
					return
				case "cut":
					return
				}
				s.events(w, "event: message\ndata: "+notice(tick)+"\n\n")
			}
		},
	}
	return s, ticks
}

func notice(text string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":%q}}`, text)
}

func wantEvent(t *testing.T, ev mcp.Event, text string) {
	t.Helper()
	if !strings.Contains(string(ev.Data), text) {
		t.Fatalf("got event %q, want one with %q", ev.Data, text)
	}
}

func TestAgentComesBackForWhatItMissed(t *testing.T) {
	s, ticks := ticking()
	w := dial(t, newBed(t, nil, s))
	answered := make(chan *http.Response, 1)
	go func() { answered <- w.do(http.MethodPost, callOf(1, "read"), "") }()
	ticks <- "one"
	resp := soon(t, answered)
	first := next(t, mcp.NewEventReader(resp.Body, 1<<20))
	wantEvent(t, first, "one")
	resp.Body.Close() // the agent's connection is gone; the call is not
	ticks <- "two"
	ticks <- "three"

	back := w.do(http.MethodGet, "", first.ID)
	defer back.Body.Close()
	if back.StatusCode != 200 || back.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s %v", back.Status, back.Header)
	}
	events := mcp.NewEventReader(back.Body, 1<<20)
	two := next(t, events)
	wantEvent(t, two, "two")
	wantEvent(t, next(t, events), "three")
	ticks <- "four" // the pump is still running
	wantEvent(t, next(t, events), "four")
	ticks <- ""
	last := next(t, events)
	wantEvent(t, last, `"id":1,"result"`)
	if _, err := events.Next(); err == nil {
		t.Fatal("the stream goes on behind the answer")
	}
	// Even the end of a finished stream can be asked for again.
	_, body := w.whole(w.do(http.MethodGet, "", two.ID))
	for _, text := range []string{"three", "four", `"result"`} {
		if !strings.Contains(body, text) {
			t.Errorf("%q is missing in %q", text, body)
		}
	}
	if _, body := w.whole(w.do(http.MethodGet, "", last.ID)); body != "" {
		t.Errorf("behind the last event: %q", body)
	}
}

func TestEventIDsAreUniqueInASession(t *testing.T) {
	n := newNode(t, "a", nil)
	w := dial(t, newBed(t, nil, n.handler))
	seen := make(map[string]bool)
	for i := range 5 {
		resp := w.do(http.MethodPost, callOf(i, "log"), "")
		events := mcp.NewEventReader(resp.Body, 1<<20)
		for {
			ev, err := events.Next()
			if err != nil {
				break
			}
			if ev.ID == "" || seen[ev.ID] {
				t.Errorf("event id %q", ev.ID)
			}
			seen[ev.ID] = true
		}
		resp.Body.Close()
	}
	if len(seen) < 5 {
		t.Fatalf("%d events", len(seen))
	}
}

func TestLastEventIDThatCannotBeHonoured(t *testing.T) {
	s, ticks := ticking()
	b := newBed(t, func(c *session.Config) { c.BufferEvents = 2 }, s)
	w := dial(t, b)
	other := dial(t, b)
	answered := make(chan *http.Response, 1)
	go func() { answered <- w.do(http.MethodPost, callOf(1, "read"), "") }()
	ticks <- "one"
	resp := soon(t, answered)
	first := next(t, mcp.NewEventReader(resp.Body, 1<<20))
	resp.Body.Close()
	for _, tick := range []string{"two", "three", "four", ""} {
		ticks <- tick
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		resp, _ := w.whole(w.do(http.MethodGet, "", first.ID)) // the pump may still be at it
		if resp.StatusCode == http.StatusBadRequest {
			break
		}
	}
	parts := strings.Split(first.ID, "-")
	for what, id := range map[string]string{
		"foreign": "stream-1_7", "nonsense": "x", "evicted": first.ID,
		"future": parts[0] + "-" + parts[1] + "-999", "no such stream": parts[0] + "-77-0",
	} {
		began := time.Now()
		resp, _ := w.whole(w.do(http.MethodGet, "", id))
		if resp.StatusCode != http.StatusBadRequest || time.Since(began) > time.Second {
			t.Errorf("%s: %s after %v", what, resp.Status, time.Since(began))
		}
	}
	if resp, _ := other.whole(other.do(http.MethodGet, "", first.ID)); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("another session's event id: %s", resp.Status)
	}
}

// TestPolling runs against a go-sdk server that keeps its events and closes the stream in mid-call.
func TestPolling(t *testing.T) {
	n := newNode(t, "a", &sdk.StreamableHTTPOptions{EventStore: sdk.NewMemoryEventStore(nil)})
	proceed := make(chan struct{})
	sdk.AddTool(n.server, &sdk.Tool{Name: "poll"}, func(ctx context.Context, r *sdk.CallToolRequest, _ any) (*sdk.CallToolResult, any, error) {
		r.Extra.CloseSSEStream(sdk.CloseSSEStreamArgs{RetryAfter: 10 * time.Millisecond})
		<-proceed
		return text("polled"), nil, nil
	})
	b := newBed(t, nil, n.handler)
	w := dial2025(t, b)
	resp := w.do(http.MethodPost, `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"poll","arguments":{}}}`, "")
	_, body := w.whole(resp)
	prime := next(t, mcp.NewEventReader(strings.NewReader(body), 1<<20))
	if prime.ID == "" || len(prime.Data) != 0 || !strings.Contains(body, "retry: 10") || strings.Contains(body, "result") {
		t.Fatalf("got %q", body)
	}
	close(proceed)
	_, body = w.whole(w.do(http.MethodGet, "", prime.ID))
	if !strings.Contains(body, `"polled"`) || !strings.Contains(body, `"id":5`) {
		t.Fatalf("resumed: %q", body)
	}
	if n := strings.Count(b.logs.String(), "session leaves"); n != 0 {
		t.Fatalf("%d moves", n)
	}
}

func dial2025(t *testing.T, b *bed) *wire {
	t.Helper()
	w := &wire{t: t, url: b.front.URL, client: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(w.client.CloseIdleConnections)
	resp, _ := w.post(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"w","version":"1"}}}`)
	w.id = resp.Header.Get("Mcp-Session-Id")
	w.version = "2025-11-25"
	w.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return w
}

// TestPollingAcrossADeadNode: the node that closed the stream dies before the agent comes back.
func TestPollingAcrossADeadNode(t *testing.T) {
	s, ticks := ticking()
	other := &script{}
	b := newBed(t, nil, s, other)
	w := dial(t, b)
	for tool, want := range map[string]string{"read": `"id":1,"result"`, "once": `"id":1,"error":{"code":-32070`} {
		s.on["tools/call"] = func(w http.ResponseWriter, _ *http.Request, id string) {
			s.events(w, "id: up-1\ndata:\n\nretry: 5\n\n")
		}
		_, body := w.whole(w.do(http.MethodPost, callOf(1, tool), ""))
		prime := next(t, mcp.NewEventReader(strings.NewReader(body), 1<<20))
		if prime.ID == "" || prime.ID == "up-1" {
			t.Fatalf("priming event %q", prime.ID)
		}
		b.places[0].kill()
		if _, body := w.whole(w.do(http.MethodGet, "", prime.ID)); !strings.Contains(body, want) {
			t.Errorf("%s: %q", tool, body)
		}
		b = newBed(t, nil, s, other)
		w = dial(t, b)
	}
	close(ticks)
}

func TestStreamThatEndsWithoutAnswer(t *testing.T) {
	s, ticks := ticking()
	b := newBed(t, nil, s)
	w := dial(t, b)
	for tool, want := range map[string]string{"read": `"id":1,"result"`, "once": `"id":1,"error":{"code":-32070`} {
		go func() {
			ticks <- "one"
			ticks <- "cut"
			if tool == "read" {
				ticks <- "" // of the second attempt
			}
		}()
		_, body := w.call(1, tool)
		if !strings.Contains(body, want) || strings.Count(body, `"id":1`) != 1 {
			t.Errorf("%s: %q", tool, body)
		}
	}
	if b.migrated.Load() != 0 {
		t.Error("the session moved off a node that still has it")
	}
	close(ticks)
}

func TestNewestReaderWins(t *testing.T) {
	got := make(chan http.ResponseWriter, 4)
	s := &script{}
	release := make(chan struct{})
	s.get = func(w http.ResponseWriter, r *http.Request) {
		s.events(w, ": hello\n\n")
		got <- w
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}
	w := dial(t, newBed(t, nil, s))
	old := w.do(http.MethodGet, "", "")
	up := soon(t, got)
	young := w.do(http.MethodGet, "", "")
	if _, body := w.whole(old); strings.Contains(body, "data") {
		t.Errorf("the old reader got %q", body)
	}
	s.events(up, "data: "+notice("hi")+"\n\n")
	wantEvent(t, next(t, mcp.NewEventReader(young.Body, 1<<20)), "hi")
	young.Body.Close()
	if len(got) != 0 {
		t.Error("the node was asked for a second stream")
	}
	close(release)
}

// TestStreamThatTheNodeHasYet: a node that has not noticed yet that the session's other gateway is gone refuses a second
// standalone stream. Its agent is not told: it gets its stream, and what comes once the node has noticed.
func TestStreamThatTheNodeHasYet(t *testing.T) {
	var asked atomic.Int64
	s := &script{}
	s.get = func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= 3 {
			http.Error(w, "there is a stream", http.StatusConflict)
			return
		}
		s.events(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n")
		<-r.Context().Done()
	}
	w := dial(t, newBed(t, nil, s))
	resp := w.do(http.MethodGet, "", "")
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	if ev := next(t, mcp.NewEventReader(resp.Body, 1<<20)); !strings.Contains(string(ev.Raw), "list_changed") {
		t.Errorf("event %q", ev.Raw)
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("the node was asked %d times", n)
	}
}
