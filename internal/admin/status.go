package admin

import "time"

// Status is the answer of /v1/status. Its JSON keys are a contract with scripts: add, never rename.
type Status struct {
	Gateway      string    `json:"gateway"`
	Region       string    `json:"region"`
	Version      string    `json:"version"`
	TableVersion uint64    `json:"table_version"`
	Services     []Service `json:"services"`
}

// Service is one logical MCP server.
type Service struct {
	Name string `json:"name"`
	Path string `json:"path"`
	// Sessions counts the live legacy sessions.
	Sessions int    `json:"sessions"`
	Nodes    []Node `json:"nodes"`
}

// Node is one MCP server process of a service.
type Node struct {
	ID     string `json:"id"`
	URL    string `json:"url"`
	Region string `json:"region"`
	Source string `json:"source"`
	Era    Era    `json:"era"`
	// State is "unknown", "healthy", "degraded" or "unhealthy".
	State string `json:"state"`
	// LastSeen is when the node last passed a check; zero is written as null.
	LastSeen            Time    `json:"last_seen"`
	ConsecutiveFailures int     `json:"consecutive_failures"`
	LatencyMS           float64 `json:"latency_ms"`
	InFlight            int64   `json:"in_flight"`
	// Breaker is "closed", "open" or "half_open".
	Breaker string   `json:"breaker"`
	Groups  []string `json:"groups"`
}

// Era is the generations of the protocol that a node was verified to speak.
type Era string

// The values of Era.
const (
	EraUnknown Era = "unknown"
	EraLegacy  Era = "legacy"
	EraModern  Era = "modern"
	EraBoth    Era = "both"
)

// EraOf names the set of eras a node speaks.
func EraOf(legacy, modern bool) Era {
	switch {
	case legacy && modern:
		return EraBoth
	case legacy:
		return EraLegacy
	case modern:
		return EraModern
	}
	return EraUnknown
}

// Time is a moment in JSON: RFC 3339 in UTC with milliseconds, or null when zero.
type Time struct{ time.Time }

// MarshalJSON writes null for the zero time.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return t.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z07:00"`), nil
}

// filled returns s with every absent list empty and every absent word said, so that clients never
// meet a null where a list belongs. What s shares with its maker is not changed.
func filled(s Status) Status {
	services := make([]Service, len(s.Services))
	for i, service := range s.Services {
		nodes := make([]Node, len(service.Nodes))
		for j, n := range service.Nodes {
			if n.Era == "" {
				n.Era = EraUnknown
			}
			if n.Groups == nil {
				n.Groups = []string{}
			}
			nodes[j] = n
		}
		service.Nodes = nodes
		services[i] = service
	}
	s.Services = services
	return s
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		t.Time = time.Time{}
		return nil
	}
	return t.Time.UnmarshalJSON(b)
}
