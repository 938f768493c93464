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
