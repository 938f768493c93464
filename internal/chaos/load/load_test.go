package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/internal/mcpagent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Only what says that nothing ran is a refusal: what an agent cannot know is unknown.
func TestOutcome(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	read := &net.OpError{Op: "read", Err: errors.New("connection reset")}
	for _, tc := range []struct {
		err  error
		want history.Outcome
	}{
		{nil, history.OK},
		{&mcpagent.CallError{Code: -32070, Status: 200}, history.Unknown},
		{&mcpagent.CallError{Code: -32071, Status: 200}, history.Refused},
		{&mcpagent.CallError{Code: -32072, Status: 503}, history.Refused},
		{&mcpagent.CallError{Code: -32073, Status: 200}, history.Refused},
		{&mcpagent.CallError{Code: -32603, Status: 200}, history.Unknown},
		{&mcpagent.CallError{Code: 1, Status: 200}, history.Unknown},
		{&mcpagent.CallError{Status: 502}, history.Unknown},
		{&mcpagent.CallError{Status: 404, SessionLost: true}, history.Refused},
		{&mcpagent.CallError{Unsent: true, Err: read}, history.Refused},
		{&mcpagent.CallError{Err: fmt.Errorf("post: %w", dial)}, history.Refused},
		{&mcpagent.CallError{Err: fmt.Errorf("post: %w", read)}, history.Unknown},
		{&mcpagent.CallError{Err: context.DeadlineExceeded}, history.Unknown},
	} {
		if got, _ := outcome(tc.err); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.err, got, tc.want)
		}
	}
}

// Agents call until they are told to stop, no id twice, and every call is in what they return.
func TestLoad(t *testing.T) {
	var served atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Mcp-Session-Id", "s")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"content":[]}}`, id(r))
	}))
	defer srv.Close()
	began := time.Now()
	l := Start(t.Context(), Config{Agents: 1, Think: time.Millisecond, Seed: 1, Clock: func() time.Duration { return time.Since(began) },
		Places: []Place{{Gateway: "gw", URLs: []string{srv.URL}, Transport: func() http.RoundTripper { return &http.Transport{} }}}})
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for l.Wrote("gw") < 20 {
		<-tick.C
	}
	calls := l.Stop()
	seen, kinds := map[string]bool{}, map[string]int{}
	for _, c := range calls {
		if seen[c.ID] || l.Gateway(c.ID) != "gw" || c.Return < c.Invoke || c.Outcome != history.OK {
			t.Errorf("call %+v", c)
		}
		seen[c.ID] = true
		kinds[c.Kind]++
	}
	if kinds[history.Write] < 20 || kinds[history.Read] == 0 || int64(len(calls)) > served.Load() {
		t.Errorf("%v of %d requests", kinds, served.Load())
	}
}

// id is the request's JSON-RPC id; notifications have none.
func id(r *http.Request) string {
	body := make([]byte, r.ContentLength)
	_, _ = r.Body.Read(body)
	_, rest, ok := strings.Cut(string(body), `"id":`)
	if !ok {
		return "null"
	}
	n, _, _ := strings.Cut(rest, ",")
	return n
}
