package edge

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/regions"
)

// tracer shows telemetry to the data plane; nil when there are no traces.
func (e *Edge) tracer() gateway.Tracer {
	t := e.opts.Telemetry.Tracer()
	if t == nil {
		return nil
	}
	return spans{t}
}

type spans struct{ tracer *telemetry.Tracer }

// Request implements gateway.Tracer.
func (s spans) Request(r *http.Request, traceParent string, span gateway.RequestSpan) (*http.Request, func(string)) {
	ctx, began := s.tracer.Request(r.Context(), r.Header, traceParent, telemetry.Request{
		Service: span.Service, Era: span.Era, Method: span.Method, Tool: span.Tool, RetryClass: span.RetryClass,
		Class: span.LatencyClass, Spill: span.Spill,
	})
	return r.WithContext(ctx), began.End
}

// Attempt implements gateway.Tracer.
func (s spans) Attempt(ctx context.Context, a gateway.AttemptSpan) ([]upstream.Field, func(string)) {
	_, began := s.tracer.Attempt(ctx, telemetry.Attempt{Node: a.Node, Region: a.Region, RegionClass: a.RegionClass, RTT: a.RTT, Number: a.Number})
	h := http.Header{}
	began.Inject(h)
	fields := make([]upstream.Field, 0, len(h))
	for name, values := range h {
		fields = append(fields, upstream.Field{Name: name, Value: values[0]})
	}
	return fields, began.End
}

// duration gives the data plane its recorders.
func (e *Edge) duration(service, era, methodClass string) func(time.Duration) {
	return e.opts.Telemetry.Duration(service, era, methodClass).Record
}

// observe makes the data plane's and verification's figures readable at a scrape.
func (e *Edge) observe(*config.Config) error {
	t := e.opts.Telemetry
	service := func(name string, value func(gateway.Figures) float64) error {
		return t.Observe(name, func(emit telemetry.Emit) {
			for _, f := range e.gateway.Figures() {
				emit(value(f), f.Service)
			}
		})
	}
	return errors.Join(
		e.observeRegions(),
		e.observeProblems(),
		e.observeAuthority(meter{e}),
		e.observeLedger(),
		e.observeSessions(),
		t.Observe(telemetry.Requests, e.emitRequests),
		service(telemetry.Retries, func(f gateway.Figures) float64 { return float64(f.Retries) }),
		service(telemetry.Spliced, func(f gateway.Figures) float64 { return float64(f.Spliced) }),
		service(telemetry.Sessions, func(f gateway.Figures) float64 { return float64(f.Sessions) }),
		service(telemetry.SessionsMigrated, func(f gateway.Figures) float64 { return float64(f.SessionsMigrated) }),
		service(telemetry.SessionsLost, func(f gateway.Figures) float64 { return float64(f.SessionsLost) }),
		t.Observe(telemetry.Attempts, func(emit telemetry.Emit) {
			e.eachNode(func(service string, n regions.Node, live *upstream.Node) {
				live.Results(func(result string, count uint64) { emit(float64(count), service, string(n.ID), result) })
			})
		}),
		t.Observe(telemetry.NodeState, func(emit telemetry.Emit) {
			e.eachNode(func(service string, n regions.Node, _ *upstream.Node) {
				emit(1, service, string(n.ID), n.State.String())
			})
		}),
		t.Observe(telemetry.NodeInFlight, func(emit telemetry.Emit) {
			e.eachNode(func(service string, n regions.Node, live *upstream.Node) {
				emit(float64(live.InFlight()), service, string(n.ID))
			})
		}),
		t.Observe(telemetry.NodeLatency, func(emit telemetry.Emit) {
			e.eachNode(func(service string, n regions.Node, live *upstream.Node) {
				emit(live.Latency().Seconds(), service, string(n.ID))
			})
		}),
		t.Observe(telemetry.BreakerState, func(emit telemetry.Emit) {
			e.eachNode(func(service string, n regions.Node, live *upstream.Node) {
				emit(1, service, string(n.ID), live.BreakerState())
			})
		}),
		e.observeDiscovery(),
		t.Observe(telemetry.TableVersion, func(emit telemetry.Emit) {
			if table := e.gateway.Table(); table != nil {
				emit(float64(table.Version))
			}
		}),
	)
}

func (e *Edge) emitRequests(emit telemetry.Emit) {
	for _, f := range e.gateway.Figures() {
		for _, r := range f.Requests {
			emit(float64(r.Count), r.Service, r.Era, r.MethodClass, r.Outcome)
		}
	}
}

func (e *Edge) eachNode(f func(service string, n regions.Node, live *upstream.Node)) {
	table := e.gateway.Table()
	if table == nil {
		return
	}
	for name, s := range table.ByName {
		for _, n := range s.Nodes {
			if live, ok := e.gateway.Node(name, n.ID); ok {
				f(name, n, live)
			}
		}
	}
}
