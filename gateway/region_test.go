package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/route"
	"github.com/quorate/quorate/regions"
)

// site is one region of a test fleet: a gateway with its own nodes, reached by the other sites through
// its forwarding listener.
type site struct {
	*setup
	name    string
	routes  []route.Route
	change  func(*Service)
	forward *httptest.Server
	passed  atomic.Int32 // requests that other gateways passed on to it
	cut     atomic.Bool  // its forwarding listener hangs up
	far     map[string]regions.Region
	silent  map[string]bool // regions that this one's table does not have
	service Service

	authority Authority
	ledger    Ledger
}

// startSites starts gateways that know each other; rtt gives the round trip from a site to another.
func startSites(t *testing.T, rtt func(from, to string) time.Duration, sites ...*site) {
	t.Helper()
	for _, s := range sites {
		s.forward = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.cut.Load() {
				hangUp(w)
				return
			}
			s.passed.Add(1)
			s.gateway.ServeForwarded(w, r, r.Header.Get("X-Test-Origin"))
		}))
		t.Cleanup(s.forward.Close)
	}
	for _, s := range sites {
		s.setup = &setup{world: &world{link: linkOf(s.name)}, nodes: s.nodesOf(t)}
		s.world.dead = func(url string) bool {
			return slices.ContainsFunc(sites, func(o *site) bool { return o.cut.Load() && strings.HasPrefix(url, o.forward.URL) })
		}
		gateway, err := New(Config{Name: "gw-" + s.name, Outside: s.world, Logger: slog.New(slog.DiscardHandler), Authority: s.authority, Ledger: s.ledger,
			Duration: func(string, string, string) func(time.Duration) { return func(time.Duration) {} }})
		if err != nil {
			t.Fatal(err)
		}
		s.gateway = gateway
		s.publish(t, rtt, sites)
		front := httptest.NewServer(s.gateway)
		s.url = front.URL + "/mcp"
		t.Cleanup(func() {
			front.Close()
			gateway.Close(context.Background())
			gateway.Release()
		})
	}
}

// linkOf carries requests as the link of a site: its certificate says where they come from.
func linkOf(origin string) func(regions.Proposal) http.RoundTripper {
	return func(p regions.Proposal) http.RoundTripper {
		if p.Region == origin || !strings.Contains(string(p.ID), "@") {
			return nil
		}
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.Header.Set("X-Test-Origin", origin)
			return (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (s *site) nodesOf(t *testing.T) []*node {
	if s.setup == nil {
		return nil
	}
	for _, n := range s.nodes {
		n.start(t)
	}
	return s.nodes
}

// with gives a site its nodes.
func at(name string, nodes ...*node) *site {
	return &site{name: name, setup: &setup{nodes: nodes}}
}

var tools = map[string]regions.Tool{"read": {ReadOnly: true}, "set": {Idempotent: true}, "charge": {}}

func (s *site) publish(t *testing.T, rtt func(from, to string) time.Duration, sites []*site) {
	t.Helper()
	facts := func(n *node) *regions.Facts {
		return &regions.Facts{Eras: n.eras, Stateful: n.stateful, Tools: tools, Groups: []string{"tool_servers"}}
	}
	in := regions.Input{Region: s.name, Services: []regions.ServiceInput{{Name: "tools", Path: "/mcp", Eras: regions.Modern}}}
	service := &in.Services[0]
	for _, n := range s.nodes {
		service.Nodes = append(service.Nodes, regions.Node{
			Proposal:    regions.Proposal{ID: n.id, URL: n.server.URL + "/mcp", Region: s.name},
			Observation: regions.Observation{State: regions.Healthy, LastSeen: time.Now(), Facts: facts(n)},
		})
	}
	for _, o := range sites {
		if o == s || s.silent[o.name] {
			continue
		}
		r, ok := s.far[o.name]
		if !ok {
			r = regions.Region{Share: 1}
		}
		r.Name, r.RTT = o.name, rtt(s.name, o.name)
		r.Class = regions.DefaultBounds().Of(r.RTT)
		in.Regions = append(in.Regions, r)
		service.Nodes = append(service.Nodes, regions.Node{
			Proposal: regions.Proposal{ID: regions.NodeID(o.name + "@test"), URL: o.forward.URL + "/mcp", Region: o.name},
			Observation: regions.Observation{State: regions.Healthy, LastSeen: time.Now(),
				Facts: facts(&node{eras: regions.Modern | regions.Legacy, stateful: true})},
		})
	}
	table, err := regions.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	routes, err := route.Compile(s.routes)
	if err != nil {
		t.Fatal(err)
	}
	s.service = Service{Name: "tools", Path: "/mcp", Routes: routes, Attempts: 3, BudgetRatio: 0.2, BudgetMin: 3, Class: regions.Medium, Spill: regions.SpillAny,
		Connect: time.Second, Suspect: 200 * time.Millisecond, Probe: 200 * time.Millisecond}
	if s.change != nil {
		s.change(&s.service)
	}
	if err := s.gateway.Publish(table, []Service{s.service}, nil, nil); err != nil {
		t.Fatal(err)
	}
}

// near are round trips that fit the class named by the number of a pair of names.
func near(ms int) func(from, to string) time.Duration {
	return func(string, string) time.Duration { return time.Duration(ms) * time.Millisecond }
}

func wantFrom(t *testing.T, resp *http.Response, region, node, spilled string) {
	t.Helper()
	body, h := text(t, resp), resp.Header
	if resp.StatusCode != 200 || body != result || h.Get(mcp.HeaderRegion) != region || h.Get(mcp.HeaderNode) != node || h.Get(mcp.HeaderSpilled) != spilled {
		t.Errorf("%d %s: region %q, node %q, spilled %q; want %q, %q, %q", resp.StatusCode, body,
			h.Get(mcp.HeaderRegion), h.Get(mcp.HeaderNode), h.Get(mcp.HeaderSpilled), region, node, spilled)
	}
}

func TestTrafficStaysInItsRegion(t *testing.T) {
	a, b := at("a", modern("a1", ok)), at("b", modern("b1", ok))
	startSites(t, near(30), a, b)
	wantFrom(t, a.callTool(t, "charge"), "a", "a1", "")
	wantFrom(t, b.callTool(t, "charge"), "b", "b1", "")
}

// A region without nodes of its own is served by another one, through its gateway.
func TestTrafficGoesThroughTheOtherRegionsGateway(t *testing.T) {
	for _, tc := range []struct {
		name    string
		ms      int
		spilled string
	}{{"in its class", 30, ""}, {"slower", 80, "slow"}, {"farther than any class", 300, "beyond"}} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := at("a"), at("b", modern("b1", ok))
			startSites(t, near(tc.ms), a, b)
			wantFrom(t, a.callTool(t, "charge"), "b", "b1", tc.spilled)
		})
	}
}

func TestSpillPolicies(t *testing.T) {
	match := func(spill regions.Spill) []route.Route {
		return []route.Route{{Match: route.Match{Tool: "read"}, Class: regions.Fast, Spill: spill}}
	}
	for _, tc := range []struct {
		spill  regions.Spill
		ms     int
		served bool
	}{
		{regions.SpillStrict, 5, true}, {regions.SpillStrict, 30, false},
		{regions.SpillNext, 30, true}, {regions.SpillNext, 80, false},
		{regions.SpillAny, 300, true},
	} {
		t.Run(fmt.Sprintf("%s over %d ms", tc.spill, tc.ms), func(t *testing.T) {
			a, b := at("a"), at("b", modern("b1", ok))
			a.routes = match(tc.spill)
			startSites(t, near(tc.ms), a, b)
			resp := a.callTool(t, "read")
			if !tc.served {
				body := text(t, resp)
				if !strings.Contains(body, `"reason":"no_region_in_class"`) || !strings.Contains(body, "-32072") || b.passed.Load() != 0 {
					t.Errorf("%s; %d passed on", body, b.passed.Load())
				}
				return
			}
			if body := text(t, resp); body != result {
				t.Error(body)
			}
		})
	}
}

// An agent's own fields are not believed, and a node's neither.
func TestOwnFieldsAreNotTakenFromOutside(t *testing.T) {
	var seen http.Header
	a := at("a", modern("a1", func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		w.Header().Set(mcp.HeaderRegion, "moon")
		w.Header().Set(mcp.HeaderRefused, "unavailable/x")
		ok(w, r)
	}))
	startSites(t, near(30), a)
	resp := a.post(t, `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read","arguments":{},`+modernMeta+`}}`,
		"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "read", mcp.HeaderVia, "gw-a", mcp.HeaderHops, "0", "Quorate-Fence", "9")
	wantFrom(t, resp, "a", "a1", "")
	for name := range seen {
		if strings.HasPrefix(name, mcp.OwnPrefix) {
			t.Errorf("the node got %s", name)
		}
	}
	if resp.Header.Get(mcp.HeaderRefused) != "" {
		t.Error("the agent got the node's refusal")
	}
}

// The region of a cut link is reached around it, and no request ever goes in circles.
func TestRequestsGoAroundACutLink(t *testing.T) {
	a, b, c := at("a"), at("b", modern("b1", ok)), at("c")
	a.silent = map[string]bool{"b": true} // a cannot reach b
	startSites(t, near(30), a, b, c)
	wantFrom(t, a.callTool(t, "charge"), "b", "b1", "")
	if b.passed.Load() != 1 || c.passed.Load() != 1 {
		t.Errorf("passed through b %d, c %d times", b.passed.Load(), c.passed.Load())
	}
}

func TestNoRequestGoesInCircles(t *testing.T) {
	a, b, c := at("a"), at("b"), at("c")
	startSites(t, near(30), a, b, c)
	body := text(t, a.callTool(t, "charge"))
	if !strings.Contains(body, "-32072") {
		t.Error(body)
	}
	// a asks b and c, each of which asks the other once, where it ends.
	if a.passed.Load() != 0 || b.passed.Load() > 2 || c.passed.Load() > 2 {
		t.Errorf("passed on to a %d, b %d, c %d times", a.passed.Load(), b.passed.Load(), c.passed.Load())
	}
	r, err := http.NewRequest(http.MethodPost, b.forward.URL+"/mcp", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	resp := b.do(t, r, mcp.HeaderVia, "gw-a,gw-b", "X-Test-Origin", "a")
	if resp.StatusCode != http.StatusLoopDetected {
		t.Errorf("status %d for a request that was here", resp.StatusCode)
	}
}

// Refused by one region without having run, even a call that must not run twice goes to the next.
func TestDeclinedCallsGoOn(t *testing.T) {
	a, b, c := at("a"), at("b"), at("c", modern("c1", ok))
	startSites(t, func(_, to string) time.Duration {
		if to == "b" {
			return 10 * time.Millisecond
		}
		return 40 * time.Millisecond
	}, a, b, c)
	b.silent = map[string]bool{"c": true, "a": true}
	b.publish(t, near(30), []*site{a, b, c})
	wantFrom(t, a.callTool(t, "charge"), "c", "c1", "")
	if b.passed.Load() != 1 {
		t.Errorf("b was asked %d times", b.passed.Load())
	}
}

// A call that another region's node was running when the link broke is unknown, not lost and not sent twice.
func TestCallCutInAnotherRegionIsUnknown(t *testing.T) {
	a, c := at("a"), at("c", modern("c1", ok))
	var b *site
	b = at("b", modern("b1", func(w http.ResponseWriter, r *http.Request) {
		b.cut.Store(true)
		b.forward.CloseClientConnections()
		ok(w, r)
	}))
	startSites(t, func(_, to string) time.Duration {
		return map[string]time.Duration{"b": 10, "c": 40}[to] * time.Millisecond
	}, a, b, c)
	if body := text(t, a.callTool(t, "charge")); !strings.Contains(body, "-32070") {
		t.Errorf("charge: %s", body)
	}
	wantFrom(t, a.callTool(t, "read"), "c", "c1", "")
	if n := c.nodes[0].calls.Load(); n != 1 {
		t.Errorf("c's node was called %d times", n)
	}
}

// Shares decide where requests begin; a region an operator has barred gets none, whatever happens.
func TestSharesAndBars(t *testing.T) {
	count := func(b regions.Region, tries int) (fromB int) {
		a := at("a")
		bb, c := at("b", modern("b1", ok)), at("c", modern("c1", ok))
		a.far = map[string]regions.Region{"b": b}
		startSites(t, func(_, to string) time.Duration {
			return map[string]time.Duration{"b": 10, "c": 20}[to] * time.Millisecond
		}, a, bb, c)
		for range tries {
			if resp := a.callTool(t, "read"); text(t, resp) == result && resp.Header.Get(mcp.HeaderRegion) == "b" {
				fromB++
			}
		}
		return fromB
	}
	if n := count(regions.Region{Share: 1}, 20); n != 20 {
		t.Errorf("%d of 20 in the nearest region", n)
	}
	if n := count(regions.Region{Share: 0}, 20); n != 0 {
		t.Errorf("%d of 20 in a region without a share", n)
	}
	if n := count(regions.Region{Share: 0.5}, 200); n < 60 || n > 140 {
		t.Errorf("%d of 200 in a region with half its share", n)
	}
	if n := count(regions.Region{Share: 1, Barred: true}, 20); n != 0 {
		t.Errorf("%d of 20 in a barred region", n)
	}
}

func TestNobodyElseMeansTheRegionWithoutAShare(t *testing.T) {
	a, b := at("a"), at("b", modern("b1", ok))
	a.far = map[string]regions.Region{"b": {Share: 0, State: regions.Off}}
	startSites(t, near(30), a, b)
	wantFrom(t, a.callTool(t, "read"), "b", "b1", "")
	a.far["b"] = regions.Region{Share: 0, Barred: true}
	a.publish(t, near(30), []*site{a, b})
	if body := text(t, a.callTool(t, "read")); !strings.Contains(body, "-32072") {
		t.Errorf("a barred region served: %s", body)
	}
}

func TestRouteLimitAndDeadline(t *testing.T) {
	arrived, release := make(chan struct{}, 9), make(chan struct{})
	a := at("a", modern("a1", func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		ok(w, r)
	}))
	a.routes = []route.Route{
		{Match: route.Match{Tool: "read"}, Class: regions.Fast, Deadline: 50 * time.Millisecond},
		{Match: route.Match{Tool: "charge"}, Class: regions.Fast, Deadline: 50 * time.Millisecond, Limit: 1},
		{Match: route.Match{Tool: "set"}, Limit: 1},
	}
	startSites(t, near(30), a)
	if body := text(t, a.callTool(t, "read")); !strings.Contains(body, "-32072") || !strings.Contains(body, `"reason":"deadline"`) {
		t.Errorf("read: %s", body)
	}
	if body := text(t, a.callTool(t, "charge")); !strings.Contains(body, "-32070") || !strings.Contains(body, `"reason":"deadline"`) {
		t.Errorf("charge: %s", body)
	}
	first := make(chan string)
	go func() { first <- text(t, a.callTool(t, "set")) }()
	for range 3 {
		<-arrived
	}
	if body := text(t, a.callTool(t, "set")); !strings.Contains(body, "-32073") || !strings.Contains(body, `"reason":"route_limit"`) {
		t.Errorf("a second set: %s", body)
	}
	close(release)
	if body := <-first; body != result {
		t.Errorf("the first set: %s", body)
	}
	if body := text(t, a.callTool(t, "set")); body != result {
		t.Errorf("set after the first ended: %s", body)
	}
}

// What a node has begun with when time is up may have run: it is neither cut without a word nor told as if nobody had acted.
func TestDeadlineInTheMiddleOfAnAnswer(t *testing.T) {
	for name, begin := range map[string]func(http.ResponseWriter){
		"stream": func(w http.ResponseWriter) {
			events(w, `{"jsonrpc":"2.0","method":"notifications/message","params":{}}`)
		},
		"document": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			answerJSON(w, `{"jsonrpc":"2.0",`)
			_ = http.NewResponseController(w).Flush()
		},
	} {
		n := modern("a", func(w http.ResponseWriter, r *http.Request) {
			begin(w)
			<-r.Context().Done()
		})
		s := start(t, func(_ *Config, v *Service) {
			v.Routes = routesOf(t, route.Route{Class: regions.Fast, Deadline: 50 * time.Millisecond})
		}, n)
		if got := text(t, s.callTool(t, "charge")); !strings.Contains(got, `"code":-32070,`) || !strings.Contains(got, `"deadline"`) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
