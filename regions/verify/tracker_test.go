package verify

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/regions"
)

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

func replaceID(body, id string) string { return strings.ReplaceAll(body, "#ID#", id) }

const slow = time.Hour // an interval that never comes round

func TestRealServers(t *testing.T) {
	tools := map[string]regions.Tool{"look": {ReadOnly: true}, "put": {Idempotent: true}, "charge": {}}
	legacy := []string{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}
	tests := []struct {
		name    string
		handler http.Handler
		want    regions.Facts
	}{
		{"stateful", stateful(newServer()), regions.Facts{
			Eras: regions.Legacy, Stateful: true, Versions: legacy, Tools: tools, Groups: []string{"tool_servers"}}},
		{"stateless", stateless(newServer()), regions.Facts{
			Eras: regions.Legacy | regions.Modern, Versions: append([]string{"2026-07-28"}, legacy...), Tools: tools, Groups: []string{"tool_servers"}}},
		{"stateful with JSON answers", mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return newServer() },
			&mcp.StreamableHTTPOptions{JSONResponse: true}), regions.Facts{
			Eras: regions.Legacy, Stateful: true, Versions: legacy, Tools: tools, Groups: []string{"tool_servers"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			tr := track(t, Config{}, serve(t, tt.handler))
			n := await(t, tr, "healthy", in(regions.Healthy))
			if diff := cmp.Diff(&tt.want, n.Facts); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
			if n.LastSeen.Before(began) || n.Since.Before(began) || n.Latency <= 0 || n.ConsecutiveFailures != 0 {
				t.Errorf("observation %+v", n.Observation)
			}
			if n.Service != "tools" || n.Region != "here" || n.Weight != 1 {
				t.Errorf("proposal %+v", n.Proposal)
			}
		})
	}
}

func TestVerificationSessionIsKeptAndEnded(t *testing.T) {
	rec := &recorder{Handler: stateful(newServer())}
	tr := track(t, Config{Interval: 100 * time.Millisecond}, serve(t, rec))
	await(t, tr, "healthy after some checks", func(regions.Node) bool { return rec.count("POST tools/list") >= 8 })
	tr.Close()
	if n := rec.count("POST initialize"); n != 1 {
		t.Errorf("%d sessions were opened for many checks", n)
	}
	if n := rec.count("DELETE"); n != 1 {
		t.Errorf("%d sessions were ended", n)
	}
}

func TestSessionEndsWhenTheNodeIsRemoved(t *testing.T) {
	rec := &recorder{Handler: stateful(newServer())}
	tr := track(t, Config{Interval: slow}, serve(t, rec))
	await(t, tr, "healthy", in(regions.Healthy))
	tr.SetNodes(nil)
	if n := tr.Nodes(); len(n) != 0 {
		t.Errorf("still there: %+v", n)
	}
	tr.Close()
	if n := rec.count("DELETE"); n != 1 {
		t.Errorf("%d sessions were ended", n)
	}
}

// A restarted node has forgotten the verification session (404 of go-sdk, 400 of others). That is no
// failure of the node.
func TestForgottenSessionIsOpenedAgain(t *testing.T) {
	for name, first := range map[string]http.Handler{"restart": nil, "400": status(http.StatusBadRequest)} {
		t.Run(name, func(t *testing.T) {
			node := &swap{now: stateful(forgetful(t))}
			rec := &recorder{Handler: node}
			var log bytes.Buffer
			tr := track(t, Config{Interval: 200 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))}, serve(t, rec))
			await(t, tr, "healthy", in(regions.Healthy))
			again := stateful(newServer())
			if first != nil {
				good := again
				again = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Mcp-Session-Id") != "" && rec.count("POST initialize") == 1 {
						first.ServeHTTP(w, r)
						return
					}
					good.ServeHTTP(w, r)
				})
			}
			node.set(again)
			await(t, tr, "met again", func(regions.Node) bool { return rec.count("POST notifications/initialized") >= 2 })
			await(t, tr, "healthy", in(regions.Healthy))
			tr.Close()
			if strings.Contains(log.String(), "degraded") {
				t.Errorf("the node was blamed:\n%s", log.String())
			}
		})
	}
}

func TestNodeComesBackAsAnother(t *testing.T) {
	node := &swap{now: stateful(forgetful(t))}
	tr := track(t, Config{Interval: 100 * time.Millisecond, Failures: 1}, serve(t, node))
	n := await(t, tr, "healthy", in(regions.Healthy))
	if n.Facts.Eras != regions.Legacy {
		t.Fatalf("eras %v", n.Facts.Eras)
	}
	node.set(nil)
	n = await(t, tr, "unhealthy", in(regions.Unhealthy))
	if n.Facts == nil || n.Facts.Eras != regions.Legacy {
		t.Errorf("facts were lost in the outage: %+v", n.Facts)
	}
	node.set(stateless(newServer()))
	n = await(t, tr, "healthy", in(regions.Healthy))
	if !n.Facts.Eras.Has(regions.Legacy|regions.Modern) || n.Facts.Stateful {
		t.Errorf("facts %+v", n.Facts)
	}
}

func TestToolListChanges(t *testing.T) {
	for name, handler := range map[string]func(*mcp.Server) http.Handler{"legacy": stateful, "modern": stateless} {
		t.Run(name, func(t *testing.T) {
			s := newServer()
			tr := track(t, Config{Interval: slow}, serve(t, handler(s)))
			await(t, tr, "healthy", in(regions.Healthy))
			for i := range 3 {
				tool := fmt.Sprintf("new%d", i)
				addTool(s, tool, &mcp.ToolAnnotations{ReadOnlyHint: true})
				await(t, tr, "refreshed", func(n regions.Node) bool { return n.Facts.Tools[tool].ReadOnly })
			}
			addTool(s, "look", nil) // an annotation that is taken back
			await(t, tr, "stricter", func(n regions.Node) bool { return !n.Facts.Tools["look"].ReadOnly })
		})
	}
}

// The feed comes back after the node's restart, and what changed meanwhile is not missed.
func TestFeedSurvivesARestart(t *testing.T) {
	for name, handler := range map[string]func(*mcp.Server) http.Handler{"legacy": stateful, "modern": stateless} {
		t.Run(name, func(t *testing.T) {
			node := &swap{now: handler(forgetful(t))}
			ts := httptest.NewServer(node)
			t.Cleanup(func() { ts.CloseClientConnections(); ts.Close() })
			tr := track(t, Config{Interval: slow}, ts.URL+"/mcp")
			await(t, tr, "healthy", in(regions.Healthy))

			s := forgetful(t) // the answer to initialize may be cut
			addTool(s, "meanwhile", nil)
			node.set(handler(s))
			ts.CloseClientConnections()
			await(t, tr, "seen anew", func(n regions.Node) bool { _, ok := n.Facts.Tools["meanwhile"]; return ok })
			addTool(s, "later", nil)
			await(t, tr, "followed again", func(n regions.Node) bool { _, ok := n.Facts.Tools["later"]; return ok })
		})
	}
}

func TestDeathAndReturn(t *testing.T) {
	node := &swap{now: stateless(newServer())}
	tr := track(t, Config{Interval: slow}, serve(t, node))
	first := await(t, tr, "healthy", in(regions.Healthy))
	node.set(nil)
	tr.Failed("a", true)
	if n := tr.Nodes()[0]; n.State != regions.Unhealthy {
		t.Fatalf("right after the signal: %v", n.State)
	}
	tr.Failed("nobody", true)
	node.set(stateless(newServer()))
	n := await(t, tr, "healthy", in(regions.Healthy))
	if !n.Since.After(first.Since) {
		t.Errorf("slow start would count from %v, the first time was %v", n.Since, first.Since)
	}
}

// A passive failure alone changes nothing; the check that it causes does.
func TestPassiveFailureMakesACheck(t *testing.T) {
	node := &swap{now: stateless(newServer())}
	tr := track(t, Config{Interval: slow}, serve(t, node))
	await(t, tr, "healthy", in(regions.Healthy))
	node.set(nil)
	tr.Failed("a", false)
	await(t, tr, "degraded", in(regions.Degraded))
	node.set(stateless(newServer()))
	tr.Failed("a", false)
	await(t, tr, "healthy", in(regions.Healthy))
}

func TestChangedIsSilentWhenNothingIsNew(t *testing.T) {
	rec := &recorder{Handler: stateless(newServer())}
	tr := track(t, Config{Interval: 100 * time.Millisecond}, serve(t, rec))
	await(t, tr, "healthy", in(regions.Healthy))
	settled := rec.count("POST tools/list")
	select { // the change that await may have seen before its signal
	case <-tr.Changed():
	default:
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for rec.count("POST tools/list") < settled+10 {
		select {
		case <-tr.Changed():
			t.Fatal("a check that found nothing new signals a change")
		case <-tick.C:
		}
	}
}

func TestSetNodes(t *testing.T) {
	a := serve(t, stateless(newServer()))
	b := serve(t, stateful(forgetful(t))) // a node removed while it answers initialize keeps that session
	tr := track(t, Config{Interval: slow}, a)
	before := await(t, tr, "healthy", in(regions.Healthy))

	tr.SetNodes([]regions.Proposal{
		{ID: "a", URL: a, Region: "here", Weight: 7},
		{ID: "b", URL: b, Region: "here"},
		{ID: "b", URL: a, Region: "here"},                  // its id is taken
		{ID: "c", URL: "ftp://127.0.0.1/", Region: "here"}, // no http
	})
	nodes := tr.Nodes()
	if len(nodes) != 2 || nodes[0].ID != "a" || nodes[1].ID != "b" {
		t.Fatalf("nodes %+v", nodes)
	}
	if nodes[0].Weight != 7 || nodes[0].State != regions.Healthy || !nodes[0].Since.Equal(before.Since) {
		t.Errorf("a lost its observation: %+v", nodes[0])
	}
	if nodes[1].URL != b {
		t.Errorf("b is at %s", nodes[1].URL)
	}

	tr.SetNodes([]regions.Proposal{{ID: "a", URL: b, Region: "here"}})
	if n := tr.Nodes()[0]; n.State != regions.Unknown || n.Facts != nil {
		t.Errorf("a moved, but is trusted as before: %+v", n)
	}
	n := await(t, tr, "healthy", in(regions.Healthy))
	if !n.Facts.Stateful {
		t.Errorf("facts of the old place: %+v", n.Facts)
	}
	tr.Close()
	tr.SetNodes([]regions.Proposal{{ID: "z", URL: a}})
	if n := tr.Nodes(); len(n) != 1 || n[0].ID != "a" {
		t.Errorf("a closed tracker took in %+v", n)
	}
}

// A stopped process accepts connections and says nothing. Close must not wait for it.
func TestCloseDoesNotHangOnASilentNode(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	tr := track(t, Config{Timeout: time.Minute}, "http://"+silent.Addr().String()+"/mcp")
	began := time.Now()
	tr.Close()
	if took := time.Since(began); took > 2*goodbye {
		t.Errorf("Close took %v", took)
	}
}

func TestConfigIsChecked(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	bad := map[string]Config{
		"service":     {Logger: log},
		"logger":      {Service: "tools"},
		"interval":    {Service: "tools", Logger: log, Interval: time.Millisecond},
		"timeout":     {Service: "tools", Logger: log, Timeout: time.Hour},
		"failures":    {Service: "tools", Logger: log, Failures: -1},
		"successes":   {Service: "tools", Logger: log, Successes: 101},
		"concurrency": {Service: "tools", Logger: log, Concurrency: -1},
	}
	for word, cfg := range bad {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", word, err)
		}
	}
}
