package discovery

import (
	"fmt"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/quorate/quorate/internal/beside"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/consulproc"
	"github.com/quorate/quorate/internal/mcpnode/pool"
	catalogs "github.com/quorate/quorate/regions/consul"
	"github.com/quorate/quorate/regions/identity/identitytest"
)

// proving is a datacenter whose catalog names nodes behind TLS, and an authority for their certificates.
type proving struct {
	t         *testing.T
	group     *child.Group
	catalog   *catalog
	pool      *pool.Pool
	authority *identitytest.Authority
	good      *identitytest.Listener // with the identity; in front of the pool's first node
	impostor  *identitytest.Listener // of another authority; in front of the second
}

func startProving(t *testing.T) *proving {
	t.Helper()
	p := &proving{t: t, group: group(t), authority: identitytest.NewAuthority(t, "trusted")}
	p.catalog = startCatalog(t, p.group, consulproc.Config{Datacenter: usEast})
	p.pool = startPool(t, p.group, "n", 2)
	p.good = secured(t, "", p.pool.Nodes()[0].Address(), p.authority.Issue(t, leaf()))
	p.impostor = secured(t, "", p.pool.Nodes()[1].Address(), identitytest.NewAuthority(t, "other").Issue(t, leaf()))
	return p
}

// document is a gateway's file; lines are more of the service.
func (p *proving) document(keys, lines string) string {
	return base("gw-1", usEast) + keys + fmt.Sprintf(`consul: {address: %q, datacenters: {us-east: us-east}, wait: 1s, timeout: 1s}
services:
  - name: search
    path: /mcp
    checks: {interval: 300ms, failures: 2}
    discover: [{consul: {service: mcp-tools, scheme: https}}]
%s`, p.catalog.URL(), lines)
}

func (p *proving) identity(name string) string {
	return fmt.Sprintf("    identity: {tls_name: %q, ca_file: %q}\n", name, authorityFile(p.t, p.authority.Cert()))
}

// onlyURL is an identity that asks for nothing but what the node's URL says.
func (p *proving) onlyURL() string {
	return fmt.Sprintf("    identity: {ca_file: %q}\n", authorityFile(p.t, p.authority.Cert()))
}

func meta(keys map[string]string) func(*api.AgentServiceRegistration) {
	return func(r *api.AgentServiceRegistration) { r.Meta = keys }
}

// plain counts what it is sent in the clear.
func plain(t *testing.T) (address string, received *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	received = new(atomic.Int64)
	beside.Serve(t, l, func(c net.Conn) {
		if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return
		}
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		received.Add(int64(n))
	})
	return l.Addr().String(), received
}

// Whoever can write to the catalog cannot have a request sent to a node that does not prove the service's identity:
// not by its name, not over plain HTTP, not by other keys of its meta, not in the place of a good node.
func TestCatalogCannotLoosenIdentity(t *testing.T) {
	t.Parallel()
	p := startProving(t)
	clear, received := plain(t)
	p.catalog.register("good", p.good.Address())
	p.catalog.register("impostor", p.impostor.Address())
	p.catalog.register("plain", clear, meta(map[string]string{catalogs.MetaScheme: "http"}))
	p.catalog.register("wide", p.impostor.Address(), meta(map[string]string{catalogs.MetaTLSName: "*.example.com"}))
	gw := serve(t, p.group, p.document("", p.identity("*.search.example.com")))
	good := p.catalog.id("good")
	await(t, "the good one is healthy", func() bool { return len(gw.nodes("search", "healthy")) == 1 })
	load := agents(t, seed(t), few, gw.url+"/mcp")
	await(t, "the impostor is found out", func() bool { return gw.metric("quorate_node_unproven", label("node", p.catalog.id("impostor"))) == 1 })
	pause(t, time.Second)
	said := fmt.Sprint(gw.source("search", "consul:us-east/mcp-tools").Voices)
	attempts := gw.samples("quorate_attempts_total")
	p.catalog.register("good", p.impostor.Address()) // the good one's id, where the impostor is
	pause(t, 2*time.Second)
	res := load.result(p.pool)
	t.Logf("impostor: %d connections, %d bytes; in the clear: %d bytes; tries at the good one %g; said %.200q; %d calls, %d failed once the good one's id was taken over",
		p.impostor.Connections(), p.impostor.Received(), received.Load(), sum(attempts, label("node", good), label("result", "ok")), said, res.Calls, res.SafeLost)
	if p.impostor.Received() != 0 || received.Load() != 0 || p.impostor.Connections() == 0 || p.good.Received() == 0 {
		t.Errorf("impostor %d bytes, in the clear %d bytes", p.impostor.Received(), received.Load())
	}
}

// A gateway is started again with an identity that its kept nodes did not have to prove, while Consul is down: what
// is on disk does not stand in for the proof.
func TestKeptNodesProveTheNewIdentity(t *testing.T) {
	t.Parallel()
	p := startProving(t)
	keys := fmt.Sprintf("data_dir: %q\n", filepath.Join(t.TempDir(), "data"))
	p.catalog.register("good", p.good.Address())
	gw := serve(t, p.group, p.document(keys, p.onlyURL()))
	await(t, "it is healthy", func() bool { return len(gw.nodes("search", "healthy")) == 1 })
	end(t, gw)
	p.catalog.Kill()
	gw = serve(t, p.group, p.document(keys, p.identity("*.other.example.com")))
	before := p.good.Received()
	pause(t, 1500*time.Millisecond)
	good, _ := call(t, gw.url+"/mcp")
	all := gw.service("search").Nodes
	t.Logf("started again with another identity and without Consul: a call was answered: %v, %d bytes sent; nodes %+v", good, p.good.Received()-before, all)
	if good || p.good.Received() != before {
		t.Error("a node was used that does not prove the identity of the file")
	}
	end(t, gw)
	gw = serve(t, p.group, p.document(keys, p.identity("*.search.example.com")))
	after, tries := first(t, gw, 5*time.Second)
	t.Logf("and with one that it proves: the first call (try %d) is answered after %s", tries, after.Round(time.Millisecond))
	if after == 0 {
		t.Error("it does not serve though it proves the identity")
	}
}

// The identity is changed by a reload while Consul is down: nodes that do not prove the new one are used no more.
func TestReloadedIdentityHoldsWithoutConsul(t *testing.T) {
	t.Parallel()
	p := startProving(t)
	p.catalog.register("good", p.good.Address())
	gw := serve(t, p.group, p.document("", p.onlyURL()))
	await(t, "it is healthy", func() bool { return len(gw.nodes("search", "healthy")) == 1 })
	p.catalog.Kill()
	await(t, "the source is stale", func() bool { return gw.stale("search", "consul:us-east/mcp-tools") == 1 })
	gw.reload(p.document("", p.identity("*.search.example.com")))
	after, _ := first(t, gw, 5*time.Second)
	gw.reload(p.document("", p.identity("*.other.example.com")))
	await(t, "it is found out", func() bool { return len(gw.nodes("search", "healthy")) == 0 })
	before := p.good.Received()
	pause(t, time.Second)
	good, _ := call(t, gw.url+"/mcp")
	t.Logf("identity changed without Consul to one that is proven: answered: %v; to one that is not: answered: %v, %d bytes sent", after > 0, good, p.good.Received()-before)
	if after == 0 || good || p.good.Received() != before {
		t.Error("the identity of the file does not hold")
	}
}
