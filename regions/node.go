// Package regions is the vocabulary of where MCP servers run: regions, nodes, pools and the
// immutable routing table built from them. It is pure: it must not know sockets, clocks,
// configuration files, the gateway or any source of nodes.
package regions

import (
	"net/netip"
	"net/url"
	"time"
)

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
	Host    string // the name that the node goes by, where URL has an address in its place; "": URL's host
	Region  string
	Source  string // "static", "gateway", "consul" or "dns"
	Weight  int    // 1..1000, default 1
	// Identity is what the node must prove on every connection.
	Identity Identity
	// Version and Group are what its source says of it, for operators; traffic goes by what it was verified to do.
	Version, Group string
}

// Authority is what the node is asked for in the Host field (RFC 9110 section 7.2): its own name, with URL's port
// where that is not the scheme's. One on a loopback address is asked for by that: servers there refuse other names,
// which pages of a browser could have been given (DNS rebinding).
func (p Proposal) Authority() string {
	u, err := url.Parse(p.URL)
	switch {
	case err != nil:
		return ""
	case p.Host == "" || loopback(u.Hostname()):
		return u.Host
	case u.Port() == "":
		return p.Host
	}
	return p.Host + ":" + u.Port()
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// Identity is what a node proves by its TLS certificate before it is sent a byte. The zero value asks for
// nothing. Every field that is set must hold.
type Identity struct {
	TLSName string // a name that its certificate is issued for by a trusted authority; "*." stands for one label
	SPIFFE  string // a URI name of its certificate, issued by a trusted authority: spiffe://...
	SPKI    string // SHA-256 of its public key (SubjectPublicKeyInfo), 64 hexadecimal digits in lower case; no authority is asked
}

// None reports that nothing is asked for.
func (i Identity) None() bool { return i == Identity{} }

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
	// Unproven: what answers at the node's address has failed to prove Identity, and has not yet proven it again.
	// State is Unknown and Facts are nil then, so that it takes no traffic, not even in panic.
	Unproven bool
	Problem  string // why the last check failed, at most 256 bytes; "" after a good one
}

// Node is a proposal together with its observation, as the table holds it.
type Node struct {
	Proposal
	Observation
}
