package telemetry

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	headerTraceParent = "Traceparent" // canonical form of the W3C header
	// maxText bounds what a peer may put into one attribute or label, in bytes.
	maxText = 128
)

// Tracer begins spans. A nil *Tracer is one that is switched off: its methods, and those of the
// spans it returns, do nothing and allocate nothing.
type Tracer struct {
	spans    trace.Tracer
	provider *sdktrace.TracerProvider
	queue    *queue
}

// Request is what a request's span says. These fields are all that ever gets into one: no header,
// no argument, no URI, no credential.
type Request struct {
	Arrived    time.Time // zero: now
	Service    string
	Era        string
	Method     string
	Tool       string // name of the tool or prompt; never a resource's URI
	RetryClass string
	Class      string // latency class asked for
	Spill      string
	Session    string // the session's hash, never its id
}

// Span is one span under way; the zero Span is one that does not exist.
type Span struct{ span trace.Span }

// Request begins a request's span as a child of what the agent sent: the W3C headers, or the
// traceparent of the request's _meta where the header is absent.
func (t *Tracer) Request(ctx context.Context, h http.Header, metaTraceParent string, r Request) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(r.attributes()...)}
	if !r.Arrived.IsZero() {
		options = append(options, trace.WithTimestamp(r.Arrived))
	}
	ctx, span := t.spans.Start(remote(ctx, h, metaTraceParent), "mcp "+bounded(r.Method), options...)
	return ctx, Span{span}
}

func (r Request) attributes() []attribute.KeyValue {
	all := [...]attribute.KeyValue{
		text("quorate.service", r.Service), text("quorate.era", r.Era), text("mcp.method.name", r.Method),
		text("gen_ai.tool.name", r.Tool), text("quorate.retry_class", r.RetryClass), text("quorate.session", r.Session),
		text("quorate.class", r.Class), text("quorate.spill", r.Spill),
	}
	kv := make([]attribute.KeyValue, 0, len(all))
	for _, a := range all {
		if a.Value.AsString() != "" {
			kv = append(kv, a)
		}
	}
	return kv
}

// Attempt is what the span of one try at a node says.
type Attempt struct {
	Node, Region, RegionClass string
	RTT                       time.Duration // to the region
	Number                    int           // of the try in its request, from 1
}

// Attempt begins the span of one try at a node.
func (t *Tracer) Attempt(ctx context.Context, a Attempt) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.spans.Start(ctx, "attempt", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(text("quorate.node", a.Node), text("quorate.region", a.Region), text("quorate.region_class", a.RegionClass),
			attribute.Float64("quorate.region_rtt_ms", float64(a.RTT)/float64(time.Millisecond)), attribute.Int("quorate.attempt", a.Number)))
	return ctx, Span{span}
}

// remote returns ctx with the trace that a peer began, if it named one.
func remote(ctx context.Context, h http.Header, metaTraceParent string) context.Context {
	if len(h[headerTraceParent]) > 0 {
		return propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(h))
	}
	if metaTraceParent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": metaTraceParent})
}

// Inject names the span in the W3C headers of a request to a node, in place of the agent's.
// h must be the attempt's own. A span that does not exist leaves h as it is.
func (s Span) Inject(h http.Header) {
	if s.span == nil {
		return
	}
	ctx := trace.ContextWithSpan(context.Background(), s.span)
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
}

// TraceID returns the trace's id in hexadecimal for the log, "" when there is none.
func (s Span) TraceID() string {
	if s.span == nil {
		return ""
	}
	return s.span.SpanContext().TraceID().String()
}

// End ends the span; outcome is one of the values of the outcome and result labels in the
// catalogue. Everything but "ok" and "canceled" marks the span as an error.
func (s Span) End(outcome string) {
	if s.span == nil {
		return
	}
	s.span.SetAttributes(text("quorate.outcome", outcome))
	if outcome != "ok" && outcome != "canceled" {
		s.span.SetStatus(codes.Error, bounded(outcome))
	}
	s.span.End()
}

// bounded returns s as valid UTF-8 of at most 128 bytes, without allocating where it is that already.
func bounded(s string) string {
	if len(s) <= maxText && utf8.ValidString(s) {
		return s
	}
	s = strings.ToValidUTF8(s[:min(len(s), maxText+utf8.UTFMax)], "\uFFFD")
	for len(s) > maxText {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
