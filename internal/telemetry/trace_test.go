package telemetry

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/logbook"
)

const (
	agentTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	agentParent = "00-" + agentTrace + "-00f067aa0ba902b7-01"
	otherParent = "00-11112222333344445555666677778888-00f067aa0ba902b7-01"
)

// collector is a real OTLP/HTTP server. block, when set, holds every export until it is closed.
type collector struct {
	*httptest.Server
	block chan struct{}
	mu    sync.Mutex
	raw   []byte
	spans []*tracepb.Span
	paths []string
}

func collect(t *testing.T, block chan struct{}) *collector {
	t.Helper()
	c := &collector{block: block}
	c.Server = httptest.NewServer(http.HandlerFunc(c.export))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) export(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request coltrace.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if c.block != nil {
		select {
		case <-c.block:
		case <-r.Context().Done():
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, body...)
	c.paths = append(c.paths, r.URL.Path)
	for _, rs := range request.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			c.spans = append(c.spans, ss.GetSpans()...)
		}
	}
}

func traced(t *testing.T, c *collector, traces Traces) *Telemetry {
	t.Helper()
	traces.Endpoint = c.URL
	tel, err := New(t.Context(), Config{Gateway: "gw-1", Region: "us-east", Version: "v1", Traces: traces})
	if err != nil {
		t.Fatal(err)
	}
	return tel
}

func TestSpansReachTheCollector(t *testing.T) {
	c := collect(t, nil)
	tel := traced(t, c, Traces{})
	h := http.Header{"Traceparent": {agentParent}, "Tracestate": {"vendor=1"}}
	ctx, request := tel.Tracer().Request(t.Context(), h, otherParent, Request{
		Arrived: time.Now().Add(-time.Second), Service: "tools", Era: "modern", Method: "tools/call", Tool: "add", RetryClass: "once"})
	_, attempt := tel.Tracer().Attempt(ctx, Attempt{Node: "a", Number: 2})
	out := http.Header{"Traceparent": {agentParent}}
	attempt.Inject(out)
	attempt.End("reset")
	request.End("ok")
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.spans) != 2 || c.paths[0] != "/v1/traces" {
		t.Fatalf("%d spans at %v, want 2 at /v1/traces", len(c.spans), c.paths)
	}
	parts := strings.Split(out.Get("Traceparent"), "-")
	if len(parts) != 4 || parts[1] != agentTrace || out.Get("Traceparent") == agentParent || out.Get("Tracestate") != "vendor=1" {
		t.Errorf("the node is told %v; want the agent's trace with the attempt as parent", out)
	}
	if request.TraceID() != agentTrace {
		t.Errorf("trace id %s", request.TraceID())
	}
	if got := c.spans[1].GetEndTimeUnixNano() - c.spans[1].GetStartTimeUnixNano(); got < uint64(time.Second) {
		t.Errorf("the request's span took %d ns, it arrived a second ago", got)
	}
}

func TestWhereTheParentComesFrom(t *testing.T) {
	c := collect(t, nil)
	tel := traced(t, c, Traces{SamplePercent: 100})
	defer func() { _ = tel.Shutdown(context.WithoutCancel(t.Context())) }()
	const other = "11112222333344445555666677778888"
	tests := []struct {
		name   string
		header http.Header
		meta   string
		want   string // "" = a new trace
	}{
		{"header", http.Header{"Traceparent": {agentParent}}, "", agentTrace},
		{"header before _meta", http.Header{"Traceparent": {agentParent}}, otherParent, agentTrace},
		{"_meta without header", http.Header{}, otherParent, other},
		{"nothing", nil, "", ""},
		{"broken header", http.Header{"Traceparent": {"00-zz"}}, "", ""},
		{"broken _meta", nil, strings.Repeat("0", 1<<16), ""},
		{"zero trace id", nil, "00-00000000000000000000000000000000-00f067aa0ba902b7-01", ""},
	}
	for _, tt := range tests {
		_, span := tel.Tracer().Request(t.Context(), tt.header, tt.meta, Request{Method: "ping"})
		got := span.TraceID()
		if tt.want != "" && got != tt.want || tt.want == "" && (got == agentTrace || got == other || len(got) != 32) {
			t.Errorf("%s: trace %s, want %q", tt.name, got, tt.want)
		}
		span.End("ok")
	}
}

func TestSampling(t *testing.T) {
	c := collect(t, nil)
	tel := traced(t, c, Traces{SamplePercent: 0})
	_, own := tel.Tracer().Request(t.Context(), nil, "", Request{Method: "ping"})
	own.End("ok")
	_, unsampled := tel.Tracer().Request(t.Context(), nil, agentParent[:len(agentParent)-1]+"0", Request{Method: "ping"})
	unsampled.End("ok")
	_, agents := tel.Tracer().Request(t.Context(), nil, agentParent, Request{Method: "ping"})
	agents.End("ok")
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.spans) != 1 {
		t.Errorf("%d spans sent, want the one that the agent wanted", len(c.spans))
	}
}

// TestFullQueueDropsAndCounts: with a collector that hangs, ending spans never blocks, what does not
// fit is counted, and Shutdown keeps its bound.
func TestFullQueueDropsAndCounts(t *testing.T) {
	block := make(chan struct{})
	c := collect(t, block)
	tel := traced(t, c, Traces{SamplePercent: 100, Queue: 4})
	for range 100 {
		_, span := tel.Tracer().Request(t.Context(), nil, "", Request{Method: "ping"})
		span.End("ok")
	}
	if full, _ := tel.Tracer().dropped(); full != 96 {
		t.Errorf("dropped %d of 100 with room for 4", full)
	}
	if got := scrapeText(t, tel); !strings.Contains(got, `quorate_trace_spans_dropped_total{reason="queue_full"} 96`) {
		t.Errorf("scrape does not say so:\n%s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the deadline has passed
	if err := tel.Shutdown(ctx); err == nil {
		t.Error("Shutdown against a collector that hangs is no error")
	}
	close(block)
}

// TestLostCollector: refused exports are counted, logged once rather than once per batch, and
// hold nothing up.
func TestLostCollector(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer broken.Close()
	var out logbook.Book
	tel, err := New(t.Context(), Config{Logger: NewLogger(&out, nil),
		Traces: Traces{Endpoint: strings.Replace(broken.URL, "//", "//user:hidden@", 1), SamplePercent: 100}})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		_, span := tel.Tracer().Request(t.Context(), nil, "", Request{Method: "ping"})
		span.End("ok")
		if err := tel.tracer.provider.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, failed := tel.Tracer().dropped(); failed != 5 {
		t.Errorf("%d of 5 lost spans counted", failed)
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 1 || strings.Contains(out.String(), "hidden") {
		t.Errorf("log:\n%s", out.String())
	}
}

func TestBadTracesAreRefused(t *testing.T) {
	for name, traces := range map[string]Traces{
		"no scheme": {Endpoint: "127.0.0.1:4318"}, "another scheme": {Endpoint: "ftp://127.0.0.1"}, "no host": {Endpoint: "http:///v1"},
		"sample": {Endpoint: "http://127.0.0.1", SamplePercent: 101}, "queue": {Endpoint: "http://127.0.0.1", Queue: -1},
	} {
		if _, err := New(t.Context(), Config{Traces: traces}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if path, err := (Traces{Endpoint: "http://h/own"}).check(); err != nil || path != "http://h/own" {
		t.Errorf("own path: %s %v", path, err)
	}
}

// TestOffCostsNothing: what runs on every request when tracing is off.
func TestOffCostsNothing(t *testing.T) {
	var off *Tracer
	h := http.Header{"Traceparent": {agentParent}}
	out := http.Header{}
	ctx := t.Context()
	n := testing.AllocsPerRun(1000, func() {
		rctx, request := off.Request(ctx, h, "", Request{Service: "tools", Era: "modern", Method: "tools/call"})
		_, attempt := off.Attempt(rctx, Attempt{Node: "a", Number: 1})
		attempt.Inject(out)
		attempt.End("ok")
		request.End("ok")
	})
	if n != 0 || len(out) != 0 {
		t.Errorf("tracing that is off allocates %v times and injects %v", n, out)
	}
	if rctx, _ := off.Request(ctx, h, "", Request{}); rctx != ctx || trace.SpanFromContext(rctx).SpanContext().IsValid() {
		t.Error("tracing that is off changes the context")
	}
}

func BenchmarkOff(b *testing.B) {
	var off *Tracer
	h := http.Header{"Traceparent": {agentParent}}
	b.ReportAllocs()
	for b.Loop() {
		ctx, request := off.Request(b.Context(), h, "", Request{Service: "tools", Era: "modern", Method: "tools/call"})
		_, attempt := off.Attempt(ctx, Attempt{Node: "a", Number: 1})
		attempt.Inject(h)
		attempt.End("ok")
		request.End("ok")
	}
}

func BenchmarkOn(b *testing.B) {
	tel := start(b, Config{Traces: Traces{Endpoint: "http://127.0.0.1:1", SamplePercent: 0}})
	h := http.Header{}
	b.ReportAllocs()
	for b.Loop() {
		ctx, request := tel.Tracer().Request(b.Context(), h, "", Request{Service: "tools", Era: "modern", Method: "tools/call"})
		_, attempt := tel.Tracer().Attempt(ctx, Attempt{Node: "a", Number: 1})
		attempt.End("ok")
		request.End("ok")
	}
}
