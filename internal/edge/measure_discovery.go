package edge

import (
	"errors"

	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/regions/discovery"
)

// observeDiscovery makes the figures of sources readable at a scrape.
func (e *Edge) observeDiscovery() error {
	t := e.opts.Telemetry
	source := func(name string, put func(telemetry.Emit, string, discovery.SourceStatus)) error {
		return t.Observe(name, func(emit telemetry.Emit) {
			e.trackers.eachSource(func(service string, s discovery.SourceStatus) { put(emit, service, s) })
		})
	}
	return errors.Join(
		source(telemetry.Stale, func(emit telemetry.Emit, service string, s discovery.SourceStatus) {
			emit(flag(s.Stale), service, s.Name)
		}),
		source(telemetry.Answers, func(emit telemetry.Emit, service string, s discovery.SourceStatus) {
			emit(float64(s.Answers-s.Errors), service, s.Name, "ok")
			emit(float64(s.Errors), service, s.Name, "error")
		}),
		source(telemetry.Disagreements, func(emit telemetry.Emit, service string, s discovery.SourceStatus) {
			emit(float64(s.Disagreements), service, s.Name)
		}),
		source(telemetry.NodesNamed, func(emit telemetry.Emit, service string, s discovery.SourceStatus) {
			emit(float64(s.Held), service, s.Name)
		}),
		source(telemetry.SourceRestarts, func(emit telemetry.Emit, service string, s discovery.SourceStatus) {
			emit(float64(s.Restarts), service, s.Name)
		}),
		t.Observe(telemetry.Unproven, func(emit telemetry.Emit) {
			for _, s := range e.cfg.Load().Services {
				for _, n := range e.trackers.nodes(s.Name) {
					emit(flag(n.Unproven), s.Name, string(n.ID))
				}
			}
		}),
	)
}

func flag(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
