package gateway

import (
	"context"
	"crypto/x509"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/route"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity/identitytest"
)

// Connections that were proven for one identity, or by one authority, serve no other.
func TestNodeWithAnotherIdentityIsAnotherNode(t *testing.T) {
	g, err := New(Config{Name: "gw", Outside: &world{}, Logger: slog.New(slog.DiscardHandler),
		Duration: func(string, string, string) func(time.Duration) { return func(time.Duration) {} }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(context.Background()); g.Release() })
	routes, err := route.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	publish := func(id regions.Identity, trust *x509.CertPool) (secure, plain *upstream.Node) {
		t.Helper()
		seen := regions.Observation{State: regions.Healthy, LastSeen: time.Now(), Facts: &regions.Facts{Eras: regions.Modern}}
		table, err := regions.Build(regions.Input{Region: "r", Services: []regions.ServiceInput{{Name: "tools", Path: "/mcp", Nodes: []regions.Node{
			{Proposal: regions.Proposal{ID: "plain", URL: "http://127.0.0.1:1/mcp"}, Observation: seen},
			{Proposal: regions.Proposal{ID: "secure", URL: "https://127.0.0.1:1/mcp", Identity: id}, Observation: seen},
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Publish(table, []Service{{Name: "tools", Path: "/mcp", Routes: routes, Attempts: 1, Trust: trust}}, nil, nil); err != nil {
			t.Fatal(err)
		}
		secure, _ = g.Node("tools", "secure")
		plain, _ = g.Node("tools", "plain")
		return secure, plain
	}
	one, other := identitytest.NewAuthority(t, "one"), identitytest.NewAuthority(t, "other")
	byName, byKey := regions.Identity{TLSName: "a.example.com"}, regions.Identity{SPKI: strings.Repeat("00", 32)}
	first, http := publish(byName, one.Pool())
	for _, step := range []struct {
		name  string
		id    regions.Identity
		trust *x509.CertPool
		same  bool
	}{
		{"nothing changes", byName, one.Pool(), true},
		{"another identity", byKey, one.Pool(), false},
		{"the same again", byKey, one.Pool(), true},
		{"another authority", byKey, other.Pool(), false},
		{"the system's", byKey, nil, false},
		{"the system's again", byKey, nil, true},
		{"no identity", regions.Identity{}, nil, false},
	} {
		secure, plain := publish(step.id, step.trust)
		if (secure == first) != step.same || plain != http {
			t.Errorf("%s: same node %v, want %v; same plain node %v", step.name, secure == first, step.same, plain == http)
		}
		if secure != first {
			select {
			case <-first.Down():
			default:
				t.Errorf("%s: the node before is still in use", step.name)
			}
		}
		first = secure
	}
}
