package consul

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/consulproc"
	"github.com/quorate/quorate/regions/discovery"
)

// federation is two datacenters that know of one another; the first is asked for both.
func federation(t *testing.T) (east, west *catalog) {
	t.Helper()
	east = startAgent(t, consulproc.Config{Datacenter: "us-east"})
	west = startAgent(t, consulproc.Config{Datacenter: "eu-west", JoinWAN: []*consulproc.Agent{east.Agent}})
	return east, west
}

// TestTwoDatacenters loses one of two datacenters in every way; the other one's news go on.
func TestTwoDatacenters(t *testing.T) {
	east, west := federation(t)
	client := dial(t, ClientConfig{Address: east.URL(), Timeout: 500 * time.Millisecond})
	near := listen(t, quick(t, Config{Client: client, Datacenter: "us-east", Region: "us-east", Wait: time.Second}))
	far := listen(t, quick(t, Config{Client: client, Datacenter: "eu-west", Region: "eu-west", Wait: time.Second}))
	for _, name := range []string{"a", "b", "c"} {
		east.register(name)
		west.register("w-" + name)
	}
	near.names("a", "b", "c")
	if a := far.names("w-a", "w-b", "w-c"); a.Nodes[0].Region != "eu-west" || a.Nodes[0].ID != "w-a@server-eu-west.eu-west" {
		t.Errorf("got %+v", a.Nodes[0])
	}
	t.Run("coordinates", func(t *testing.T) { coordinates(t, client) })
	t.Run("examination", func(t *testing.T) { examination(t, client) })

	news := func(what, name string) {
		t.Helper()
		began := time.Now()
		east.register(name)
		a := near.await(name, func(a discovery.Answer) bool { return a.Err == nil && strings.Contains(ids(a), name) })
		t.Logf("%s: us-east saw a registration after %v, removes %v", what, time.Since(began), a.Removes)
	}
	if err := west.Pause(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	all := far.until("a failure", func(a discovery.Answer) bool { return a.Err != nil })
	t.Logf("eu-west stopped: stale after %v: %v", time.Since(began), all[len(all)-1].Err)
	news("eu-west stopped", "d")
	if err := west.Resume(); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	all = append(all, far.until("all of eu-west", func(a discovery.Answer) bool { return a.Err == nil && ids(a) == "w-a w-b w-c" })...)
	t.Log("eu-west goes on: good after", time.Since(began))

	west.Kill()
	all = append(all, far.until("a failure", func(a discovery.Answer) bool { return a.Err != nil })...)
	news("eu-west killed", "e")
	if err := west.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	all = append(all, far.until("an empty catalog", func(a discovery.Answer) bool { return errorIs(a.Err, ErrEmptied) })...)
	news("eu-west empty", "f")
	for _, name := range []string{"a", "b", "c"} {
		west.register("w-" + name)
	}
	all = append(all, far.until("all of eu-west", func(a discovery.Answer) bool { return a.Err == nil && ids(a) == "w-a w-b w-c" })...)
	removesNothing(t, all, "w-a", "w-b", "w-c")
	for len(near.answers) > 0 {
		if a := <-near.answers; a.Err != nil {
			t.Errorf("us-east suffered: %v", a.Err)
		}
	}
	if client.Breaker() != "closed" {
		t.Errorf("breaker %s", client.Breaker())
	}
}

// coordinates waits until gossip has placed the servers: loopback is near, and one node alone is at no distance.
func coordinates(t *testing.T, c *Client) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		got, err := c.RoundTrips(ctx, map[string]string{"us-east": "east", "eu-west": "west", "ap-south": "south"})
		if err != nil {
			t.Fatal(err)
		}
		if d := got["west"]; d > 0 {
			t.Log("by coordinates:", got)
			if len(got) != 1 || d > time.Second {
				t.Errorf("got %v", got)
			}
			return
		}
		pause(ctx, 50*time.Millisecond)
	}
}

func examination(t *testing.T, c *Client) {
	e := c.Examine(t.Context(), []Ask{
		{ConsulService: "search", Datacenter: "us-east"}, {ConsulService: "search", Datacenter: "eu-west", Tag: "x"},
		{ConsulService: "search", Datacenter: "nowhere"}, {ConsulService: "a/b"},
	})
	if e.Err != nil || e.Leader == "" || !slices.Contains(e.Datacenters, "eu-west") || e.Took <= 0 {
		t.Fatalf("got %+v", e)
	}
	if s := e.Services[0]; s.Err != nil || s.Instances != 3 || s.Passing != 3 || !s.KnownLeader {
		t.Errorf("us-east: %+v", s)
	}
	if s := e.Services[1]; s.Err != nil || s.Instances != 0 || s.Untagged != 3 {
		t.Errorf("eu-west: %+v", s)
	}
	if s := e.Services[2]; s.Err == nil || !strings.Contains(s.Err.Error(), "datacenter") {
		t.Errorf("nowhere: %+v", s)
	}
	if e.Services[3].Err == nil {
		t.Error("a path passes for a name")
	}
	dead := dial(t, ClientConfig{Address: "http://127.0.0.1:1"})
	if e := dead.Examine(t.Context(), nil); e.Err == nil {
		t.Error("nobody there, and no error")
	}
}

// TestGatewaysFindOneAnother registers one gateway in each of two datacenters, and takes one agent's memory away.
func TestGatewaysFindOneAnother(t *testing.T) {
	east, west := federation(t)
	here := dial(t, ClientConfig{Address: east.URL(), Timeout: time.Second})
	there := dial(t, ClientConfig{Address: west.URL(), Timeout: time.Second})
	sets := make(chan GatewaySet, 1024)
	g, err := NewGateways(GatewaysConfig{
		Client: here, Self: "gw-1", Datacenters: map[string]string{"us-east": "us-east", "eu-west": "eu-west"},
		Wait: time.Second, BackoffMax: 500 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, func(ctx context.Context) { _ = g.Run(ctx, func(s GatewaySet) { sets <- s }) })
	await := func(what, datacenter string, good func(GatewaySet) bool) GatewaySet {
		t.Helper()
		limit := time.After(patience)
		for {
			select {
			case s := <-sets:
				if s.Datacenter == datacenter && good(s) {
					return s
				}
			case <-limit:
				t.Fatal("no set with", what)
			}
		}
	}
	var log journal
	enrol := func(c *Client, name, region, address string, change func(*RegistrarConfig)) (stop func(), result <-chan error) {
		cfg := RegistrarConfig{Client: c, Name: name, Region: region, Address: address, URL: "https://" + name + ".example", Version: "1", TTL: time.Second, Logger: log.logger()}
		change(&cfg)
		r, err := NewRegistrar(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		return background(t, func(ctx context.Context) { ended <- r.Run(ctx) }), ended
	}
	enrol(here, "gw-1", "us-east", "127.0.0.1:7001", func(*RegistrarConfig) {})
	await("gw-1 itself left out", "us-east", func(s GatewaySet) bool { return s.Err == nil && len(s.Gateways) == 0 })
	stop, ended := enrol(there, "gw-2", "eu-west", "[::1]:7002", func(*RegistrarConfig) {})
	want := Gateway{Name: "gw-2", Region: "eu-west", Address: "[::1]:7002", URL: "https://gw-2.example", Version: "1"}
	is := func(s GatewaySet) bool { return s.Err == nil && len(s.Gateways) == 1 && s.Gateways[0] == want }
	await(fmt.Sprint(want), "eu-west", is)
	// Its own check passes for longer than its TTL only when it reports.
	<-time.After(1200 * time.Millisecond)
	if status, _, err := west.api.Agent().AgentHealthServiceByID("quorate-gw-2"); err != nil || status != "passing" {
		t.Errorf("after a TTL: %s, %v", status, err)
	}

	if err := west.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	awaitRegistered(t, west, "quorate-gw-2")
	t.Log("the agent forgot, registered again after", time.Since(began))
	await("gw-2 again", "eu-west", is)

	stop()
	if err := <-ended; err != nil {
		t.Errorf("deregister: %v", err)
	}
	if _, info, err := west.api.Agent().AgentHealthServiceByID("quorate-gw-2"); err != nil || info != nil {
		t.Errorf("still registered: %+v, %v", info, err)
	}
	await("nobody: the only one left", "eu-west", func(s GatewaySet) bool { return errorIs(s.Err, ErrEmptied) })

	stop, _ = enrol(there, "gw-3", "eu-west", "127.0.0.1:7003", func(c *RegistrarConfig) { c.CheckTCP = true })
	awaitRegistered(t, west, "quorate-gw-3")
	if err := west.api.Agent().ServiceDeregister("quorate-gw-3"); err != nil {
		t.Fatal(err)
	}
	awaitRegistered(t, west, "quorate-gw-3")
	west.Kill()
	began = time.Now()
	stop()
	t.Log("deregistering at a dead agent took", time.Since(began))
}

// awaitRegistered asks the agent until it has a service.
func awaitRegistered(t *testing.T, c *catalog, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for ctx.Err() == nil {
		if _, info, err := c.api.Agent().AgentHealthServiceByID(id); err == nil && info != nil {
			return
		}
		pause(ctx, 20*time.Millisecond)
	}
	t.Fatalf("%s is not registered", id)
}
