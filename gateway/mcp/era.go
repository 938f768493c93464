// Package mcp is the wire vocabulary of the Model Context Protocol as a gateway reads it:
// eras, methods, headers, the bounded envelope scan, SSE frames and retry classes.
// It must not know nodes, sessions, sockets or configuration.
package mcp

// Era is the generation of the protocol a message belongs to.
type Era uint8

const (
	// Legacy is every version up to 2025-11-25: initialize, sessions, the GET stream.
	Legacy Era = iota + 1
	// Modern is 2026-07-28 and later: stateless, every request carries its version.
	Modern
)

// The protocol versions that matter to a gateway, see the protocol's own changelog.
const (
	Version20241105 = "2024-11-05" // HTTP+SSE
	Version20250326 = "2025-03-26" // Streamable HTTP; the only version with batches; assumed when the header is absent
	Version20250618 = "2025-06-18" // MCP-Protocol-Version header
	Version20251125 = "2025-11-25" // the last legacy version
	Version20260728 = "2026-07-28" // the first modern version
)

// EraOf returns the era of a version, as found in the MCP-Protocol-Version header or in _meta.
// Versions are dates and compare as text, as the reference implementations do; so an unknown later
// version is Modern and its node refuses it, and none is Legacy.
func EraOf(version string) Era {
	if version >= Version20260728 {
		return Modern
	}
	return Legacy
}

// String returns "legacy" or "modern".
func (e Era) String() string {
	switch e {
	case Legacy:
		return "legacy"
	case Modern:
		return "modern"
	}
	return "unknown"
}
