package edge

import (
	"errors"
	"time"

	"github.com/quorate/quorate/internal/telemetry"
)

// controlFigures is what there is to measure of the control group at one moment. Counts never go back while the
// process lives.
type controlFigures struct {
	NodesUp        int
	Partition      bool
	Leads          bool
	GateOpen       bool
	GateClosings   uint64
	RuleVersion    uint64
	Fences         uint64
	PluginRestarts uint64
	// RoundTrips are to the other gateways that are up, by name.
	RoundTrips map[string]time.Duration
}

// controlMeter reads the control group's figures: at every scrape, once for each metric, from many goroutines. It
// must not block.
type controlMeter interface {
	Figures() controlFigures
}

// alone is the meter of a gateway without a control group: a fleet of one, which may always write.
type alone struct{}

// Figures implements controlMeter.
func (alone) Figures() controlFigures { return controlFigures{NodesUp: 1, Leads: true, GateOpen: true} }

// observeAuthority makes the control group's figures readable at a scrape.
func (e *Edge) observeAuthority(m controlMeter) error {
	t := e.opts.Telemetry
	figure := func(name string, value func(controlFigures) float64) error {
		return t.Observe(name, func(emit telemetry.Emit) { emit(value(m.Figures())) })
	}
	flag := map[bool]float64{true: 1}
	return errors.Join(
		figure(telemetry.ClusterNodesUp, func(f controlFigures) float64 { return float64(f.NodesUp) }),
		figure(telemetry.Partition, func(f controlFigures) float64 { return flag[f.Partition] }),
		t.Observe(telemetry.GatewayLatency, func(emit telemetry.Emit) {
			for gateway, rtt := range m.Figures().RoundTrips {
				emit(milliseconds(rtt), gateway)
			}
		}),
		figure(telemetry.Leader, func(f controlFigures) float64 { return flag[f.Leads] }),
		figure(telemetry.GateOpen, func(f controlFigures) float64 { return flag[f.GateOpen] }),
		figure(telemetry.GateClosings, func(f controlFigures) float64 { return float64(f.GateClosings) }),
		figure(telemetry.RuleVersion, func(f controlFigures) float64 { return float64(f.RuleVersion) }),
		figure(telemetry.Fences, func(f controlFigures) float64 { return float64(f.Fences) }),
		figure(telemetry.PluginRestarts, func(f controlFigures) float64 { return float64(f.PluginRestarts) }),
	)
}
