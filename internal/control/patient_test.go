package control

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// loose accepts streams, which it can end without a word, as the end of a process does.
type loose struct {
	net.Listener
	mu  sync.Mutex
	all []net.Conn
}

func (l *loose) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = append(l.all, c)
	}
	return c, err
}

func (l *loose) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", string(to), timeout)
}

func (l *loose) end() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = len(l.all)
	for _, c := range l.all {
		_ = c.Close()
	}
	l.all = nil
	return n
}

func listening(t *testing.T) (*loose, *raft.NetworkTransport) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &loose{Listener: l}
	tr := overStreams(s, nil, newRaftLog(nil))
	t.Cleanup(func() { _ = tr.Close(); s.end() })
	return s, tr
}

// TestPatientTransport: what is sent to a voter does not fail because its former process had streams, waits for a link while
// this gateway leads, and is not hurried where its store takes nothing.
func TestPatientTransport(t *testing.T) {
	there, voter := listening(t)
	_, own := listening(t)
	var mu sync.Mutex
	full, linked, leads := false, true, true
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	go func() {
		for {
			select {
			case rpc := <-voter.Consumer():
				mu.Lock()
				rpc.Respond(&raft.AppendEntriesResponse{Term: 3, Success: !full}, nil)
				mu.Unlock()
			case <-over:
				return
			}
		}
	}()
	g := &guarded{NetworkTransport: own, leads: func(_ raft.ServerID, term uint64) way {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case !leads || term != 3:
			return wayOver
		case !linked:
			return wayCut
		}
		return wayOpen
	}}
	set := func(f func()) { mu.Lock(); defer mu.Unlock(); f() }
	send := func(g raft.Transport) (resp raft.AppendEntriesResponse, took time.Duration, err error) {
		began := time.Now()
		req := &raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}, Term: 3, PrevLogEntry: 1}
		err = g.AppendEntries("v", voter.LocalAddr(), req, &resp)
		return resp, time.Since(began), err
	}
	fill := func() {
		var all sync.WaitGroup
		for range streamPool {
			all.Go(func() { _, _, _ = send(own) })
		}
		all.Wait()
	}
	fill()
	if n := there.end(); n == 0 {
		t.Fatal("there is no stream to end")
	}
	if _, _, err := send(own); err == nil {
		t.Error("control: a stream that has ended takes a request")
	}
	fill()
	there.end()
	if resp, took, err := send(g); err != nil || !resp.Success || took > time.Second {
		t.Errorf("after the end of all streams: %v, %v after %s", resp.Success, err, took)
	}
	set(func() { full = true })
	asked := time.Now()
	for range 2 {
		if resp, took, err := send(g); err != nil || resp.Success || !resp.NoRetryBackoff {
			t.Errorf("a store that takes nothing: %+v, %v after %s", resp, err, took)
		}
	}
	if took := time.Since(asked); took < fullPause {
		t.Errorf("a store that takes nothing is asked again after %s", took)
	}
	set(func() { full, linked = false, false })
	time.AfterFunc(5*heldLook, func() { set(func() { linked = true }) })
	if resp, took, err := send(g); err != nil || !resp.Success || took < 5*heldLook {
		t.Errorf("without a link for a moment: %v, %v after %s", resp.Success, err, took)
	}
	there.end()
	set(func() { linked = false })
	must(t, errors.Join(there.Close()))
	time.AfterFunc(5*heldLook, func() { set(func() { leads = false }) })
	if _, took, err := send(g); !errors.Is(err, errLeadsNoMore) || took > time.Second {
		t.Errorf("without a link, and led by another: %v after %s", err, took)
	}
}
