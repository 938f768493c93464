package edge

import (
	"errors"

	"github.com/quorate/quorate/gateway"
	"github.com/quorate/quorate/gateway/shed"
	"github.com/quorate/quorate/internal/regional"
	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/regions"
)

// observeRegions makes the figures of regions, links and admission readable at a scrape.
func (e *Edge) observeRegions() error {
	t := e.opts.Telemetry
	status := func(name string, put func(telemetry.Emit, regional.Status)) error {
		return t.Observe(name, func(emit telemetry.Emit) {
			for _, s := range e.region.driver.Status() {
				put(emit, s)
			}
		})
	}
	traffic := func(name string, put func(telemetry.Emit, gateway.RegionFigures)) error {
		return t.Observe(name, func(emit telemetry.Emit) {
			for _, f := range e.gateway.Regions() {
				put(emit, f)
			}
		})
	}
	return errors.Join(
		status(telemetry.RegionState, func(emit telemetry.Emit, s regional.Status) { emit(1, s.Name, s.State.String()) }),
		status(telemetry.RegionShare, func(emit telemetry.Emit, s regional.Status) { emit(s.Share, s.Name) }),
		status(telemetry.RegionWeight, func(emit telemetry.Emit, s regional.Status) { emit(s.Weight, s.Name) }),
		status(telemetry.RegionRTT, func(emit telemetry.Emit, s regional.Status) {
			emit(s.RTT.Seconds(), s.Name, s.Class.String())
		}),
		traffic(telemetry.RegionInFlight, func(emit telemetry.Emit, f gateway.RegionFigures) { emit(float64(f.InFlight), f.Name) }),
		traffic(telemetry.RegionBreaker, func(emit telemetry.Emit, f gateway.RegionFigures) { emit(1, f.Name, f.Breaker) }),
		e.observeAdmission(),
		e.observeLinks(),
	)
}

func (e *Edge) observeAdmission() error {
	t := e.opts.Telemetry
	counts := func(name string, of func(gateway.Figures, int) float64, words ...string) error {
		return t.Observe(name, func(emit telemetry.Emit) {
			for _, f := range e.gateway.Figures() {
				for i, word := range words {
					emit(of(f, i), f.Service, word)
				}
			}
		})
	}
	kinds := []string{regions.Fast.String(), regions.Medium.String(), regions.Slow.String(), "control"}
	return errors.Join(
		t.Observe(telemetry.Limit, func(emit telemetry.Emit) {
			for _, f := range e.gateway.Figures() {
				emit(float64(f.Limits.Limit), f.Service)
			}
		}),
		counts(telemetry.Admitted, func(f gateway.Figures, i int) float64 { return float64(f.Limits.Admitted[shed.Kind(i)]) }, kinds...),
		counts(telemetry.Shed, func(f gateway.Figures, i int) float64 { return float64(f.Limits.Shed[shed.Kind(i)]) }, kinds...),
		counts(telemetry.Spilled, func(f gateway.Figures, i int) float64 { return float64(f.Spilled[i]) }, kinds[:regions.Classes]...),
	)
}

func (e *Edge) observeLinks() error {
	t := e.opts.Telemetry
	return errors.Join(
		t.Observe(telemetry.LinkUp, func(emit telemetry.Emit) {
			for _, l := range e.links.list() {
				emit(map[bool]float64{true: 1}[l.Up], l.Region, l.Address)
			}
		}),
		t.Observe(telemetry.LinkRTT, func(emit telemetry.Emit) {
			for _, l := range e.links.list() {
				emit(l.RTT.Seconds(), l.Region, l.Address)
			}
		}),
	)
}
