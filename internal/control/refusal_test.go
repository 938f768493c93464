package control

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// filling is a log store whose disk is full now and then, and takes its time.
type filling struct {
	*raft.InmemStore
	full atomic.Bool
}

func (f *filling) StoreLogs(logs []*raft.Log) error {
	time.Sleep(time.Millisecond)
	if f.full.Load() {
		return errors.New("no space left on device")
	}
	return f.InmemStore.StoreLogs(logs)
}

// nothing is applied.
type nothing struct{}

func (nothing) Apply(*raft.Log) any                 { return nil }
func (nothing) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("none") }
func (nothing) Restore(io.ReadCloser) error         { return nil }

// pair starts two voters that have the transport that gateways have, over loopback.
func pair(t *testing.T) (all [2]*raft.Raft, stores [2]*filling) {
	t.Helper()
	var servers []raft.Server
	var transports [2]*guarded
	for i, name := range []raft.ServerID{"a", "b"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		transports[i] = &guarded{NetworkTransport: overStreams(&loose{Listener: l}, nil, newRaftLog(nil)), leads: func(raft.ServerID, uint64) way { return wayOpen }}
		servers = append(servers, raft.Server{ID: name, Address: transports[i].LocalAddr()})
	}
	for i, s := range servers {
		c := raft.DefaultConfig()
		c.LocalID, c.Logger, c.CommitTimeout = s.ID, newRaftLog(nil), 10*time.Millisecond
		c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = leastElection, leastElection, leastElection/2
		stores[i] = &filling{InmemStore: raft.NewInmemStore()}
		stable, snapshots := raft.NewInmemStore(), raft.NewInmemSnapshotStore()
		must(t, raft.BootstrapCluster(c, stores[i], stable, snapshots, transports[i], raft.Configuration{Servers: servers}))
		r, err := raft.NewRaft(c, nothing{}, stores[i], stable, snapshots, transports[i])
		must(t, err)
		all[i] = r
		t.Cleanup(func() {
			ended := make(chan struct{})
			go func() { _ = r.Shutdown().Error(); close(ended) }()
			select {
			case <-ended:
			case <-time.After(5 * time.Second):
				t.Errorf("%s does not end: it waits for a decoder that waits for it", s.ID)
			}
			_ = transports[i].Close()
		})
	}
	return all, stores
}

// TestRefusedEntries: a follower whose disk was full for a moment, again and again under load, has everything in the end. With
// as few requests on the way as Raft has by default, it is sent nothing any more after a few of them.
func TestRefusedEntries(t *testing.T) {
	all, stores := pair(t)
	var lead int
	for end := time.Now().Add(10 * time.Second); ; {
		if i := map[bool]int{true: 0, false: 1}[all[0].State() == raft.Leader]; all[i].State() == raft.Leader {
			lead = i
			break
		}
		if time.Now().After(end) {
			t.Fatal("nobody leads")
		}
		time.Sleep(time.Millisecond)
	}
	leader, other := all[lead], all[1-lead]
	const rounds = 12
	for round := range rounds {
		var load sync.WaitGroup
		for range 4 {
			load.Go(func() {
				for range 200 {
					leader.Apply([]byte("entry"), 0)
					time.Sleep(time.Millisecond / 4)
				}
			})
		}
		time.Sleep(30 * time.Millisecond)
		stores[1-lead].full.Store(true)
		load.Wait()
		stores[1-lead].full.Store(false)
		want := leader.LastIndex()
		for end := time.Now().Add(4 * time.Second); other.LastIndex() < want; time.Sleep(time.Millisecond) {
			if leader.State() != raft.Leader {
				t.Fatalf("round %d: leadership moved", round)
			}
			if time.Now().After(end) {
				t.Fatalf("round %d: the follower has %d of %d entries, 4 s after its disk has room again", round, other.LastIndex(), want)
			}
		}
	}
	t.Logf("N=%d rounds, %d entries", rounds, leader.LastIndex())
}
