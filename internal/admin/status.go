package admin

import "time"

// Status is the answer of /v1/status. Its JSON keys are a contract with scripts: add, never rename.
type Status struct {
	Gateway      string    `json:"gateway"`
	Region       string    `json:"region"`
	Version      string    `json:"version"`
	TableVersion uint64    `json:"table_version"`
	Services     []Service `json:"services"`
	// Settings is null where there are no run-time settings.
	Settings *SettingsStatus `json:"settings"`
	// Problems are what is wrong and does not show elsewhere, or not yet: why links are down, a file that is refused, a
	// certificate that ends.
	Problems []string `json:"problems"`
}

// Service is one logical MCP server.
type Service struct {
	Name string `json:"name"`
	Path string `json:"path"`
	// Sessions counts the live legacy sessions.
	Sessions int    `json:"sessions"`
	Nodes    []Node `json:"nodes"`
	// Sources say where the nodes come from, in the order of the file.
	Sources []Source `json:"sources"`
	// Conflicts are claims of sources that do not count; the first 100 of Refused.
	Conflicts []Conflict `json:"conflicts"`
	Refused   int        `json:"refused"`
}

// Source is one source of a service's nodes.
type Source struct {
	Name string `json:"name"`
	// Stale says that its last answer was none; Cause why, Since when. What it named before stays.
	Stale bool   `json:"stale"`
	Cause string `json:"cause"`
	Since Time   `json:"since"`
	// Answered is when it last answered at all, Good when it last answered well.
	Answered Time `json:"answered"`
	Good     Time `json:"good"`
	// Named counts the nodes of its last good answer, Held those that it holds, named or not.
	Named int `json:"named"`
	Held  int `json:"held"`
	// Answers, Errors and Disagreements count since it was configured, Restarts how often it was run again.
	Answers       uint64  `json:"answers"`
	Errors        uint64  `json:"errors"`
	Disagreements uint64  `json:"disagreements"`
	Restarts      uint64  `json:"restarts"`
	Voices        []Voice `json:"voices"`
}

// Voice is what one of those said whom a source has asked: a resolver, a datacenter.
type Voice struct {
	Who    string  `json:"who"`
	Said   string  `json:"said"`
	Agrees bool    `json:"agrees"`
	TookMS float64 `json:"took_ms"`
}

// Conflict is a claim of a source that does not count.
type Conflict struct {
	Source string `json:"source"`
	ID     string `json:"id"`
	URL    string `json:"url"`
	Cause  string `json:"cause"`
}

// Holder is a source that names a node, or has named it.
type Holder struct {
	Source string `json:"source"`
	// Left is when it stopped naming the node; null while it does.
	Left Time `json:"left"`
	// Stale says that the source is, Disk that the node is known from disk only.
	Stale bool `json:"stale"`
	Disk  bool `json:"disk"`
}

// Unverified is the identity of a node that has none to prove.
const Unverified = "unverified identity"

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
	// Identity is what the node proves on every connection, or "unverified identity".
	Identity string `json:"identity"`
	// Unproven says that something else answers at its address; it is sent nothing.
	Unproven bool `json:"unproven"`
	// Problem is why its last check failed; "" after a good one.
	Problem string `json:"problem"`
	// Version and Group are what its source says of it.
	Version string `json:"version"`
	Group   string `json:"group"`
	// ProposedBy lists the sources that hold it.
	ProposedBy []Holder `json:"proposed_by"`
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
			if n.Identity == "" {
				n.Identity = Unverified
			}
			if n.ProposedBy == nil {
				n.ProposedBy = []Holder{}
			}
			nodes[j] = n
		}
		service.Nodes = nodes
		service.Sources = append([]Source{}, service.Sources...)
		for j := range service.Sources {
			service.Sources[j].Voices = append([]Voice{}, service.Sources[j].Voices...)
		}
		service.Conflicts = append([]Conflict{}, service.Conflicts...)
		services[i] = service
	}
	s.Services, s.Problems = services, append([]string{}, s.Problems...)
	if s.Settings != nil {
		s.Settings = &SettingsStatus{Revision: s.Settings.Revision, Skipped: wholeSettings(s.Settings.Skipped)}
	}
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
