package verify

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity"
	"github.com/quorate/quorate/regions/identity/identitytest"
)

func examine(t *testing.T, cfg Config, url string, id regions.Identity) (Examination, error) {
	t.Helper()
	cfg.Service, cfg.Logger = "s", slog.New(slog.DiscardHandler)
	return Examine(t.Context(), cfg, regions.Proposal{ID: "a", Service: "s", URL: url, Region: "r", Source: "static", Weight: 1, Identity: id})
}

// The server's sessions are ended by the examination, or goleak finds them.
func TestExamineLeavesNoSession(t *testing.T) {
	s := newServer()
	e, err := examine(t, Config{}, serve(t, stateful(s)), regions.Identity{})
	if err != nil || !e.Facts.Eras.Has(regions.Legacy) || !e.Facts.Stateful || len(e.Facts.Tools) != 3 || e.Latency <= 0 {
		t.Fatalf("%+v %v", e, err)
	}
	// The server answers the DELETE before it has dropped the session.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for sessions(s) != 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("a session is left")
		}
	}
}

func sessions(s *mcp.Server) (n int) {
	for range s.Sessions() {
		n++
	}
	return n
}

func TestExamineSaysWhatAnswers(t *testing.T) {
	page := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }))
	_, err := examine(t, Config{}, page, regions.Identity{})
	if status, ok := Status(err); !ok || status != http.StatusOK {
		t.Errorf("a page: %d %v: %v", status, ok, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	began := time.Now()
	_, err = examine(t, Config{Timeout: 100 * time.Millisecond}, "http://"+l.Addr().String(), regions.Identity{})
	if _, ok := Status(err); ok || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*time.Second {
		t.Errorf("silence: %v after %v", err, time.Since(began))
	}
}

func TestExamineSendsAnImpostorNothing(t *testing.T) {
	authority := identitytest.NewAuthority(t, "nodes")
	l := identitytest.Listen(t, "", &tls.Config{Certificates: []tls.Certificate{authority.Issue(t, identitytest.Leaf{DNS: []string{"b.example.com"}})}})
	server := &http.Server{Handler: stateless(newServer()), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	defer func() { _ = server.Close(); <-done }()
	_, err := examine(t, Config{Trust: authority.Pool()}, "https://"+l.Address(), regions.Identity{TLSName: "a.example.com"})
	if !errors.Is(err, identity.ErrIdentity) || l.Received() != 0 {
		t.Errorf("%v, %d bytes received", err, l.Received())
	}
	e, err := examine(t, Config{Trust: authority.Pool()}, "https://"+l.Address(), regions.Identity{TLSName: "b.example.com"})
	if err != nil || !e.Facts.Eras.Has(regions.Modern) {
		t.Errorf("the node itself: %+v %v", e, err)
	}
}

func TestExamineAsksForTheNodesOwnName(t *testing.T) {
	asked := make(chan string, 16)
	inner := stateless(newServer())
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Host
		r.Host = r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()
		inner.ServeHTTP(w, r)
	}))
	n := regions.Proposal{ID: "a", Service: "s", URL: url, Host: "n1.example.com", Region: "r", Source: "dns", Weight: 1}
	if _, err := Examine(t.Context(), Config{Service: "s", Logger: slog.New(slog.DiscardHandler)}, n); err != nil {
		t.Fatal(err)
	}
	if got := <-asked; got != n.Authority() {
		t.Errorf("asked for %q, want %q", got, n.Authority())
	}
}
