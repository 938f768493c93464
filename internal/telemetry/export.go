package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Traces says where spans go.
type Traces struct {
	// Endpoint is the collector's OTLP/HTTP URL; without a path, /v1/traces. Empty: no traces.
	// Headers that the collector wants come from OTEL_EXPORTER_OTLP_HEADERS.
	Endpoint string
	// SamplePercent, 0 to 100, is the share of the traces begun here that is kept. A trace begun by
	// the agent keeps the agent's decision.
	SamplePercent int
	// Queue is how many ended spans may wait for the collector, default 2048; more are dropped and counted.
	Queue int
	// Batch is how long a span waits for company, default 1 s.
	Batch time.Duration
}

const (
	defaultQueue  = 2048
	defaultBatch  = time.Second
	maxBatch      = 512
	exportTimeout = 5 * time.Second
	logEvery      = time.Minute
)

var (
	errEndpoint = errors.New("traces: endpoint must be an http or https URL")
	errSample   = errors.New("traces: sample percent must be 0 to 100")
	errQueue    = errors.New("traces: queue and batch must not be negative")
)

// newTracer returns nil when c asks for no traces.
func newTracer(ctx context.Context, c Config) (*Tracer, error) {
	if c.Traces.Endpoint == "" {
		return nil, nil //nolint:nilnil // a nil Tracer is the one that is off
	}
	endpoint, err := c.Traces.check()
	if err != nil {
		return nil, err
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint), otlptracehttp.WithTimeout(exportTimeout))
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	return startTracer(c, exporter), nil
}

// check returns the collector's whole URL.
func (t Traces) check() (string, error) {
	u, err := url.Parse(t.Endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", errEndpoint // without the URL: it may hold a password
	case t.SamplePercent < 0 || t.SamplePercent > 100:
		return "", errSample
	case t.Queue < 0 || t.Batch < 0:
		return "", errQueue
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	return u.String(), nil
}

func startTracer(c Config, exporter sdktrace.SpanExporter) *Tracer {
	if c.Traces.Queue == 0 {
		c.Traces.Queue = defaultQueue
	}
	if c.Traces.Batch == 0 {
		c.Traces.Batch = defaultBatch
	}
	q := &queue{exporter: exporter, limit: int64(c.Traces.Queue), log: c.Logger}
	q.ctx, q.cut = context.WithCancel(context.Background())
	q.batches = sdktrace.NewBatchSpanProcessor(sending{q},
		sdktrace.WithMaxQueueSize(c.Traces.Queue), sdktrace.WithMaxExportBatchSize(min(maxBatch, c.Traces.Queue)),
		sdktrace.WithBatchTimeout(c.Traces.Batch), sdktrace.WithExportTimeout(2*exportTimeout))
	limits := sdktrace.NewSpanLimits()
	limits.AttributeValueLengthLimit = maxText
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(q),
		sdktrace.WithResource(identity(c)),
		sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(float64(c.Traces.SamplePercent)/100))),
	)
	return &Tracer{spans: provider.Tracer(scope), provider: provider, queue: q}
}

// identity is what every span of this process says of it.
func identity(c Config) *resource.Resource {
	return resource.NewSchemaless(
		attribute.String("service.name", "quorate"), attribute.String("service.version", c.Version),
		attribute.String("service.instance.id", c.Gateway), attribute.String("quorate.region", c.Region))
}

func (t *Tracer) shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	// At the deadline the export under way is cut, so that no goroutine outlives this for long.
	stop := context.AfterFunc(ctx, t.queue.cut)
	defer func() { stop(); t.queue.cut() }()
	// The queue first and by hand: the provider would not even ask it to stop when ctx is done already.
	err := t.queue.Shutdown(ctx)
	return errors.Join(err, t.provider.Shutdown(context.WithoutCancel(ctx)))
}

func (t *Tracer) dropped() (full, failed uint64) {
	if t == nil {
		return 0, 0
	}
	return t.queue.full.Load(), t.queue.failed.Load()
}

// queue is the SDK's batching processor with a door in front that counts: the SDK itself drops what
// does not fit its channel without telling anyone.
type queue struct {
	batches  sdktrace.SpanProcessor
	exporter sdktrace.SpanExporter
	limit    int64
	log      *slog.Logger
	ctx      context.Context // done when exporting must end
	cut      context.CancelFunc

	waiting      atomic.Int64
	full, failed atomic.Uint64
	logged       atomic.Int64 // Unix nanoseconds
	closed       atomic.Bool
}

// OnStart does nothing.
func (q *queue) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd queues the span or drops it; it never blocks.
func (q *queue) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.waiting.Add(1) > q.limit || q.closed.Load() {
		q.waiting.Add(-1)
		q.full.Add(1)
		return
	}
	q.batches.OnEnd(s)
}

// Shutdown sends what waits and stops.
func (q *queue) Shutdown(ctx context.Context) error {
	q.closed.Store(true)
	return q.batches.Shutdown(ctx)
}

// ForceFlush sends what waits.
func (q *queue) ForceFlush(ctx context.Context) error { return q.batches.ForceFlush(ctx) }

// sending is the exporter's side of the queue: it counts what leaves and what is lost.
type sending struct{ *queue }

// ExportSpans sends one batch. A failure is counted and logged here, since the SDK would hand it to
// a handler that belongs to the whole process.
func (s sending) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	err := s.exporter.ExportSpans(ctx, spans)
	s.waiting.Add(-int64(len(spans)))
	if err != nil {
		s.failed.Add(uint64(len(spans)))
		s.complain(err)
	}
	return nil
}

// Shutdown stops the exporter.
func (s sending) Shutdown(ctx context.Context) error { return s.exporter.Shutdown(ctx) }

func (s sending) complain(err error) {
	now, last := time.Now().UnixNano(), s.logged.Load()
	if last != 0 && now-last < int64(logEvery) || !s.logged.CompareAndSwap(last, now) {
		return
	}
	s.log.Warn("traces not exported", "error", err, "lost", s.failed.Load())
}
