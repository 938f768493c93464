// Package regions is the vocabulary of where MCP servers run: regions, nodes, pools and the
// immutable routing table built from them. It is pure: it must not know sockets, clocks,
// configuration files, the gateway or any source of nodes.
package regions

import "time"

// NodeID names one MCP server process; unique within a service.
type NodeID string

// Eras is the set of protocol generations a node was verified to speak.
type Eras uint8

const (
	// Legacy: the node answers initialize.
	Legacy Eras = 1 << iota
	// Modern: the node answers stateless requests of 2026-07-28 or later.
	Modern
)

// Has reports whether every era in want is in e.
func (e Eras) Has(want Eras) bool { return e&want == want }

// State is a node's health as verification sees it.
type State uint8

const (
	// Unknown: never verified; takes no traffic.
	Unknown State = iota
	// Healthy: verified, takes its full share.
	Healthy
	// Degraded: verified, but has failed recently; takes traffic after the healthy ones' share.
	Degraded
	// Unhealthy: failed verification; takes traffic only in panic.
	Unhealthy
)

// String returns the word shown in status.
func (s State) String() string {
	return [...]string{"unknown", "healthy", "degraded", "unhealthy"}[s&3]
}

// Proposal is a node as a source names it. A source can only propose.
type Proposal struct {
	ID      NodeID
	Service string
	URL     string // http or https, with the MCP endpoint's path
	Region  string
	Source  string // "static", later "consul", "dns"
	Weight  int    // 1..1000, default 1
}

// Tool is what a verified node says of one tool: the annotations that decide its retry class.
type Tool struct {
	ReadOnly   bool // readOnlyHint, default false
	Idempotent bool // idempotentHint, default false
}

// Facts is what verification learned of a node by talking to it.
type Facts struct {
	Eras     Eras
	Stateful bool            // its legacy initialize returns an Mcp-Session-Id
	Versions []string        // protocol versions it names, newest first
	Tools    map[string]Tool // by tool name; nil when it lists none
	Groups   []string        // tool_servers, resource_servers, prompt_servers it belongs to
}

// Observation is a node's health at one moment.
type Observation struct {
	State               State
	Facts               *Facts // nil before the first good verification; immutable
	LastSeen            time.Time
	ConsecutiveFailures int
	Latency             time.Duration // last good check's round trip
	Since               time.Time     // when State last became Healthy from something else: slow start counts from here
}

// Node is a proposal together with its observation, as the table holds it.
type Node struct {
	Proposal
	Observation
}
