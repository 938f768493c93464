package telemetry

import "slices"

//go:generate go run ./metricsdoc -out ../../docs/metrics.md

// Kind is how a metric's values are to be read.
type Kind uint8

const (
	// Counter only grows while the process lives.
	Counter Kind = iota + 1
	// Gauge goes both ways.
	Gauge
	// Histogram counts values by size.
	Histogram
)

// String returns Prometheus's word.
func (k Kind) String() string {
	return [...]string{"untyped", "counter", "gauge", "histogram"}[k&3]
}

// Label is one label of a metric.
type Label struct{ Name, Values string }

// Metric describes one metric: docs/metrics.md is written from it and /metrics follows it.
type Metric struct {
	Name   string
	Kind   Kind
	Help   string
	Labels []Label
}

// The names of the metrics.
const (
	Requests         = "quorate_requests_total"
	RequestDuration  = "quorate_request_duration_seconds"
	Attempts         = "quorate_attempts_total"
	Retries          = "quorate_retries_total"
	Spliced          = "quorate_streams_spliced_total"
	Sessions         = "quorate_sessions"
	SessionsMigrated = "quorate_sessions_migrated_total"
	SessionsLost     = "quorate_sessions_lost_total"
	NodeState        = "quorate_node_state"
	NodeInFlight     = "quorate_node_in_flight"
	NodeLatency      = "quorate_node_latency_seconds"
	BreakerState     = "quorate_breaker_state"
	TableVersion     = "quorate_table_version"
	BuildInfo        = "quorate_build_info"
	SpansDropped     = "quorate_trace_spans_dropped_total"
)

// Catalogue returns every metric of ours, in the order of the documentation. The metrics of the
// Go runtime (go_*) and of the process (process_*) are the Prometheus client's and not in it.
func Catalogue() []Metric {
	service := Label{"service", "the service's name"}
	node := Label{"node", "the node's id"}
	era := Label{"era", "`legacy`, `modern`"}
	class := Label{"method_class", "`call`, `list`, `read`, `stream`, `session`, `other`"}
	return []Metric{
		{Requests, Counter, "Requests answered, by how they ended for the agent.", []Label{service, era, class,
			{"outcome", "`ok`, `node_error`, `unknown` (-32070), `unavailable` (-32072), `overloaded` (-32073), `rejected`, `canceled`"}}},
		{RequestDuration, Histogram, "Time from a request's arrival to the end of its answer, in seconds. Streams that stay open are not counted.", []Label{service, era, class}},
		{Attempts, Counter, "Tries at nodes; a request that failed over has several.", []Label{service, node,
			{"result", "`ok`, or why the try ended: `refused`, `reset`, `dead`, `breaker_open`, `canceled`, `malformed`, `status_5xx`"}}},
		{Retries, Counter, "Tries after a request's first.", []Label{service}},
		{Spliced, Counter, "Open response streams continued on another node after theirs was lost.", []Label{service}},
		{Sessions, Gauge, "Live legacy sessions.", []Label{service}},
		{SessionsMigrated, Counter, "Legacy sessions moved to another node.", []Label{service}},
		{SessionsLost, Counter, "Legacy sessions that could not be moved and were told so.", []Label{service}},
		{NodeState, Gauge, "1 for the state that verification holds a node in.", []Label{service, node,
			{"state", "`unknown`, `healthy`, `degraded`, `unhealthy`"}}},
		{NodeInFlight, Gauge, "Tries running on a node.", []Label{service, node}},
		{NodeLatency, Gauge, "A node's latency as the balancer sees it (peak EWMA), in seconds.", []Label{service, node}},
		{BreakerState, Gauge, "1 for the state that a node's breaker is in.", []Label{service, node,
			{"state", "`closed`, `half_open`, `open`"}}},
		{TableVersion, Gauge, "Version of the routing table in force; every change of the table adds one.", nil},
		{BuildInfo, Gauge, "Always 1; its labels say what runs.", []Label{{"gateway", "the gateway's name"}, {"region", "its region"},
			{"version", "the build's version"}, {"goversion", "the Go release it was built with"}}},
		{SpansDropped, Counter, "Spans lost before they reached the collector.", []Label{{"reason", "`queue_full`, `export_failed`"}}},
	}
}

func lookup(name string) (Metric, bool) {
	all := Catalogue()
	i := slices.IndexFunc(all, func(m Metric) bool { return m.Name == name })
	if i < 0 {
		return Metric{}, false
	}
	return all[i], true
}
