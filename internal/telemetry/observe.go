package telemetry

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Emit reports one value of a metric; its labels are in the catalogue's order. Too few or too many
// labels make the scrape log an error and leave the value out.
type Emit func(value float64, labels ...string)

var (
	errUnknownMetric = errors.New("not in the catalogue")
	errObservedTwice = errors.New("observed already")
	errNotObservable = errors.New("a histogram is recorded, not observed")
)

// Observe makes read the source of the metric called name: it is called at every scrape and emits
// the present values. read must be quick, must not block, and must emit a series once.
// A series that is no longer emitted is no longer exported. Every metric has one source: a second
// one, a name outside the catalogue and a histogram are errors.
func (t *Telemetry) Observe(name string, read func(Emit)) error {
	m, known := lookup(name)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !known:
		return fmt.Errorf("telemetry: observe %s: %w", name, errUnknownMetric)
	case m.Kind == Histogram:
		return fmt.Errorf("telemetry: observe %s: %w", name, errNotObservable)
	case t.observed[name]:
		return fmt.Errorf("telemetry: observe %s: %w", name, errObservedTwice)
	}
	instrument, err := t.observable(m)
	if err != nil {
		return fmt.Errorf("telemetry: observe %s: %w", name, err)
	}
	if _, err := t.meter.RegisterCallback(scrape(m, instrument, read), instrument); err != nil {
		return fmt.Errorf("telemetry: observe %s: %w", name, err)
	}
	t.observed[name] = true
	return nil
}

func (t *Telemetry) observable(m Metric) (metric.Float64Observable, error) {
	if m.Kind == Counter {
		return t.meter.Float64ObservableCounter(m.Name, metric.WithDescription(m.Help))
	}
	return t.meter.Float64ObservableGauge(m.Name, metric.WithDescription(m.Help))
}

func scrape(m Metric, instrument metric.Float64Observable, read func(Emit)) metric.Callback {
	return func(_ context.Context, o metric.Observer) error {
		var bad error
		read(func(value float64, labels ...string) {
			if len(labels) != len(m.Labels) {
				bad = fmt.Errorf("telemetry: scrape %s: %d labels where the catalogue has %d", m.Name, len(labels), len(m.Labels))
				return
			}
			o.ObserveFloat64(instrument, value, metric.WithAttributeSet(labelSet(m, labels)))
		})
		return bad
	}
}

func labelSet(m Metric, labels []string) attribute.Set {
	kv := make([]attribute.KeyValue, len(labels))
	for i, value := range labels {
		kv[i] = text(m.Labels[i].Name, value)
	}
	return attribute.NewSet(kv...)
}
