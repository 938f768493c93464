package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// buckets reach from a local call to a tool that takes minutes, in seconds.
func buckets() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
}

func newDuration(meter metric.Meter) (metric.Float64Histogram, error) {
	m, _ := lookup(RequestDuration)
	return meter.Float64Histogram(m.Name, metric.WithDescription(m.Help), metric.WithExplicitBucketBoundaries(buckets()...))
}

// Duration records how long requests of one kind took. Make one per service, era and method class
// when the service is made, never on the request path.
type Duration struct {
	histogram metric.Float64Histogram
	options   []metric.RecordOption
}

// Duration returns the recorder of RequestDuration for one combination of its labels.
func (t *Telemetry) Duration(service, era, methodClass string) *Duration {
	m, _ := lookup(RequestDuration)
	set := labelSet(m, []string{service, era, methodClass})
	return &Duration{t.duration, []metric.RecordOption{metric.WithAttributeSet(set)}}
}

// Record adds one request. It takes no lock and allocates nothing; a nil Duration records nothing.
func (d *Duration) Record(took time.Duration) {
	if d == nil {
		return
	}
	d.histogram.Record(context.Background(), took.Seconds(), d.options...)
}
