package control

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// overStreams is Raft's transport over streams.
func overStreams(s raft.StreamLayer, to raft.ServerAddressProvider, log hclog.Logger) *raft.NetworkTransport {
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: s, ServerAddressProvider: to, MaxPool: streamPool, MaxRPCsInFlight: requestsUnderWay, Timeout: streamTimeout, Logger: log,
	})
}

// guarded is Raft's transport, of which Close waits for heartbeats. Raft takes them in beside its own goroutines and does
// not wait for them when it ends: one that names a new term would be written to a store that is closed, which Raft
// answers with a panic.
type guarded struct {
	*raft.NetworkTransport
	leads func(id raft.ServerID, term uint64) way
	mu    sync.RWMutex // held by heartbeats that are taken in; guards what follows
	over  bool
	full  map[raft.ServerID]time.Time // when a server's store refused entries last
}

// SetHeartbeatHandler implements raft.Transport.
func (g *guarded) SetHeartbeatHandler(take func(raft.RPC)) {
	g.NetworkTransport.SetHeartbeatHandler(func(rpc raft.RPC) { g.take(rpc, take) })
}

func (g *guarded) take(rpc raft.RPC, take func(raft.RPC)) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.over {
		rpc.Respond(nil, raft.ErrRaftShutdown)
		return
	}
	take(rpc)
}

// Close implements raft.WithClose.
func (g *guarded) Close() error {
	g.mu.Lock()
	g.over = true
	g.mu.Unlock()
	return g.NetworkTransport.Close()
}
