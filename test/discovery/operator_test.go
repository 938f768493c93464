package discovery

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/consulproc"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// single is one datacenter with nodes, and a gateway whose file the test writes.
type single struct {
	t       *testing.T
	catalog *catalog
	pool    *pool.Pool
	gateway *gateway
}

// tools is a file with one service, search; consulKeys are more of section consul, discover is its sources.
func (s *single) tools(consulKeys, discover string) string {
	return base("gw-1", usEast) + fmt.Sprintf(`consul: {address: %q, datacenters: {us-east: us-east}, wait: 1s, timeout: 1s%s}
services:
  - name: search
    path: /mcp
    checks: {interval: 300ms, failures: 2}
    discover: [%s]
`, s.catalog.URL(), consulKeys, discover)
}

func startSingle(t *testing.T, cfg consulproc.Config, nodes int) *single {
	t.Helper()
	g := group(t)
	cfg.Datacenter = usEast
	s := &single{t: t, catalog: startCatalog(t, g, cfg), pool: startPool(t, g, "n", nodes)}
	for _, n := range s.pool.Nodes() {
		s.catalog.register(n.ID, n.Address())
	}
	return s
}

// start starts the gateway and waits until n nodes are healthy.
func (s *single) start(text string, n int) {
	s.t.Helper()
	s.gateway = serve(s.t, group(s.t), text)
	s.healthy(n)
}

func (s *single) healthy(n int) {
	s.t.Helper()
	await(s.t, fmt.Sprintf("%d nodes are healthy", n), func() bool { return len(s.gateway.nodes("search", "healthy")) == n })
}

func (s *single) id(i int) string { return s.catalog.id(s.pool.Nodes()[i].ID) }

func (s *single) node(id string) admin.Node {
	for _, n := range s.gateway.service("search").Nodes {
		if n.ID == id {
			return n
		}
	}
	return admin.Node{}
}

const inConsul = "{consul: {service: mcp-tools}}"

// static is a source with some nodes of the pool, by their own ids.
func (s *single) static(nodes ...int) string {
	var all []string
	for _, i := range nodes {
		all = append(all, fmt.Sprintf("{id: s%d, url: %q}", i, s.pool.Nodes()[i].URL()))
	}
	return "{static: {nodes: [" + strings.Join(all, ", ") + "]}}"
}

// Two sources name one node by two ids: it is one node, and stays until both have let it go.
func TestTwoSourcesNameOneNode(t *testing.T) {
	t.Parallel()
	s := startSingle(t, consulproc.Config{}, 2)
	s.start(s.tools("", s.static(0)+", "+inConsul), 2)
	load := agents(t, seed(t), few, s.gateway.url+"/mcp")
	holders := func() (names []string) {
		for _, h := range s.node("s0").ProposedBy {
			names = append(names, h.Source)
		}
		return names
	}
	if got := holders(); len(got) != 2 {
		t.Errorf("held by %v", got)
	}
	s.catalog.deregister("n-0")
	await(t, "Consul holds it no more", func() bool { return len(holders()) == 1 })
	if n := s.node("s0"); n.State != "healthy" {
		t.Errorf("it is %q after one of two sources let it go", n.State)
	}
	s.catalog.register("n-0", s.pool.Nodes()[0].Address())
	await(t, "Consul holds it again", func() bool { return len(holders()) == 2 })
	s.gateway.reload(s.tools("", inConsul))
	await(t, "only Consul holds it", func() bool { return len(holders()) == 1 && strings.HasPrefix(holders()[0], "consul:") })
	s.healthy(2) // as s0 still: another id would be another node, which had to be verified first
	res := load.result(s.pool)
	t.Logf("one node by two sources, of which each let it go once: %s", figures(res))
	lossless(t, res)
}

// A service's only instance moves to another address again and again: traffic follows once it was verified there.
func TestInstanceMoves(t *testing.T) {
	t.Parallel()
	s := startSingle(t, consulproc.Config{}, 3)
	s.catalog.deregister("n-1")
	s.catalog.deregister("n-2") // its process takes the id of n-0 in turn
	s.start(s.tools("", inConsul), 1)
	load := agents(t, seed(t), few, s.gateway.url+"/mcp")
	for i := range 10 {
		to := s.pool.Nodes()[2-2*(i%2)]
		s.catalog.register("n-0", to.Address())
		await(t, "it is healthy at its new address", func() bool {
			n := s.node(s.id(0))
			return n.State == "healthy" && n.URL == to.URL()
		})
		if n := len(s.gateway.nodes("search", "")); n != 1 {
			t.Errorf("%d nodes", n)
		}
	}
	res := load.result(s.pool)
	t.Logf("N=10 moves of an instance to another address: %s", figures(res))
	lossless(t, res)
}

// The only nodes of a service are replaced by others, all in one answer, again and again: those that go serve until
// one of those that come was verified.
func TestLastNodesAreReplaced(t *testing.T) {
	t.Parallel()
	s := startSingle(t, consulproc.Config{}, 4)
	nodes := s.pool.Nodes()
	addresses := make([]string, len(nodes)) // far away, so that it takes a while to verify them
	for i, n := range nodes {
		addresses[i] = slowly(t, n.Address(), 80*time.Millisecond)
		s.catalog.deregister(n.ID)
	}
	for i, n := range nodes[:2] {
		s.catalog.register(n.ID, addresses[i])
	}
	s.start(s.tools("", inConsul), 2)
	load := agents(t, seed(t), few, s.gateway.url+"/mcp")
	const swaps = 10
	for i := range swaps {
		from, to := 0, 2
		if i%2 == 1 {
			from, to = to, from
		}
		pause(t, 300*time.Millisecond) // the question after the last news is open again
		// One of the new is there first: a catalog that was empty in between would not be believed.
		if err := s.catalog.put(nodes[to].ID, addresses[to]); err != nil {
			t.Fatal(err)
		}
		all(3, func(k int) {
			var err error
			if k < 2 {
				err = s.catalog.api.Agent().ServiceDeregister(nodes[from+k].ID)
			} else {
				err = s.catalog.put(nodes[to+1].ID, addresses[to+1])
			}
			if err != nil {
				t.Error(err)
			}
		})
		want := []string{s.id(to), s.id(to + 1)}
		await(t, "the new ones serve, and nobody else", func() bool {
			return slices.Equal(slices.Sorted(slices.Values(s.gateway.nodes("search", "healthy"))), want) && len(s.gateway.nodes("search", "")) == 2
		})
	}
	res := load.result(s.pool)
	t.Logf("N=%d times all nodes of a service were replaced at once: %s", swaps, figures(res))
	lossless(t, res)
}

// The file is changed while Consul is down: another tag is waited for, a source that is taken out is gone, and no
// call fails over it.
func TestReloadsWhileConsulIsDown(t *testing.T) {
	t.Parallel()
	s := startSingle(t, consulproc.Config{}, 3)
	s.start(s.tools("", s.static(0)+", "+inConsul), 3)
	load := agents(t, seed(t), few, s.gateway.url+"/mcp")
	s.catalog.Kill()
	await(t, "the source is stale", func() bool { return s.gateway.stale("search", "consul:us-east/mcp-tools") == 1 })
	for i := range 10 {
		s.gateway.reload(s.tools("", s.static(0)+fmt.Sprintf(", {consul: {service: mcp-tools, tag: %s}}", []string{"stable", "canary"}[i%2])))
		if n := len(s.gateway.nodes("search", "healthy")); n != 3 {
			t.Fatalf("reload %d with another tag: %d nodes are healthy", i, n)
		}
	}
	pause(t, 2*time.Second)
	s.healthy(3)
	s.catalog.restart()
	for _, n := range s.pool.Nodes()[1:] {
		s.catalog.register(n.ID, n.Address(), func(r *api.AgentServiceRegistration) { r.Tags = []string{"canary"} })
	}
	await(t, "the source is fresh again", func() bool { return s.gateway.stale("search", "consul:us-east/mcp-tools") == 0 })
	s.healthy(3)
	s.catalog.Kill()
	await(t, "the source is stale again", func() bool { return s.gateway.stale("search", "consul:us-east/mcp-tools") == 1 })
	s.gateway.reload(s.tools("", s.static(0)))
	await(t, "only the node of the file is left", func() bool { return slices.Equal(s.gateway.nodes("search", ""), []string{"s0"}) })
	s.gateway.reload(s.tools("", s.static(0)+", "+inConsul))
	res := load.result(s.pool)
	t.Logf("N=12 reloads while Consul was down, the source taken out among them: %s", figures(res))
	lossless(t, res)
}

// A datacenter is named twice, in one source and by two: a node is one node, and its deregistration counts.
func TestDatacenterNamedTwice(t *testing.T) {
	t.Parallel()
	s := startSingle(t, consulproc.Config{}, 3)
	s.start(s.tools("", "{consul: {service: mcp-tools, datacenters: [us-east, us-east]}}, "+inConsul), 3)
	var names []string
	for _, source := range s.gateway.service("search").Sources {
		names = append(names, source.Name)
	}
	s.catalog.deregister("n-0")
	took := await(t, "it is gone", func() bool { return len(s.gateway.nodes("search", "")) == 2 })
	t.Logf("sources %v; a deregistered node is gone after %s", names, took.Round(time.Millisecond))
	if len(names) != 3 || len(slices.Compact(slices.Sorted(slices.Values(names)))) != 3 {
		t.Errorf("sources %v", names)
	}
}

// The token file is rotated to a token that Consul does not know, to one that may read nothing, is emptied and taken
// away, and comes back: nothing is lost, and stale says what is wrong.
func TestTokenGoesBadAndComesBack(t *testing.T) {
	t.Parallel()
	const management = "11111111-2222-3333-4444-555555555555"
	s := startSingle(t, consulproc.Config{ManagementToken: management}, 2)
	poor, _, err := s.catalog.api.ACL().TokenCreate(&api.ACLToken{Description: "may read nothing"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	file := tokenFile(t, management)
	s.start(s.tools(fmt.Sprintf(", token_file: %q", file), inConsul), 2)
	load := agents(t, seed(t), few, s.gateway.url+"/mcp")
	const source = "consul:us-east/mcp-tools"
	for what, token := range map[string]string{"unknown to Consul": "99999999-2222-3333-4444-555555555555", "that may read nothing": poor.SecretID, "of two words": "a b"} {
		write(t, file, token)
		if token != "a b" { // which is no token, so the last good one stays in use
			await(t, "stale with a token "+what, func() bool { return s.gateway.stale("search", source) == 1 })
		}
		pause(t, 1500*time.Millisecond)
		cause := s.gateway.source("search", source).Cause
		if n := len(s.gateway.nodes("search", "healthy")); n != 2 {
			t.Errorf("%d nodes with a token %s", n, what)
		}
		if token == poor.SecretID && !strings.Contains(cause, "the token sees only a part") {
			t.Errorf("the cause does not name the token: %s", cause)
		}
		if strings.Contains(cause, token) || strings.Contains(s.gateway.log.String(), token) {
			t.Error("the token is told")
		}
		write(t, file, management)
		cleared := await(t, "fresh again", func() bool { return s.gateway.stale("search", source) == 0 })
		t.Logf("a token %s: 2 of 2 nodes; cause %.160q; fresh again after %s", what, cause, cleared.Round(10*time.Millisecond))
	}
	res := load.result(s.pool)
	t.Log(figures(res))
	lossless(t, res)
}

// Every check in the catalog fails, whatever the reason: that is a hint and takes no node away.
func TestEveryCheckIsCritical(t *testing.T) {
	t.Parallel()
	s := startSingle(t, consulproc.Config{}, 2)
	s.start(s.tools("", inConsul), 2)
	load := agents(t, seed(t), few, s.gateway.url+"/mcp")
	for _, n := range s.pool.Nodes() {
		s.catalog.register(n.ID, n.Address(), func(r *api.AgentServiceRegistration) {
			r.Check = &api.AgentServiceCheck{TTL: "10m", Status: "critical"}
		})
	}
	await(t, "the source tells of it", func() bool {
		voices := s.gateway.source("search", "consul:us-east/mcp-tools").Voices
		return len(voices) == 1 && strings.Contains(voices[0].Said, "2 critical")
	})
	pause(t, time.Second)
	s.healthy(2)
	res := load.result(s.pool)
	t.Logf("all checks critical: 2 of 2 nodes serve; %s", figures(res))
	lossless(t, res)
}

// Consul hangs when a gateway starts that has nodes of its own: it serves them all the same, within the time that
// a start takes its first look.
func TestStartWhileConsulHangs(t *testing.T) {
	t.Parallel()
	s := startSingle(t, consulproc.Config{}, 2)
	if err := s.catalog.Pause(); err != nil {
		t.Fatal(err)
	}
	s.start(s.tools("", s.static(0)+", "+inConsul), 1)
	took := s.gateway.up.Sub(s.gateway.began)
	good, _ := call(t, s.gateway.url+"/mcp")
	if err := s.catalog.Resume(); err != nil {
		t.Fatal(err)
	}
	s.healthy(2)
	t.Logf("a start while Consul hangs: serving after %s, the first call was answered: %v", took.Round(time.Millisecond), good)
	if !good || took > 4*time.Second {
		t.Errorf("serving after %s, answered %v", took, good)
	}
}

// Reloads, a Consul that stops and goes on, and nodes that are registered again, all at once.
func TestReloadsAndFlaps(t *testing.T) {
	t.Parallel()
	s := startSingle(t, consulproc.Config{}, 3)
	text := []string{
		s.tools("", s.static(0)+", "+inConsul), s.tools("", inConsul+", "+s.static(0)),
		s.tools("", inConsul), s.tools("", s.static(0, 1, 2)+", {consul: {service: mcp-tools, tag: stable}}"),
	}
	s.start(text[0], 3)
	load := agents(t, seed(t), few, s.gateway.url+"/mcp")
	least := 3
	for i := range 24 {
		switch i % 4 {
		case 0:
			if err := s.catalog.Pause(); err != nil {
				t.Fatal(err)
			}
		case 2:
			if err := s.catalog.Resume(); err != nil {
				t.Fatal(err)
			}
			n := s.pool.Nodes()[i/4%3]
			s.catalog.register(n.ID, n.Address(), func(r *api.AgentServiceRegistration) { r.Weights = &api.AgentWeights{Passing: 1 + i, Warning: 1} })
		}
		s.gateway.reload(text[i*7%len(text)])
		least = min(least, len(s.gateway.nodes("search", "healthy")))
	}
	s.healthy(3)
	res := load.result(s.pool)
	t.Logf("N=24 reloads while Consul flaps: fewest healthy nodes %d of 3; %s", least, figures(res))
	lossless(t, res)
	if least != 3 {
		t.Errorf("%d healthy nodes", least)
	}
}
