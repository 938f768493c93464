// Package telemetry gives a gateway its measurements, traces and log: OpenTelemetry with a
// Prometheus endpoint, OTLP/HTTP spans, and slog as JSON. It must not know requests, nodes or
// sessions: it is told names and figures, never header values, arguments or credentials.
//
// Nothing here may slow a request down: counters belong to their owners and are read at a scrape,
// spans that do not fit the queue are dropped and counted, and switched-off tracing is a nil check.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/attribute"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
)

const (
	scope = "github.com/quorate/quorate"
	// maxSeries bounds what one metric may hold; more series are folded into one, marked
	// otel_metric_overflow. 1000 services with every label's values stay below it.
	maxSeries = 100_000
	// maxScrapes at one time; more get 503, so that a scraper gone wild costs no memory.
	maxScrapes = 4
	// shutdownLimit bounds Shutdown whatever the caller's context says.
	shutdownLimit = 5 * time.Second
)

// Config says who is measured and where traces go.
type Config struct {
	// Gateway, Region and Version name this process in every trace and in quorate_build_info.
	Gateway, Region, Version string
	// Traces says where spans go. The zero value switches tracing off.
	Traces Traces
	// Logger gets export failures, at most one a minute. Default: no log.
	Logger *slog.Logger
}

// Telemetry is one process's measurements and traces. Its methods are safe for concurrent use.
type Telemetry struct {
	registry *prometheus.Registry
	provider *sdkmetric.MeterProvider
	meter    metric.Meter
	duration metric.Float64Histogram
	tracer   *Tracer

	mu       sync.Mutex
	observed map[string]bool
}

// New starts telemetry. An error says which part of c cannot work; no network is touched yet.
func New(ctx context.Context, c Config) (*Telemetry, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	t := &Telemetry{registry: prometheus.NewRegistry(), observed: map[string]bool{}}
	if err := t.startMetrics(c); err != nil {
		return nil, fmt.Errorf("telemetry: new: %w", err)
	}
	tracer, err := newTracer(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("telemetry: new: %w", err)
	}
	t.tracer = tracer
	if err := t.observeOwn(c); err != nil {
		return nil, fmt.Errorf("telemetry: new: %w", errors.Join(err, t.Shutdown(ctx)))
	}
	return t, nil
}

func (t *Telemetry) startMetrics(c Config) error {
	err := errors.Join(
		t.registry.Register(collectors.NewGoCollector()),
		t.registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
	)
	if err != nil {
		return err
	}
	reader, err := otelprom.New(
		otelprom.WithRegisterer(t.registry),
		otelprom.WithoutScopeInfo(),
		otelprom.WithoutTargetInfo(), // quorate_build_info says it in fewer labels
		// The catalogue's names are the names on the wire, to the letter.
		otelprom.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithoutSuffixes),
	)
	if err != nil {
		return err
	}
	t.provider = sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(reader),
		sdkmetric.WithResource(identity(c)),
		sdkmetric.WithCardinalityLimit(maxSeries),
		sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter), // an exemplar costs a lock per record
	)
	t.meter = t.provider.Meter(scope)
	t.duration, err = newDuration(t.meter)
	return err
}

// observeOwn registers what this package knows by itself.
func (t *Telemetry) observeOwn(c Config) error {
	return errors.Join(
		t.Observe(BuildInfo, func(emit Emit) { emit(1, c.Gateway, c.Region, c.Version, runtime.Version()) }),
		t.Observe(SpansDropped, func(emit Emit) {
			full, failed := t.tracer.dropped()
			emit(float64(full), "queue_full")
			emit(float64(failed), "export_failed")
		}),
	)
}

// Metrics answers a Prometheus scrape: the catalogue's metrics, the Go runtime's and the process's.
func (t *Telemetry) Metrics() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes,
		// One broken figure must not hide the others from an operator in an outage.
		ErrorHandling: promhttp.ContinueOnError,
	})
}

// Tracer returns what begins spans; nil, which is a working Tracer that does nothing, when tracing is off.
func (t *Telemetry) Tracer() *Tracer { return t.tracer }

// Shutdown sends the spans that wait and stops. It takes no longer than ctx and 5 s allow; spans
// that could not be sent by then are lost. Only the first call does anything.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownLimit)
	defer cancel()
	if err := errors.Join(t.tracer.shutdown(ctx), t.provider.Shutdown(ctx)); err != nil && !errors.Is(err, sdkmetric.ErrReaderShutdown) {
		return fmt.Errorf("telemetry: shutdown: %w", err)
	}
	return nil
}

// text is a string label, cut to what a label may hold.
func text(key, value string) attribute.KeyValue { return attribute.String(key, bounded(value)) }
