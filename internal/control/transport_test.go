package control

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// Close waits for a heartbeat that is taken in, and none is after it: the store is closed next.
func TestCloseWaitsForHeartbeats(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	g := &guarded{NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: &streams{Listener: l, address: "here:1", store: "s"}, MaxPool: 1, Timeout: time.Second, Logger: newRaftLog(nil),
	})}
	begun, end, closed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	answers := make(chan raft.RPCResponse, 2)
	taken := 0
	take := func(raft.RPC) { taken++; close(begun); <-end }
	go g.take(raft.RPC{RespChan: answers}, take)
	<-begun
	go func() { _ = g.Close(); close(closed) }()
	select {
	case <-closed:
		t.Error("closed while a heartbeat is taken in")
	case <-time.After(20 * time.Millisecond):
	}
	close(end)
	<-closed
	g.take(raft.RPC{RespChan: answers}, take)
	if a := <-answers; !errors.Is(a.Error, raft.ErrRaftShutdown) || taken != 1 {
		t.Errorf("%v, %d taken", a.Error, taken)
	}
}
