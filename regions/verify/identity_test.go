package verify

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity"
	"github.com/quorate/quorate/regions/identity/identitytest"
)

var errOther error = &identity.Error{Want: "one key", Got: "another"}

func TestImpostorIsLeftOutByOneCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		w := &world{
			good:  func(time.Duration) bool { return true },
			other: func(at time.Duration) bool { return at > time.Second && at < 6*time.Second },
		}
		watch, stop := observe(t, w, &log)
		if n := watch.node(); n.State != regions.Healthy || n.Unproven || n.Problem != "" {
			t.Errorf("before: %+v", n.Observation)
		}
		pass(5500 * time.Millisecond)
		n := watch.node()
		if n.State != regions.Unknown || n.Facts != nil || !n.Unproven || n.Problem != "server/discover: identity not proven: want one key, got another" {
			t.Errorf("by the first check: %+v", n.Observation)
		}
		pass(2 * time.Second) // checks at 5.75, 6.55, and 6.65 s
		synctest.Wait()
		if n = watch.node(); n.State != regions.Healthy || n.Facts == nil || n.Unproven || n.Problem != "" || time.Since(n.Since) > 2*time.Second {
			t.Errorf("after two good ones: %+v", n.Observation)
		}
		stop()
		if got := watch.cfg.proofs.Load(); got != 1 {
			t.Errorf("%d failed proofs counted, want 1 for one change", got)
		}
		if got := strings.Count(log.String(), "not who it must be"); got != 1 || strings.Count(log.String(), "\n") != 3 {
			t.Errorf("want one line for the change, and one each for the health before and after:\n%s", log.String())
		}
	})
}

// Between an impostor and health, a check over a connection that an earlier one had would prove nothing.
func TestWordOfTrafficCountsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{good: func(time.Duration) bool { return true }, takes: 10 * time.Millisecond}
		watch, stop := observe(t, w, nil)
		defer stop()
		pass(time.Second)
		watch.unproven(errOther)
		if n := watch.node(); n.State != regions.Unknown || n.Facts != nil || !n.Unproven || n.Problem != errOther.Error() || w.idles() != 1 {
			t.Errorf("at once: %+v, connections let go %d times", n.Observation, w.idles())
		}
		pass(100 * time.Millisecond) // one good check after 50 ms
		if n := watch.node(); n.State != regions.Unknown || !n.Unproven || n.Facts != nil || w.idles() != 2 {
			t.Errorf("after one good check: %+v, connections let go %d times", n.Observation, w.idles())
		}
		pass(100 * time.Millisecond)
		if n := watch.node(); n.State != regions.Healthy || n.Unproven || w.idles() != 3 {
			t.Errorf("after two: %+v, connections let go %d times", n.Observation, w.idles())
		}
		if diff := cmp.Diff(durations("0s", "1.05s", "1.16s"), w.seen()); diff != "" {
			t.Errorf("checks (-want +got):\n%s", diff)
		}
	})
}

func TestWordOfTrafficMakesTheCheckUnderWayVoid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{good: func(time.Duration) bool { return true }, takes: 40 * time.Millisecond}
		watch, stop := observe(t, w, nil)
		defer stop()
		pass(5050 * time.Millisecond) // 10 ms into the second check
		watch.unproven(errOther)
		pass(60 * time.Millisecond)
		if n := watch.node(); !n.Unproven || watch.health.Successes != 0 {
			t.Errorf("the check under way counted: %+v", watch.health)
		}
	})
}

func TestProblemIsBounded(t *testing.T) {
	got := problem(errors.New(strings.Repeat("é", 300)))
	if len(got) != 256 || !strings.HasPrefix(got, "éé") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	if got := problem(errors.New(strings.Repeat("a", 255) + "é")); got != strings.Repeat("a", 255) {
		t.Errorf("%q", got)
	}
}

// proven starts an MCP server that shows cert.
func proven(t *testing.T, address string, cert tls.Certificate, h http.Handler) (*identitytest.Listener, func()) {
	t.Helper()
	l := identitytest.Listen(t, address, &tls.Config{Certificates: []tls.Certificate{cert}})
	server := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	stop := func() { _ = server.Close(); <-done }
	t.Cleanup(stop)
	return l, stop
}

func TestNodesProveThemselvesToChecks(t *testing.T) {
	trusted, other := identitytest.NewAuthority(t, "trusted"), identitytest.NewAuthority(t, "other")
	named := func(names ...string) identitytest.Leaf { return identitytest.Leaf{DNS: names} }
	right := trusted.Issue(t, identitytest.Leaf{DNS: []string{"a.search.example.com"}, URIs: []string{"spiffe://example.org/search"}})
	tests := []struct {
		name string
		cert tls.Certificate
		id   regions.Identity
		good bool
	}{
		{"name", right, regions.Identity{TLSName: "*.search.example.com"}, true},
		{"id", right, regions.Identity{SPIFFE: "spiffe://example.org/search"}, true},
		{"key", right, regions.Identity{SPKI: identitytest.Pin(right)}, true},
		{"none", trusted.Issue(t, identitytest.Leaf{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}), regions.Identity{}, true},
		{"wrong name", trusted.Issue(t, named("evil.example.com")), regions.Identity{TLSName: "*.search.example.com"}, false},
		{"other authority", other.Issue(t, named("a.search.example.com")), regions.Identity{TLSName: "*.search.example.com"}, false},
		{"wrong key", trusted.Issue(t, named("a.search.example.com")), regions.Identity{TLSName: "*.search.example.com", SPKI: identitytest.Pin(right)}, false},
		{"none, wrong host", right, regions.Identity{}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l, _ := proven(t, "", test.cert, stateless(newServer()))
			tr := track(t, Config{Trust: trusted.Pool(), Interval: 100 * time.Millisecond})
			tr.SetNodes([]regions.Proposal{{ID: "a", URL: "https://" + l.Address() + "/mcp", Identity: test.id}})
			if test.good {
				await(t, tr, "healthy", in(regions.Healthy))
				return
			}
			await(t, tr, "tried again and again", func(n regions.Node) bool { return n.Unproven && n.ConsecutiveFailures >= 5 })
			if n := tr.Nodes()[0]; n.State != regions.Unknown || n.Facts != nil || !strings.Contains(n.Problem, "identity not proven: want ") {
				t.Errorf("%+v", n.Observation)
			}
			if l.Received() != 0 || l.Connections() < 5 || tr.FailedProofs() != 1 {
				t.Errorf("%d bytes over %d connections, %d changes", l.Received(), l.Connections(), tr.FailedProofs())
			}
		})
	}
}

// A node is killed and an impostor takes its port, with the certificate of another authority.
func TestImpostorOnTheSamePort(t *testing.T) {
	trusted, other := identitytest.NewAuthority(t, "trusted"), identitytest.NewAuthority(t, "other")
	leaf := identitytest.Leaf{DNS: []string{"a.example.com"}}
	right := trusted.Issue(t, leaf)
	l, kill := proven(t, "", right, stateless(newServer()))
	tr := track(t, Config{Trust: trusted.Pool(), Interval: 100 * time.Millisecond})
	tr.SetNodes([]regions.Proposal{{ID: "a", URL: "https://" + l.Address() + "/mcp", Identity: regions.Identity{TLSName: "a.example.com"}}})
	await(t, tr, "healthy", in(regions.Healthy))
	kill()
	impostor, end := proven(t, l.Address(), other.Issue(t, leaf), stateless(newServer()))
	await(t, tr, "unproven", func(n regions.Node) bool { return n.Unproven && n.State == regions.Unknown && n.Facts == nil })
	await(t, tr, "checked again", func(n regions.Node) bool { return n.ConsecutiveFailures >= 5 })
	end()
	if impostor.Received() != 0 || impostor.Connections() == 0 {
		t.Errorf("the impostor received %d bytes over %d connections", impostor.Received(), impostor.Connections())
	}
	proven(t, l.Address(), right, stateless(newServer()))
	await(t, tr, "healthy again", in(regions.Healthy))
}

// The stream of a node's announcements is opened again all the time, so it meets an impostor long before the next
// check is due.
func TestFeedThatMeetsAnImpostorHasItChecked(t *testing.T) {
	trusted, other := identitytest.NewAuthority(t, "trusted"), identitytest.NewAuthority(t, "other")
	leaf := identitytest.Leaf{DNS: []string{"a.example.com"}}
	following := &recorder{Handler: stateful(forgetful(t))}
	l, kill := proven(t, "", trusted.Issue(t, leaf), following)
	tr := track(t, Config{Trust: trusted.Pool(), Interval: time.Hour})
	tr.SetNodes([]regions.Proposal{{ID: "a", URL: "https://" + l.Address() + "/mcp", Identity: regions.Identity{TLSName: "a.example.com"}}})
	await(t, tr, "followed", func(n regions.Node) bool { return n.State == regions.Healthy && following.count("GET") > 0 })
	kill()
	await(t, tr, "missed", in(regions.Degraded)) // the stream broke, and the check that followed found nobody
	impostor, _ := proven(t, l.Address(), other.Issue(t, leaf), stateless(newServer()))
	await(t, tr, "unproven", func(n regions.Node) bool { return n.Unproven })
	if impostor.Received() != 0 {
		t.Errorf("%d bytes", impostor.Received())
	}
}

// A good node goes on while what it must prove changes; a bad one is found out at once.
func TestChangedIdentity(t *testing.T) {
	trusted := identitytest.NewAuthority(t, "trusted")
	right := trusted.Issue(t, identitytest.Leaf{DNS: []string{"a.example.com"}})
	l, _ := proven(t, "", right, stateless(newServer()))
	tr := track(t, Config{Trust: trusted.Pool(), Interval: time.Hour})
	set := func(id regions.Identity) {
		tr.SetNodes([]regions.Proposal{{ID: "a", URL: "https://" + l.Address() + "/mcp", Identity: id}})
	}
	set(regions.Identity{TLSName: "a.example.com"})
	await(t, tr, "healthy", in(regions.Healthy))
	before := l.Connections()
	set(regions.Identity{SPKI: identitytest.Pin(right)})
	if n := tr.Nodes()[0]; n.State != regions.Healthy || n.Facts == nil {
		t.Errorf("a change of identity made it %+v", n.Observation)
	}
	await(t, tr, "checked on a new connection", func(n regions.Node) bool { return l.Connections() > before && n.State == regions.Healthy })
	set(regions.Identity{SPKI: strings.Repeat("00", 32)})
	await(t, tr, "unproven", func(n regions.Node) bool { return n.Unproven })
	set(regions.Identity{SPKI: "nonsense"})
	if nodes := tr.Nodes(); len(nodes) != 0 {
		t.Errorf("a node whose identity means nothing is kept: %+v", nodes)
	}
}

// New authorities mean new proofs; the same ones do not.
func TestChangedTrust(t *testing.T) {
	trusted, other := identitytest.NewAuthority(t, "trusted"), identitytest.NewAuthority(t, "other")
	l, _ := proven(t, "", trusted.Issue(t, identitytest.Leaf{DNS: []string{"a.example.com"}}), stateless(newServer()))
	tr := track(t, Config{Trust: trusted.Pool(), Interval: time.Hour})
	tr.SetNodes([]regions.Proposal{
		{ID: "a", URL: "https://" + l.Address() + "/mcp", Identity: regions.Identity{TLSName: "a.example.com"}},
		{ID: "b", URL: serve(t, stateless(newServer()))},
	})
	healthy := func(regions.Node) bool {
		return !slices.ContainsFunc(tr.Nodes(), func(n regions.Node) bool { return n.State != regions.Healthy })
	}
	await(t, tr, "healthy, as the other", healthy)
	before := l.Connections()
	tr.SetTrust(trusted.Pool())
	both := trusted.Pool()
	both.AddCert(other.Cert())
	tr.SetTrust(both)
	if !healthy(regions.Node{}) {
		t.Errorf("another authority more made them %+v", tr.Nodes())
	}
	await(t, tr, "checked anew", func(regions.Node) bool { return l.Connections() > before })
	tr.SetTrust(other.Pool())
	await(t, tr, "unproven", func(n regions.Node) bool { return n.Unproven })
	if plain := tr.Nodes()[1]; plain.State != regions.Healthy || plain.Unproven {
		t.Errorf("the node without TLS: %+v", plain.Observation)
	}
}

func TestAliveHoldsNodesToTheirIdentity(t *testing.T) {
	trusted := identitytest.NewAuthority(t, "trusted")
	right := trusted.Issue(t, identitytest.Leaf{DNS: []string{"a.example.com"}})
	l, _ := proven(t, "", right, http.NotFoundHandler())
	for name, good := range map[string]bool{"b.example.com": false, "a.example.com": true} {
		hold, err := identity.TLS(regions.Identity{TLSName: name}, "127.0.0.1", trusted.Pool())
		if err != nil {
			t.Fatal(err)
		}
		before := l.Received()
		err = Alive(t.Context(), AliveClient(hold), "https://"+l.Address()+"/mcp")
		if (err == nil) != good || !good && (!errors.Is(err, identity.ErrIdentity) || l.Received() != before) {
			t.Errorf("%s: %v, %d bytes", name, err, l.Received()-before)
		}
	}
	if err := Alive(t.Context(), AliveClient(nil), "https://"+l.Address()+"/mcp"); err == nil {
		t.Error("an https node was asked without a proof")
	}
}
