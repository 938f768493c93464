package discovery

import (
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/consulproc"
)

// Names of the regions, which are those of the datacenters too.
const usEast, euWest = "us-east", "eu-west"

// served is the name of the nodes' service in Consul.
const served = "mcp-tools"

// catalog is a real Consul agent, alone in its datacenter, and a way to change what it has.
type catalog struct {
	*consulproc.Agent
	api *api.Client
	t   *testing.T
}

func startCatalog(t *testing.T, g *child.Group, cfg consulproc.Config) *catalog {
	t.Helper()
	cfg.Binary, cfg.Dir = consul(t), t.TempDir()
	agent, err := consulproc.Start(t.Context(), g, cfg)
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

// federate starts a datacenter for each region; the first is that of the gateway.
func federate(t *testing.T, g *child.Group) (east, west *catalog) {
	t.Helper()
	east = startCatalog(t, g, consulproc.Config{Datacenter: usEast})
	west = startCatalog(t, g, consulproc.Config{Datacenter: euWest, JoinWAN: []*consulproc.Agent{east.Agent}})
	meet(east, west)
	return east, west
}

// id is a node's in the gateway.
func (c *catalog) id(instance string) string { return instance + "@" + c.Node() + "." + c.Datacenter() }

// register names an instance at an address.
func (c *catalog) register(instance, address string, more ...func(*api.AgentServiceRegistration)) {
	c.t.Helper()
	if err := c.put(instance, address, more...); err != nil {
		c.t.Fatal(err)
	}
}

func (c *catalog) put(instance, address string, more ...func(*api.AgentServiceRegistration)) error {
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(digits)
	if err != nil {
		return err
	}
	r := &api.AgentServiceRegistration{ID: instance, Name: served, Address: host, Port: port, Tags: []string{"stable"}}
	for _, f := range more {
		f(r)
	}
	return c.api.Agent().ServiceRegister(r)
}

func (c *catalog) deregister(instance string) {
	c.t.Helper()
	if err := c.api.Agent().ServiceDeregister(instance); err != nil {
		c.t.Fatal(err)
	}
}

// has reports whether the catalog names an instance of a service.
func (c *catalog) has(service, instance string) bool {
	all, _, err := c.api.Catalog().Service(service, "", nil)
	for _, s := range all {
		if s.ServiceID == instance {
			return true
		}
	}
	return err != nil
}

// restart starts the agent again with an empty catalog.
func (c *catalog) restart() {
	c.t.Helper()
	if err := c.Restart(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// meet makes two agents know each other again at once; by themselves they try every half a minute.
func meet(a, b *catalog) {
	a.t.Helper()
	await(a.t, "the datacenters are federated", func() bool {
		members, err := a.api.Agent().Members(true)
		for _, m := range members {
			if m.Tags["dc"] == a.Datacenter() {
				err = b.api.Agent().Join(net.JoinHostPort(m.Addr, strconv.Itoa(int(m.Port))), true)
			}
		}
		if err == nil {
			_, _, err = a.api.Catalog().Nodes(&api.QueryOptions{Datacenter: b.Datacenter()})
		}
		return err == nil
	})
}

// tokenFile writes an ACL token to a file.
func tokenFile(t *testing.T, token string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "consul.token")
	write(t, file, token)
	return file
}
