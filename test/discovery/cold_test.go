package discovery

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/consulproc"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// cold is a gateway with two nodes of Consul and two of DNS.
type cold struct {
	t         *testing.T
	group     *child.Group
	catalog   *catalog
	resolvers []*resolver
	pool      *pool.Pool
	data      string // its data_dir
	text      string
}

// startCold brings everything up; data says that the gateway keeps what it learns.
func startCold(t *testing.T, data bool) (*cold, *gateway) {
	t.Helper()
	g := group(t)
	c := &cold{t: t, group: g, catalog: startCatalog(t, g, consulproc.Config{Datacenter: usEast}), pool: startPool(t, g, "n", 4)}
	nodes := c.pool.Nodes()
	lines := []string{"n.search.example.com. 60 IN A 127.0.0.1"}
	for i, n := range nodes {
		if i < 2 {
			c.catalog.register(n.ID, n.Address())
			continue
		}
		_, port, _ := net.SplitHostPort(n.Address())
		lines = append(lines, asked+" 60 IN SRV 1 10 "+port+" n.search.example.com.")
	}
	for range 2 {
		c.resolvers = append(c.resolvers, resolve(t, knowing(zone(t, lines...), nil)))
	}
	c.text = base("gw-1", usEast)
	if data {
		c.data = filepath.Join(t.TempDir(), "data")
		c.text += fmt.Sprintf("data_dir: %q\n", c.data)
	}
	c.text += fmt.Sprintf(`consul: {address: %q, datacenters: {us-east: us-east}, wait: 1s, timeout: 1s}
services:
  - name: search
    path: /mcp
    checks: {interval: 500ms, failures: 2}
    discover:
      - consul: {service: mcp-tools}
      - dns: {name: %s, resolvers: [%q, %q], agree: 2, scheme: http, min_ttl: 100ms, max_ttl: 1s, timeout: 500ms, tries: 1}
`, c.catalog.URL(), asked, c.resolvers[0].addr, c.resolvers[1].addr)
	gw := serve(t, g, c.text)
	await(t, "all four nodes are healthy", func() bool { return len(gw.nodes("search", "healthy")) == 4 })
	return c, gw
}

// darken takes away everything that names nodes: Consul and one resolver refuse, the other is silent.
func (c *cold) darken() {
	c.catalog.Kill()
	c.resolvers[0].stop()
	c.resolvers[1].say(silent)
}

// end ends the gateway as an orchestrator does.
func end(t *testing.T, gw *gateway) {
	t.Helper()
	if err := gw.Terminate(20 * time.Second); err != nil {
		t.Fatal(err)
	}
}

// first makes calls until one is answered and returns when, since the gateway said that it serves.
func first(t *testing.T, gw *gateway, bound time.Duration) (after time.Duration, tries int) {
	t.Helper()
	for time.Since(gw.up) < bound {
		tries++
		if good, _ := call(t, gw.url+"/mcp"); good {
			return time.Since(gw.up), tries
		}
		pause(t, 20*time.Millisecond)
	}
	return 0, tries
}

// fromDisk fails the test unless every node is known from disk, held by those that named it, and the sources say that
// they are stale.
func fromDisk(t *testing.T, gw *gateway) {
	t.Helper()
	s := gw.service("search")
	for _, n := range s.Nodes {
		if len(n.ProposedBy) != 1 || !n.ProposedBy[0].Disk || n.ProposedBy[0].Source == "disk" {
			t.Errorf("%s is held by %+v", n.ID, n.ProposedBy)
		}
	}
	for _, source := range s.Sources {
		if !source.Stale || gw.stale("search", source.Name) != 1 {
			t.Errorf("%s is fresh", source.Name)
		}
	}
	if len(s.Nodes) != 4 || len(s.Sources) != 2 {
		t.Errorf("%d nodes, %d sources", len(s.Nodes), len(s.Sources))
	}
}

// A gateway starts while everything that names nodes is down: it serves at once from what it kept, and looks at the
// nodes again as it goes.
func TestColdStart(t *testing.T) {
	for name, stop := range map[string]func(t *testing.T, c *cold, gw *gateway){
		"stopped": func(t *testing.T, _ *cold, gw *gateway) { end(t, gw) },
		"killed": func(t *testing.T, c *cold, gw *gateway) {
			await(t, "the nodes are on disk", func() bool {
				content, err := os.ReadFile(filepath.Join(c.data, "nodes.json"))
				return err == nil && strings.Count(string(content), "/mcp\"") >= 4
			})
			gw.Kill()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, gw := startCold(t, true)
			stop(t, c, gw)
			c.darken()
			gw = serve(t, c.group, c.text)
			after, tries := first(t, gw, 5*time.Second)
			fromDisk(t, gw)
			load := agents(t, seed(t), few, gw.url+"/mcp")
			await(t, "every node was looked at again", func() bool {
				again := 0
				for _, n := range gw.service("search").Nodes {
					if n.State == "healthy" && n.LastSeen.After(gw.up) {
						again++
					}
				}
				return again == 4
			})
			verified := time.Since(gw.up)
			for _, n := range c.pool.Nodes() {
				await(t, n.ID+" serves", func() bool { return gw.metric("quorate_attempts_total", nodeOf(c, n), label("result", "ok")) > 0 })
			}
			res := load.result(c.pool)
			t.Logf("%s, then a start with everything down: serving after %s, the first call (try %d) answered %s later, all 4 nodes verified again and at work after %s; %s",
				name, gw.up.Sub(gw.began).Round(time.Millisecond), tries, after.Round(time.Millisecond), verified.Round(time.Millisecond), figures(res))
			lossless(t, res)
			if tries != 1 || after > time.Second {
				t.Errorf("the first answer came after %s, at try %d", after, tries)
			}
		})
	}
	t.Run("one of the kept nodes is dead", func(t *testing.T) {
		t.Parallel()
		c, gw := startCold(t, true)
		end(t, gw)
		c.darken()
		c.pool.Nodes()[0].Kill()
		gw = serve(t, c.group, c.text)
		load := agents(t, seed(t), everybody, gw.url+"/mcp")
		await(t, "the dead one is found out", func() bool {
			return len(gw.nodes("search", "unhealthy")) == 1 && len(gw.nodes("search", "healthy")) == 3
		})
		found := time.Since(gw.up)
		pause(t, time.Second)
		res := load.result(c.pool)
		t.Logf("a start with everything down and one of 4 kept nodes dead: found out after %s; %s", found.Round(time.Millisecond), figures(res))
		lossless(t, res)
	})
	t.Run("what was kept is damaged", func(t *testing.T) {
		t.Parallel()
		c, gw := startCold(t, true)
		end(t, gw)
		var files []string // the control group's too
		walked := filepath.WalkDir(c.data, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && d.Name() != "lock" {
				files = append(files, path)
			}
			return err
		})
		if walked != nil {
			t.Fatal(walked)
		}
		for _, f := range files {
			write(t, f, "{\"version\": 1, ")
		}
		gw = serve(t, c.group, c.text)
		await(t, "all four nodes are healthy", func() bool { return len(gw.nodes("search", "healthy")) == 4 })
		t.Logf("N=%d files damaged: the sources are asked", len(files))
		if len(files) < 4 || !strings.Contains(gw.log.String(), "unusable") || !strings.Contains(gw.log.String(), "set aside") {
			t.Errorf("%d files; the log says nothing of them", len(files))
		}
	})
	t.Run("control: nothing is kept", func(t *testing.T) {
		t.Parallel()
		c, gw := startCold(t, false)
		end(t, gw)
		c.darken()
		gw = serve(t, c.group, c.text)
		after, tries := first(t, gw, 3*time.Second)
		t.Logf("control, no data_dir: %d calls in 3s, none answered: %v; ready says %d nodes", tries, after == 0, len(gw.nodes("search", "")))
		if after != 0 || tries < 10 {
			t.Errorf("answered after %s, %d tries: this test could not see a gateway that serves nothing", after, tries)
		}
		if err := gw.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
}

// nodeOf is the label of a node of the pool, whoever named it.
func nodeOf(c *cold, n *pool.Node) string {
	for i, m := range c.pool.Nodes() {
		if m == n && i < 2 {
			return label("node", c.catalog.id(n.ID))
		}
	}
	_, port, _ := net.SplitHostPort(n.Address())
	return ":" + port + "@127.0.0.1\""
}
