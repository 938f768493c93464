package discovery

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// fleet is gateways that find each other in Consul: us-east's, which has no node, and those of eu-west.
type fleet struct {
	t          *testing.T
	group      *child.Group
	east, west *catalog
	dir        string // of the authority
	pool       *pool.Pool
}

func startFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, group: group(t), dir: filepath.Join(t.TempDir(), "ca")}
	f.east, f.west = federate(t, f.group)
	f.pool = startPool(t, f.group, "eu", 3)
	if err := ca.Init(f.dir, ca.Options{}); err != nil {
		t.Fatal(err)
	}
	return f
}

// document is a gateway's file, with no other gateway's address in it.
func (f *fleet) document(name, region string, agent *catalog, keys, nodes string) string {
	f.t.Helper()
	files, err := ca.Issue(f.dir, region, name, ca.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	others := "" // eu-west's gateways send nothing to others
	if region == usEast {
		others = "eu-west: {}"
	}
	return base(name, region) + fmt.Sprintf(`consul: {address: %q, datacenters: {us-east: us-east, eu-west: eu-west}, wait: 1s, timeout: 1s, %s}
peer: {address: "127.0.0.1:0", ca_file: %q, cert_file: %q, key_file: %q}
regions: {%s}
shutdown: {drain: 5s}
services:
  - name: tools
    path: /mcp
    checks: {interval: 500ms, failures: 2}
    discover: [{static: {nodes: [%s]}}]
`, agent.URL(), keys, filepath.Join(f.dir, "ca.crt"), files.Cert, files.Key, others, nodes)
}

// west starts a gateway of eu-west, which shows itself in Consul.
func (f *fleet) startWest(name string) *gateway {
	f.t.Helper()
	var nodes []string
	for _, n := range f.pool.Nodes() {
		nodes = append(nodes, fmt.Sprintf("{id: %s, url: %q}", n.ID, n.URL()))
	}
	g := serve(f.t, f.group, f.document(name, euWest, f.west, "register: true", strings.Join(nodes, ", ")))
	g.name = name
	await(f.t, name+" is in Consul", func() bool { return f.west.has("quorate", "quorate-"+name) })
	return g
}

// ways are the gateways that us-east's has for tools and that serve.
func ways(g *gateway) []string {
	var found []string
	for _, n := range g.service("tools").Nodes {
		if n.State == "healthy" && n.Source == "gateway" && n.Region == euWest {
			found = append(found, n.ID)
		}
	}
	return found
}

// A gateway finds those of another region in Consul and sends its traffic through them. One that is ended leaves
// Consul at once, and one that is killed costs nothing either.
func TestGatewaysFindEachOther(t *testing.T) {
	f := startFleet(t)
	one := f.startWest("gw-b1")
	two := f.startWest("gw-b2")
	began := time.Now()
	east := serve(t, f.group, f.document("gw-a", usEast, f.east, "peers: true", ""))
	await(t, "both gateways are found", func() bool { return len(ways(east)) == 2 })
	found := time.Since(began)
	if took := east.up.Sub(east.began); took > 1500*time.Millisecond {
		t.Errorf("it served after %s: it waited for sources that nobody had asked yet", took)
	}
	if after, _ := first(t, east, 10*time.Second); after == 0 {
		t.Fatal("no call was answered")
	}
	load := agents(t, seed(t), everybody, east.url+"/mcp")
	served := func(what string, ids []string) {
		t.Helper()
		before := east.samples("quorate_attempts_total")
		for _, id := range ids {
			n := label("node", id)
			await(t, what+": traffic goes through "+id, func() bool {
				return sum(east.samples("quorate_attempts_total"), n, label("result", "ok")) > max(0, sum(before, n, label("result", "ok")))
			})
		}
	}
	served("both", ways(east))
	figuresNow := func(what string, after time.Duration) {
		now := load.Figures()
		t.Logf("%-52s after %5s; so far %d calls, %d safe calls failed, %d sessions lost", what, after.Round(10*time.Millisecond), now.Calls, now.SafeLost, now.SessionsLost)
	}
	figuresNow("both gateways found and used", found)

	last := one
	for i := range rounds() {
		name := fmt.Sprintf("gw-b%d", i+3)
		began = time.Now()
		if err := last.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		id := "quorate-" + last.name
		left := await(t, last.name+" is out of Consul", func() bool { return !f.west.has("quorate", id) })
		figuresNow("SIGTERM: "+last.name+" is out of Consul", left)
		if timed() && left > time.Second {
			t.Errorf("it took %s", left)
		}
		await(t, "gw-a goes by gw-b2 only", func() bool { return len(east.nodes("tools", "")) == 1 })
		figuresNow("gw-a knows gw-b2 only", time.Since(began))
		served("the other one", ways(east))
		if err := last.Err(); err != nil {
			t.Errorf("%s ended with %v\n%s", last.name, err, last.log)
		}
		began = time.Now()
		last = f.startWest(name)
		await(t, name+" is found", func() bool { return len(ways(east)) == 2 })
		figuresNow(name+" joins and is found", time.Since(began))
		served("with the new one", ways(east))
	}

	began = time.Now()
	two.Kill()
	await(t, "gw-b2 is found dead", func() bool { return len(ways(east)) == 1 })
	figuresNow("SIGKILL: gw-b2 is found dead", time.Since(began))
	if !f.west.has("quorate", "quorate-gw-b2") {
		t.Error("Consul has forgotten a gateway that was killed: this is no test of one that stays in")
	}
	f.east.Kill()
	f.west.Kill()
	pause(t, time.Second)
	served("without any Consul", ways(east))
	figuresNow("both Consuls killed", time.Since(began))
	res := load.result(f.pool)
	t.Log(figures(res))
	lossless(t, res)
	if got := ways(east); len(got) != 1 || slices.Contains(got, "") {
		t.Errorf("ways %v", got)
	}
	end(t, last)
}

// rounds is how many gateways leave and join.
func rounds() int {
	if timed() {
		return 20
	}
	return 3
}

// The control: nobody is looked for, so nobody is found.
func TestGatewaysFindEachOtherControl(t *testing.T) {
	f := startFleet(t)
	f.startWest("gw-b1")
	text := strings.Replace(f.document("gw-a", usEast, f.east, "peers: false", ""), "eu-west: {}", "", 1)
	east := serve(t, f.group, text)
	pause(t, 2*time.Second)
	good, _ := call(t, east.url+"/mcp")
	t.Logf("control, peers: false: %d gateways found, a call was answered: %v", len(ways(east)), good)
	if len(ways(east)) != 0 || good {
		t.Error("this test could not see a gateway that finds nobody")
	}
}

// A gateway is replaced by another process of its name, which starts before the old one ends, as in a rolling update:
// the end of the old one does not take the new one out of Consul.
func TestGatewayIsReplacedUnderItsName(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	old := f.startWest("gw-b1")
	east := serve(t, f.group, f.document("gw-a", usEast, f.east, "peers: true", ""))
	if after, _ := first(t, east, 10*time.Second); after == 0 {
		t.Fatal("no call was answered")
	}
	load := agents(t, seed(t), few, east.url+"/mcp")
	registered := func() (ports []int) {
		all, _, err := f.west.api.Catalog().Service("quorate", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			ports = append(ports, s.ServicePort)
		}
		return ports
	}
	before := registered()
	f.startWest("gw-b1")
	await(t, "the new one has taken its place", func() bool { return len(registered()) == 1 && registered()[0] != before[0] })
	after := registered()
	await(t, "gw-a goes by the new one", func() bool {
		all := ways(east)
		return len(all) == 1 && strings.HasSuffix(all[0], fmt.Sprintf(":%d", after[0]))
	})
	end(t, old)
	for range 20 {
		if now := registered(); !slices.Equal(now, after) {
			t.Fatalf("in Consul are %v, want %v", now, after)
		}
		pause(t, 50*time.Millisecond)
	}
	res := load.result(f.pool)
	t.Logf("a gateway is replaced by another process of its name: %s", figures(res))
	lossless(t, res)
}
