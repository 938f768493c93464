package verify

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/regions"
)

func kept(url string) (regions.Proposal, *regions.Facts) {
	return regions.Proposal{ID: "a", URL: url, Region: "here", Source: "static", Weight: 1},
		&regions.Facts{Eras: regions.Legacy, Versions: []string{"2025-06-18"}, Tools: map[string]regions.Tool{"old": {}}}
}

// A seeded node serves at once with what is known of it, and is checked at once.
func TestSeed(t *testing.T) {
	hold := make(chan struct{})
	p, facts := kept(serve(t, gate(hold, stateless(newServer()))))
	tr := track(t, Config{Interval: slow}) // ends before its node, or it would open its feed again and again
	seen := time.Now().Add(-time.Hour)
	if !tr.Seed(p, facts, seen) {
		t.Fatal("not watched")
	}
	select {
	case <-tr.Changed():
	default:
		t.Error("nobody is told")
	}
	n := tr.Nodes()[0]
	if n.State != regions.Healthy || !n.LastSeen.Equal(seen) || !n.Since.Equal(seen) || n.Service != "tools" || !cmp.Equal(n.Facts, facts) {
		t.Errorf("before its check: %+v", n)
	}
	tr.SetNodes([]regions.Proposal{p}) // its source names it: it stays as it is
	if n := tr.Nodes()[0]; n.State != regions.Healthy || n.Facts == nil {
		t.Errorf("once named: %+v", n)
	}
	close(hold)
	n = await(t, tr, "seen anew", func(n regions.Node) bool { return n.LastSeen.After(seen) })
	if n.State != regions.Healthy || !n.Facts.Eras.Has(regions.Modern) || !n.Since.Equal(seen) {
		t.Errorf("after its check: %+v", n)
	}
}

// A seeded node that is gone goes the way of every healthy one, and Failing counts from when it was last seen.
func TestSeedOfADeadNode(t *testing.T) {
	for what, kill := range map[string]func(*Tracker){
		"by its checks":      func(*Tracker) {},
		"by the first calls": func(tr *Tracker) { tr.Failed("a", true) },
	} {
		t.Run(what, func(t *testing.T) {
			p, facts := kept(serve(t, status(503)))
			tr := track(t, Config{Interval: 100 * time.Millisecond})
			seen := time.Now().Add(-time.Hour)
			if since, failing := tr.Failing("a"); failing || !since.IsZero() {
				t.Errorf("unknown, and fails since %v", since)
			}
			tr.Seed(p, facts, seen)
			kill(tr)
			n := await(t, tr, "unhealthy", in(regions.Unhealthy))
			if n.Facts == nil {
				t.Error("what is known of it is lost")
			}
			if since, failing := tr.Failing("a"); !failing || !since.Equal(seen) {
				t.Errorf("fails: %v, since %v", failing, since)
			}
		})
	}
}

func TestFailing(t *testing.T) {
	node := &swap{}
	tr := track(t, Config{Interval: 100 * time.Millisecond, Failures: 2}, serve(t, node))
	await(t, tr, "failing", func(n regions.Node) bool { return n.ConsecutiveFailures > 0 })
	if since, failing := tr.Failing("a"); !failing || !since.IsZero() {
		t.Errorf("never verified: %v, since %v", failing, since)
	}
	node.set(stateless(newServer()))
	await(t, tr, "healthy", in(regions.Healthy))
	if _, failing := tr.Failing("a"); failing {
		t.Error("fails while healthy")
	}
}

func TestSeedRefuses(t *testing.T) {
	p, facts := kept(serve(t, stateless(newServer())))
	tr := track(t, Config{Interval: slow})
	bad := p
	bad.URL = "ftp://h/"
	if tr.Seed(bad, facts, time.Now()) || tr.Seed(p, nil, time.Now()) {
		t.Error("an invalid node or one without facts is watched")
	}
	if !tr.Seed(p, facts, time.Now()) || tr.Seed(p, facts, time.Now()) {
		t.Error("a node is not watched exactly once")
	}
	tr.Close()
	p.ID = "b"
	if tr.Seed(p, facts, time.Now()) {
		t.Error("watched after Close")
	}
}

// gate holds every request until hold is closed.
func gate(hold <-chan struct{}, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-hold:
			h.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
}
