package mcp

// RetryClass says what a gateway may do with a request whose node failed.
// The order is the order of freedom: Once < Retry < Hedge.
type RetryClass uint8

const (
	// Once must never be sent again after a byte of it may have reached a node.
	Once RetryClass = iota
	// Retry may be sent again after a failure, but never twice at one time.
	Retry
	// Hedge may be sent to two nodes at one time.
	Hedge
)

// String returns the word that configuration uses: "once", "retry" or "hedge".
func (c RetryClass) String() string {
	switch c {
	case Retry:
		return "retry"
	case Hedge:
		return "hedge"
	}
	return "once"
}
