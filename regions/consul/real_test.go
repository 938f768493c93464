package consul

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/consulproc"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/discovery"
)

// catalog is a real agent and a way to change what it has.
type catalog struct {
	*consulproc.Agent
	api *api.Client
	t   testing.TB
}

// startAgent starts a real agent that ends with the test.
func startAgent(t testing.TB, cfg consulproc.Config) *catalog {
	t.Helper()
	binary, err := consulproc.Binary(t.Context())
	if err != nil && os.Getenv("CI") == "" && errors.Is(err, consulproc.ErrNotInstalled) {
		t.Skip("LOUD: no real Consul, so what this package makes of one stays untested:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	group := child.NewGroup()
	t.Cleanup(group.Close)
	cfg.Binary, cfg.Dir = binary, t.TempDir()
	agent, err := consulproc.Start(t.Context(), group, cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := api.NewClient(&api.Config{
		Address: agent.URL(), Token: cfg.ManagementToken, HttpClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &catalog{Agent: agent, api: c, t: t}
}

// register puts an instance of service search on the agent, changed by more.
func (c *catalog) register(id string, more ...func(*api.AgentServiceRegistration)) {
	c.t.Helper()
	r := &api.AgentServiceRegistration{ID: id, Name: "search", Address: "127.0.0.1", Port: 9001}
	for _, f := range more {
		f(r)
	}
	if err := c.api.Agent().ServiceRegister(r); err != nil {
		c.t.Fatal(err)
	}
}

func (c *catalog) deregister(id string) {
	c.t.Helper()
	if err := c.api.Agent().ServiceDeregister(id); err != nil {
		c.t.Fatal(err)
	}
}

func tagged(tags ...string) func(*api.AgentServiceRegistration) {
	return func(r *api.AgentServiceRegistration) { r.Tags = tags }
}

// removesNothing fails the test if one of the answers removes one of these.
func removesNothing(t *testing.T, answers []discovery.Answer, kept ...string) {
	t.Helper()
	for _, a := range answers {
		for _, id := range kept {
			if a.Removes && !strings.Contains(" "+ids(a)+" ", " "+id+" ") {
				t.Errorf("an answer removes %s: %s", id, ids(a))
			}
		}
	}
}

// until collects answers up to the one for which good is true.
func (e *ear) until(what string, good func(discovery.Answer) bool) (all []discovery.Answer) {
	e.t.Helper()
	e.await(what, func(a discovery.Answer) bool {
		all = append(all, a)
		return good(a)
	})
	return all
}

func TestRegistrations(t *testing.T) {
	c := startAgent(t, consulproc.Config{Datacenter: "us-east"})
	client := dial(t, ClientConfig{Address: c.URL()})
	e := listen(t, quick(t, Config{Client: client, Tag: "Stable", Datacenter: "us-east"}))
	e.fails(ErrEmptied)

	began := time.Now()
	c.register("a", tagged("stable"))
	a := e.names("a")
	t.Log("registered, emitted after", time.Since(began))
	want := regions.Proposal{ID: "a@server-us-east.us-east", Service: "search", URL: "http://127.0.0.1:9001/mcp", Region: "east", Source: "consul", Weight: 1}
	if a.Nodes[0] != want {
		t.Errorf("got %+v", a.Nodes[0])
	}
	c.register("b", tagged("stable", "x"))
	c.register("c", tagged("canary"))
	e.await("c left out by its tag", func(a discovery.Answer) bool {
		return ids(a) == "a b" && strings.Contains(a.Voices[0].Said, "1 without tag Stable")
	})
	began = time.Now()
	c.deregister("a")
	if a = e.names("b"); !a.Removes {
		t.Error("a deregistration does not remove")
	}
	t.Log("deregistered, emitted after", time.Since(began))
	c.register("c", tagged("stable"))
	e.names("b", "c")
	c.register("c", tagged("old"))
	if a = e.names("b"); !a.Removes {
		t.Error("a lost tag does not remove")
	}
}

func TestStatusAndMeta(t *testing.T) {
	c := startAgent(t, consulproc.Config{})
	e := listen(t, quick(t, Config{Client: dial(t, ClientConfig{Address: c.URL()}), Identity: regions.Identity{TLSName: "*.search.example"}}))
	c.register("a", func(r *api.AgentServiceRegistration) {
		r.Weights = &api.AgentWeights{Passing: 10, Warning: 4}
		r.Check = &api.AgentServiceCheck{TTL: "10m", CheckID: "c", Status: "passing"}
		r.Meta = map[string]string{MetaScheme: "https", MetaPath: "/tools", MetaVersion: "2", MetaGroup: "blue", MetaSPKI: spkiA}
	})
	weight := func(w int) {
		t.Helper()
		e.await(fmt.Sprint("weight ", w), func(a discovery.Answer) bool {
			return a.Err == nil && len(a.Nodes) == 1 && a.Nodes[0].Weight == w
		})
	}
	a := e.names("a")
	want := regions.Proposal{ID: "a@server-dc1.dc1", Service: "search", URL: "https://127.0.0.1:9001/tools", Region: "east", Source: "consul", Weight: 10,
		Version: "2", Group: "blue", Identity: regions.Identity{TLSName: "*.search.example", SPKI: spkiA}}
	if a.Nodes[0] != want {
		t.Errorf("got %+v", a.Nodes[0])
	}
	for status, w := range map[string]int{"warning": 4, "critical": 1} {
		if err := c.api.Agent().UpdateTTL("c", "", status); err != nil {
			t.Fatal(err)
		}
		weight(w)
	}
	if err := c.api.Agent().UpdateTTL("c", "", "passing"); err != nil {
		t.Fatal(err)
	}
	weight(10)
	if err := c.api.Agent().EnableServiceMaintenance("a", "test"); err != nil {
		t.Fatal(err)
	}
	weight(1)
	if err := c.api.Agent().DisableServiceMaintenance("a"); err != nil {
		t.Fatal(err)
	}
	weight(10)
	c.register("a", func(r *api.AgentServiceRegistration) { r.Meta = map[string]string{MetaSPKI: "nonsense"} })
	a = e.await("a refusal", func(a discovery.Answer) bool { return strings.Contains(a.Voices[0].Said, "1 refused") })
	if len(a.Nodes) != 1 || a.Nodes[0].Identity.SPKI != spkiA {
		t.Errorf("a node whose meta went bad is not what it was: %+v", a.Nodes)
	}
	c.register("bad", func(r *api.AgentServiceRegistration) { r.Port = 0 })
	c.register("good", func(r *api.AgentServiceRegistration) { r.Meta = map[string]string{MetaScheme: "https"} })
	e.names("a", "good")
}

func TestTokenRotation(t *testing.T) {
	const management = "6ee9ab8e-6d4e-4f6b-9c9d-0a2f3b8b2f11"
	c := startAgent(t, consulproc.Config{ManagementToken: management})
	rule := `service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }`
	if _, _, err := c.api.ACL().PolicyCreate(&api.ACLPolicy{Name: "read", Rules: rule}, nil); err != nil {
		t.Fatal(err)
	}
	mint := func(policies ...*api.ACLLink) *api.ACLToken {
		token, _, err := c.api.ACL().TokenCreate(&api.ACLToken{Policies: policies}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	read := &api.ACLLink{Name: "read"}
	first, second, blind := mint(read), mint(read), mint()
	file := write(t, "token", first.SecretID+"\n")
	renew := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log journal
	e := listen(t, quick(t, Config{Client: dial(t, ClientConfig{Address: c.URL(), TokenFile: file, Logger: log.logger()})}))
	c.register("a")
	c.register("b")
	e.names("a", "b")

	renew(second.SecretID)
	if _, err := c.api.ACL().TokenDelete(first.AccessorID, nil); err != nil {
		t.Fatal(err)
	}
	c.register("c")
	e.names("a", "b", "c")

	renew(blind.SecretID) // it exists and sees nothing: Consul answers 200 with an empty list
	c.deregister("c")
	all := e.until("an empty catalog", func(a discovery.Answer) bool { return errorIs(a.Err, ErrEmptied) })
	if err := os.Remove(file); err != nil { // the last good token stays
		t.Fatal(err)
	}
	renew(second.SecretID)
	all = append(all, e.until("b and a again", func(a discovery.Answer) bool { return a.Err == nil && ids(a) == "a b" })...)
	removesNothing(t, all, "a", "b")
	if _, err := c.api.ACL().TokenDelete(second.AccessorID, nil); err != nil {
		t.Fatal(err)
	}
	e.fails(ErrDenied)
	for _, token := range []string{first.SecretID, second.SecretID, blind.SecretID, management} {
		if strings.Contains(log.String(), token) {
			t.Error("a token is in the log")
		}
	}
}

// TestChurn registers and deregisters at random, a hundred times a second. Nothing that is registered is ever
// removed, and in the end the set is exact.
func TestChurn(t *testing.T) {
	c := startAgent(t, consulproc.Config{})
	e := listen(t, quick(t, Config{Client: dial(t, ClientConfig{Address: c.URL()})}))
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var always []string
	registered := map[string]bool{}
	for i := range 20 {
		always = append(always, fmt.Sprintf("always-%02d", i))
		c.register(always[i])
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 200 {
		<-tick.C
		id := fmt.Sprintf("some-%02d", random.IntN(30))
		if registered[id] = !registered[id]; registered[id] {
			c.register(id)
		} else {
			c.deregister(id)
		}
	}
	want := slices.Clone(always)
	for id, is := range registered {
		if is {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	began := time.Now()
	all := e.until("the set that is registered", func(a discovery.Answer) bool { return a.Err == nil && ids(a) == strings.Join(want, " ") })
	removed := 0
	for _, a := range all {
		if a.Removes {
			removed++
		}
	}
	t.Logf("%d answers, %d of which remove, the last %v after the last change", len(all), removed, time.Since(began))
	if removed == 0 {
		t.Error("no answer removes")
	}
	settled := false
	for _, a := range all { // the 20 come one by one, so answers from before they were there miss some
		settled = settled || a.Err == nil && len(a.Nodes) >= len(always)
		if settled {
			removesNothing(t, []discovery.Answer{a}, always...)
		}
	}
}

// TestPausedKilledRestarted takes a single agent through what may happen to it. Nothing is ever removed.
func TestPausedKilledRestarted(t *testing.T) {
	c := startAgent(t, consulproc.Config{})
	client := dial(t, ClientConfig{Address: c.URL(), Timeout: 500 * time.Millisecond})
	e := listen(t, quick(t, Config{Client: client, Wait: time.Second}))
	names := []string{"a", "b", "c", "d", "e", "f"}
	for _, name := range names {
		c.register(name)
	}
	complete := func(a discovery.Answer) bool { return a.Err == nil && ids(a) == strings.Join(names, " ") }
	e.until("all", complete)

	began := time.Now()
	if err := c.Pause(); err != nil {
		t.Fatal(err)
	}
	all := e.until("a timeout", func(a discovery.Answer) bool { return errorIs(a.Err, ErrTimeout) })
	t.Log("SIGSTOP: stale after", time.Since(began))
	began = time.Now()
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	all = append(all, e.until("all again", complete)...)
	t.Log("SIGCONT: good after", time.Since(began))

	began = time.Now()
	c.Kill()
	all = append(all, e.until("an error", func(a discovery.Answer) bool { return a.Err != nil })...)
	t.Log("SIGKILL: stale after", time.Since(began))
	if err := c.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	all = append(all, e.until("an empty catalog", func(a discovery.Answer) bool { return errorIs(a.Err, ErrEmptied) })...)
	t.Log("restarted empty: noticed after", time.Since(began))
	for _, name := range names {
		c.register(name)
	}
	all = append(all, e.until("all once more", complete)...)
	t.Log("registered again: good after", time.Since(began))
	removesNothing(t, all, names...)

	c.deregister("f")
	if a := e.names("a", "b", "c", "d", "e"); !a.Removes {
		t.Error("does not remove once all is well")
	}
}
