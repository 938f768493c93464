package session_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// A node that reads an id and writes it again may spell it otherwise.
func TestAnswersUnderTheSameIDSpeltOtherwise(t *testing.T) {
	var runs atomic.Int64
	s := &script{}
	s.on = map[string]func(http.ResponseWriter, *http.Request, string){
		"tools/call": func(w http.ResponseWriter, _ *http.Request, _ string) {
			runs.Add(1)
			s.answer(w, `"é"`, `{}`)
		},
	}
	for _, tool := range []string{"read", "once"} {
		runs.Store(0)
		w := dial(t, newBed(t, nil, s))
		_, body := w.post(`{"jsonrpc":"2.0","id":"\u00e9","method":"tools/call","params":{"name":"` + tool + `"}}`)
		if strings.Count(body, "data:") != 1 || !strings.Contains(body, `"result"`) || runs.Load() != 1 {
			t.Errorf("%s: run %d times, answered %q", tool, runs.Load(), body)
		}
	}
}

// TestOpeningUnderTheSameIDSpeltOtherwise: the session is there.
func TestOpeningUnderTheSameIDSpeltOtherwise(t *testing.T) {
	node := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Mcp-Session-Id", "upstream")
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte("data: {\"jsonrpc\":\"2.0\",\"id\":\"é\",\"result\":{\"protocolVersion\":\"2025-03-26\",\"capabilities\":{}}}\n\n"))
	})
	b := newBed(t, nil, node)
	w := &wire{t: t, url: b.front.URL, client: b.front.Client()}
	resp, body := w.post(`{"jsonrpc":"2.0","id":"\u00e9","method":"initialize","params":{}}`)
	if resp.StatusCode != 200 || resp.Header.Get("Mcp-Session-Id") == "" || !strings.Contains(body, `"result"`) {
		t.Fatalf("%s %v: %q", resp.Status, resp.Header, body)
	}
}
