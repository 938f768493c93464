package verify

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

// legacyNode is a scripted stateful node whose GET is answered by get.
func legacyNode(get http.HandlerFunc) http.Handler {
	hello := result(`{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}}}`)
	hello.header = http.Header{"Mcp-Session-Id": {"s"}}
	posts := script{
		"initialize": hello, "notifications/initialized": {status: 202},
		"tools/list": result(twoTools), "": {status: 202}, // "" is a response of ours
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			get(w, r)
			return
		}
		posts.ServeHTTP(w, r)
	})
}

// A feed that is refused, in trouble or cut says nothing of the node's health.
func TestFeedDoesNotDecideHealth(t *testing.T) {
	tests := map[string]struct {
		get    http.HandlerFunc
		opened int32 // how often it must at least be asked for
		most   int32 // and at most; 0 means any
	}{
		"not offered":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) }, 1, 1},
		"not an event":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }, 1, 1},
		"in trouble":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, 2, 0},
		"cut each time": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/event-stream") }, 2, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var gets atomic.Int32
			rec := &recorder{Handler: legacyNode(func(w http.ResponseWriter, r *http.Request) { gets.Add(1); tt.get(w, r) })}
			tr := track(t, Config{Interval: 100 * time.Millisecond, Failures: 1}, serve(t, rec))
			await(t, tr, "healthy", in(regions.Healthy))
			n := await(t, tr, "checked on", func(regions.Node) bool {
				return rec.count("POST tools/list") >= 8 && gets.Load() >= tt.opened
			})
			if n.State != regions.Healthy {
				t.Errorf("state %v", n.State)
			}
			if got := gets.Load(); tt.most > 0 && got > tt.most {
				t.Errorf("asked %d times for a feed that is not offered", got)
			}
		})
	}
}

// Some nodes end sessions whose clients leave their ping unanswered.
func TestFeedAnswersTheNode(t *testing.T) {
	rec := &recorder{Handler: legacyNode(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: {\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})}
	tr := track(t, Config{Interval: slow}, serve(t, rec))
	await(t, tr, "answered", func(regions.Node) bool { return rec.count("POST ") == 1 })
}

// A node may write without end on its feed; the reader gives up, the node stays.
func TestFeedEventsAreBounded(t *testing.T) {
	cfg := Config{Interval: 5 * time.Second}
	node := legacyNode(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		block := make([]byte, 64<<10)
		for i := range block {
			block[i] = 'x'
		}
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	w := &wire{client: cfg.newClient(nil), url: serve(t, node)}
	defer w.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	opened, err := w.stream(ctx, feed{version: "2025-11-25", session: "s"}, func() {})
	if !opened || err == nil || ctx.Err() != nil {
		t.Errorf("opened %v, %v", opened, err)
	}
}
