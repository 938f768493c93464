// Package upstream holds the nodes as the data plane uses them: connections, one breaker per node,
// in-flight and latency figures, the suspect probe and the death signal.
// It must not know sessions, routes, retry policy or where nodes come from.
package upstream

import (
	"fmt"

	"github.com/quorate/quorate/regions"
)

// Progress is how far an attempt came before it ended.
type Progress uint8

const (
	// NotSent: no byte of the body left the gateway, so the node cannot have acted on it.
	NotSent Progress = iota
	// Sent: bytes may have reached the node, no response header came back.
	Sent
	// Responding: response headers arrived.
	Responding
	// Done: the response ended as the protocol wants.
	Done
)

// String returns the state's word in DESIGN vocabulary.
func (p Progress) String() string {
	return [...]string{"not-sent", "sent", "responding", "done"}[p&3]
}

// Failure is why an attempt ended without a whole response.
type Failure uint8

const (
	// Refused: no connection could be made.
	Refused Failure = iota + 1
	// Reset: the connection broke.
	Reset
	// Dead: the node was declared dead (failed suspect probe, or by another request) while this waited.
	Dead
	// BreakerOpen: the node's breaker refused the attempt.
	BreakerOpen
	// Canceled: the caller gave up.
	Canceled
	// Malformed: the node answered something that is not HTTP.
	Malformed
	// Declined: the other region's gateway says that nobody there can take the request, and nobody has.
	Declined
	// Shed: it says so because it has too much to do.
	Shed
	// Unproven: what answered did not prove the node's identity, and was sent nothing.
	Unproven
	// Closed: this gateway's write gate was closed before a byte left.
	Closed
	// Barred: the other region's gateway says that it may not write, so nobody has acted.
	Barred
	// Fenced: the node, or the other region's gateway, refused the epoch that the write named, and has not acted.
	Fenced
)

// String names the failure for logs and metrics.
func (f Failure) String() string {
	names := [...]string{"none", "refused", "reset", "dead", "breaker_open", "canceled", "malformed", "declined", "shed", "unproven", "closed", "barred", "fenced"}
	if int(f) < len(names) {
		return names[f]
	}
	return "unknown"
}

// Error is the end of a failed attempt, also returned by reads of a response body that broke.
type Error struct {
	Node     regions.NodeID
	Progress Progress
	Failure  Failure
	Err      error
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("upstream: node %s: %s after %s: %v", e.Node, e.Failure, e.Progress, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
