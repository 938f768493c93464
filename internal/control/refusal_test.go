package control

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/poll"
)

// filling is a log store whose disk is full now and then, and takes its time.
type filling struct {
	*raft.InmemStore
	full atomic.Bool
}

func (f *filling) StoreLogs(logs []*raft.Log) error {
	<-time.After(time.Millisecond)
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
	var streams [2]*loose
	for i, name := range []raft.ServerID{"a", "b"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		streams[i] = &loose{Listener: l}
		transports[i] = &guarded{NetworkTransport: overStreams(streams[i], nil, newRaftLog(nil)), leads: func(raft.ServerID, uint64) way { return wayOpen }}
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
			streams[i].end()
		})
	}
	return all, stores
}

// TestRefusedEntries: a follower whose disk was full for a moment, again and again under load, has everything in the end. With
// as few requests on the way as Raft has by default, it is sent nothing any more after a few of them.
func TestRefusedEntries(t *testing.T) {
	all, stores := pair(t)
	const rounds = 12
	for round := range rounds {
		lead := 0
		poll.True(t, time.Millisecond, 10*time.Second, "one leads", func() bool {
			lead = slices.IndexFunc(all[:], func(r *raft.Raft) bool { return r.State() == raft.Leader })
			return lead >= 0
		})
		leader, full := all[lead], &stores[1-lead].full
		var load sync.WaitGroup
		for range 4 {
			load.Go(func() {
				for range 200 {
					leader.Apply([]byte("entry"), 0)
					<-time.After(time.Millisecond / 4)
				}
			})
		}
		<-time.After(30 * time.Millisecond)
		full.Store(true)
		load.Wait()
		full.Store(false)
		poll.True(t, time.Millisecond, 4*time.Second, fmt.Sprintf("round %d: both have the same entries, with room on both disks", round), func() bool {
			return all[0].LastIndex() == all[1].LastIndex()
		})
	}
	t.Logf("N=%d rounds, %d entries", rounds, all[0].LastIndex())
}
