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
	RegionState      = "quorate_region_state"
	RegionRTT        = "quorate_region_rtt_seconds"
	RegionShare      = "quorate_region_share"
	RegionWeight     = "quorate_region_weight"
	RegionInFlight   = "quorate_region_in_flight"
	RegionBreaker    = "quorate_region_breaker_state"
	Spilled          = "quorate_requests_spilled_total"
	Limit            = "quorate_limit"
	Admitted         = "quorate_admitted_total"
	Shed             = "quorate_shed_total"
	LinkUp           = "quorate_link_up"
	LinkRTT          = "quorate_link_rtt_seconds"
	CertificateEnd   = "quorate_peer_certificate_end_seconds"
	ConfigRefused    = "quorate_config_refused"
	Stale            = "quorate_discovery_stale"
	Answers          = "quorate_discovery_answers_total"
	Disagreements    = "quorate_discovery_disagreements_total"
	NodesNamed       = "quorate_discovery_nodes"
	SourceRestarts   = "quorate_discovery_restarts_total"
	Unproven         = "quorate_node_unproven"
	TableVersion     = "quorate_table_version"
	ClusterNodesUp   = "quorate_cluster_nodes_up"
	Partition        = "quorate_partition_detected"
	GatewayLatency   = "quorate_node_latency_ms"
	Leader           = "quorate_leader"
	GateOpen         = "quorate_gate_open"
	GateClosings     = "quorate_gate_closings_total"
	RuleVersion      = "quorate_rule_version"
	Fences           = "quorate_fences_total"
	PluginRestarts   = "quorate_plugin_restarts_total"
	LedgerKeys       = "quorate_ledger_keys"
	LedgerBytes      = "quorate_ledger_bytes"
	SessionLag       = "quorate_session_replication_lag_ms"
	SessionCopies    = "quorate_session_copies"
	SessionClaims    = "quorate_session_claims_total"
	SessionRelays    = "quorate_session_relays_total"
	SessionReleases  = "quorate_session_releases_total"
	SessionHints     = "quorate_session_hints_total"
	SessionUnheard   = "quorate_session_holders_silent_total"
	SessionGone      = "quorate_session_copies_lost_total"
	SessionDropped   = "quorate_session_changes_dropped_total"
	BuildInfo        = "quorate_build_info"
	SpansDropped     = "quorate_trace_spans_dropped_total"
)

// Catalogue returns every metric of ours, in the order of the documentation. The metrics of the
// Go runtime (go_*) and of the process (process_*) are the Prometheus client's and not in it.
func Catalogue() []Metric {
	service := Label{"service", "the service's name"}
	node := Label{"node", "the node's id"}
	region := Label{"region", "the region's name"}
	source := Label{"source", "the source's name, such as `static:us-east`, `consul:DATACENTER/SERVICE`, `dns:NAME`"}
	latency := Label{"class", "`fast`, `medium`, `slow`, `control`: the latency class asked for"}
	era := Label{"era", "`legacy`, `modern`"}
	class := Label{"method_class", "`call`, `list`, `read`, `stream`, `session`, `other`"}
	return slices.Concat([]Metric{
		{Requests, Counter, "Requests answered, by how they ended for the agent.", []Label{service, era, class,
			{"outcome", "`ok`, `node_error`, `unknown` (-32070), `unavailable` (-32072), `overloaded` (-32073), `refused` (-32071), `rejected`, `canceled`"}}},
		{RequestDuration, Histogram, "Time from a request's arrival to the end of its answer, in seconds. Streams that stay open are not counted.", []Label{service, era, class}},
		{Attempts, Counter, "Tries at nodes; a request that failed over has several.", []Label{service, node,
			{"result", "`ok`, or why the try ended: `refused`, `reset`, `dead`, `breaker_open`, `canceled`, `malformed`, `declined` and `shed` (by another region's gateway), `unproven` (identity), `closed` (by this gateway's write gate), `barred` (by another gateway's), `fenced` (a later epoch was seen there), `status_5xx`"}}},
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
		{RegionState, Gauge, "1 for the state that a region is in, as this gateway sees it.", []Label{region,
			{"state", "`on`, `degraded`, `evacuating`, `off`, `recovering`"}}},
		{RegionRTT, Gauge, "Round trip to a region, measured over the real path (seeded before), in seconds.", []Label{region,
			{"class", "`fast`, `medium`, `slow`, `beyond`: the fastest latency class that it serves"}}},
		{RegionShare, Gauge, "Part of the traffic that its distance alone would give a region, 0 to 1.", []Label{region}},
		{RegionWeight, Gauge, "A region's share as a part of all regions' that are on; they sum to 1.", []Label{region}},
		{RegionInFlight, Gauge, "This gateway's tries running in another region.", []Label{region}},
		{RegionBreaker, Gauge, "1 for the state of the breaker that guards failover into another region.", []Label{region,
			{"state", "`closed`, `half_open`, `open`"}}},
		{Spilled, Counter, "Requests answered by a region slower than they asked for.", []Label{service, latency}},
		{Limit, Gauge, "Requests that the region's own pool may have in flight at once, as learned.", []Label{service}},
		{Admitted, Counter, "Requests let into the region's own pool.", []Label{service, latency}},
		{Shed, Counter, "Requests that the region's own pool was spared; some were served by other regions.", []Label{service, latency}},
		{LinkUp, Gauge, "1 while the link to another gateway is up.", []Label{region, {"address", "the gateway's peer address"}}},
		{LinkRTT, Gauge, "Round trip of a link's recent pings, in seconds.", []Label{region, {"address", "the gateway's peer address"}}},
		{CertificateEnd, Gauge, "When this gateway's certificate towards others ends, in seconds since 1970; all its links end with it.", nil},
		{ConfigRefused, Gauge, "1 while the configuration file as it is now is refused, and the one before goes on.", nil},
		{Stale, Gauge, "1 while a source's last answer is none; what it named before stays.", []Label{service, source}},
		{Answers, Counter, "Answers of a source.", []Label{service, source, {"result", "`ok`, `error`"}}},
		{Disagreements, Counter, "Answers of a source in which somebody who was asked did not agree.", []Label{service, source}},
		{NodesNamed, Gauge, "Nodes that a source holds.", []Label{service, source}},
		{SourceRestarts, Counter, "Times that a source was run again after it had ended.", []Label{service, source}},
		{Unproven, Gauge, "1 while something else than the node answers at its address.", []Label{service, node}},
		{TableVersion, Gauge, "Version of the routing table in force; every change of the table adds one.", nil},
	}, agreed(), kept(), []Metric{
		{BuildInfo, Gauge, "Always 1; its labels say what runs.", []Label{{"gateway", "the gateway's name"}, {"region", "its region"},
			{"version", "the build's version"}, {"goversion", "the Go release it was built with"}}},
		{SpansDropped, Counter, "Spans lost before they reached the collector.", []Label{{"reason", "`queue_full`, `export_failed`"}}},
	})
}

// agreed are the metrics of the control group.
func agreed() []Metric {
	return []Metric{
		{ClusterNodesUp, Gauge, "Gateways and witnesses of the roster that are up, this one among them; 1 for a gateway without a control group.", nil},
		{Partition, Gauge, "1 while gateways of the roster that have not left cannot be reached from here.", nil},
		{GatewayLatency, Gauge, "Round trip of heartbeats to another gateway of the roster that is up, in milliseconds.", []Label{{"gateway", "the gateway's name"}}},
		{Leader, Gauge, "1 while this gateway leads the control group.", nil},
		{GateOpen, Gauge, "1 while this gateway may write.", nil},
		{GateClosings, Counter, "Times that this gateway's write gate has closed.", nil},
		{RuleVersion, Gauge, "Version of the quorum rule that this gateway has applied; 0: none.", nil},
		{Fences, Counter, "Lives of gateways that were ended by a fence, as far as this process has applied.", nil},
		{PluginRestarts, Counter, "Times that this gateway has started a strategy's process again.", nil},
	}
}

// kept are the metrics of what outlives a gateway: copies of sessions, and the ledger.
func kept() []Metric {
	return []Metric{
		{SessionLag, Gauge, "Age of the oldest change of this gateway's sessions that no other gateway has confirmed, in milliseconds; 0: there is none. A record that no gateway takes has a lag of its own and counts as `failed`.", nil},
		{SessionCopies, Gauge, "Records of sessions and tasks that this gateway owns, by how far their copies are.", []Label{{"state", "`synced`, `pending`, `syncing`, `failed`"}}},
		{SessionClaims, Counter, "Sessions that this gateway has claimed, because their owner's life had ended or it had released them.", nil},
		{SessionRelays, Counter, "Requests that this gateway has sent to the gateway that owns their session.", nil},
		{SessionReleases, Counter, "Sessions that this gateway has released to another whose agents had moved.", nil},
		{SessionHints, Counter, "Sessions to be taken over of which a mirror nearby told before the store itself did.", nil},
		{SessionUnheard, Counter, "Sessions claimed without having heard a gateway that may hold newer contents.", nil},
		{SessionGone, Counter, "Sessions whose owner had ended and of which no gateway had a copy.", nil},
		{SessionDropped, Counter, "Sessions of this gateway's whose last changes were dropped: another gateway had claimed them without.", nil},
		{LedgerKeys, Gauge, "Idempotency keys that the fleet's ledger remembers, as far as this gateway has applied.", []Label{
			{"state", "`known` (the outcome is stored), `open` (the call is under way, or nobody has said how it ended), `unknown` (nobody will)"}}},
		{LedgerBytes, Gauge, "Bytes of results in the fleet's ledger.", nil},
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
