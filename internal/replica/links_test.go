package replica_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/replica"
)

// linked is a store behind real links: HTTP/2 between gateways that know each other by their certificates.
type linked struct {
	name  string
	peers *peer.Peers
	store *replica.Store
	addr  string
}

func startLinked(t *testing.T, dir, name string, all func() []replica.Place) *linked {
	t.Helper()
	files, err := ca.Issue(dir, "region-"+name[:1], name, ca.Options{})
	if err != nil {
		t.Fatal(err)
	}
	credentials, err := peer.LoadCredentials(filepath.Join(dir, ca.CertFile), files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &linked{name: name, addr: l.Addr().String()}
	ready := make(chan struct{})
	m.peers, err = peer.New(peer.Config{
		Credentials: credentials, Version: "test", Advertise: m.addr, Logger: slog.New(slog.DiscardHandler),
		Forward: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-ready; m.store.ServeHTTP(w, r) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = m.peers.Serve(l) }()
	m.store, err = replica.Open(replica.Config{
		Gateway: name, Region: "region-" + name[:1], Dir: filepath.Join(dir, "store-"+name), Places: all, Transport: m.peers.TransportTo,
		Label: func() string { return "cluster/1" },
	})
	if err != nil {
		t.Fatal(err)
	}
	close(ready)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(m.store.Close(ctx), m.peers.Close(ctx)); err != nil {
			t.Log(err)
		}
	})
	return m
}

// TestRealLinks: the same as with the servers of the other tests, over the links that gateways have.
func TestRealLinks(t *testing.T) {
	dir := t.TempDir()
	if err := ca.Init(dir, ca.Options{}); err != nil {
		t.Fatal(err)
	}
	names := []string{"a1", "b1", "c1"}
	all := func() (all []replica.Place) {
		for _, n := range names {
			all = append(all, replica.Place{Gateway: n, Region: "region-" + n[:1], Up: true})
		}
		return all
	}
	var members []*linked
	for _, n := range names {
		members = append(members, startLinked(t, dir, n, all))
	}
	for _, m := range members {
		var remotes []peer.Remote
		for _, o := range members {
			if o != m {
				remotes = append(remotes, peer.Remote{Address: o.addr})
			}
		}
		if err := m.peers.SetRemotes(remotes); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "copies are complete", func() bool {
		for _, m := range members {
			if len(m.store.Ready()) > 0 {
				return false
			}
		}
		return true
	})
	k := replica.Key{Kind: replica.Session, ID: "one"}
	for i := range 200 {
		r := replica.Record{Key: k, Service: "files", Version: uint64(i + 1), Until: time.Now().Add(time.Hour).Unix(), Contents: []byte(fmt.Sprint(i))}
		if err := members[0].store.Put(t.Context(), r, 2); err != nil {
			t.Fatal(err)
		}
	}
	got, err := members[1].store.Fetch(t.Context(), k, 3, "a1")
	if err != nil || string(got.Contents) != "199" || len(got.Silent) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
	report, err := members[2].store.Verify(t.Context())
	if err != nil || !report.Same() {
		t.Errorf("%+v, %v", report, err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); !ok(); <-tick.C {
		if time.Since(began) > 15*time.Second {
			t.Fatal("not in time: " + what)
		}
	}
}
