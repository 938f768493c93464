package session

import (
	"context"
	"net/http"

	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/regions"
)

// Node is one stateful legacy MCP server; *upstream.Node is one.
type Node interface {
	ID() regions.NodeID
	// Do makes one attempt. Any status is a response; an error is an *upstream.Error.
	Do(ctx context.Context, r *upstream.Request) (*http.Response, error)
	// Down is closed when the node is declared dead, or leaves for good.
	Down() <-chan struct{}
}

// forwarder is a Node that can be the gateway of another region.
type forwarder interface{ Forwards() bool }

// forwards reports whether n is another region's gateway, which takes a session up in one round trip.
func forwards(n Node) bool {
	f, ok := n.(forwarder)
	return ok && f.Forwards()
}

// Pool is the stateful legacy nodes of one routing table.
type Pool interface {
	// Pick chooses a node for a new session, or one that moves.
	Pick(exclude func(regions.NodeID) bool) (Node, bool)
	// Lookup returns the node that a session is pinned to; false when it has left the table.
	Lookup(id regions.NodeID) (Node, bool)
	// Stays reports whether a session may stay on its node. It may not when the node has left the table, or
	// its region is given up; key is even over sessions, so that a region can be given up bit by bit.
	Stays(id regions.NodeID, key uint64) bool
}
