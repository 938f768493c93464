package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/consulproc"
	"github.com/quorate/quorate/internal/doctor"
	"github.com/quorate/quorate/regions/identity/identitytest"
)

var update = flag.Bool("update", false, "write testdata/doctor anew")

// setup is one broken setup and the same repaired.
type setup struct {
	name string
	// config builds the setup, broken or not, and returns the configuration.
	config func(p *place, broken bool) string
	code   int // of the broken one
	fixed  int // of the repaired one; the table has no fail row in any case
	says   []string
}

// head is what every configuration begins with.
const head = "name: gw-1\nregion: us-east\n"

// searching is a configuration with one service whose nodes prove a name.
func searching(discover string) string {
	return head + `services:
  - name: search
    path: /search
    identity: {tls_name: "*.search.example.com", ca_file: nodes-ca.crt}
    discover:
` + discover
}

func resolvers(all ...string) string {
	return `      - dns: {name: _mcp._tcp.search.example.com., resolvers: ["` + strings.Join(all, `", "`) + "\"], timeout: 1s}\n"
}

func fromConsul(a string, more, discover string) string {
	return fmt.Sprintf("consul: {address: %q, datacenters: {dc1: us-east}%s}\n", a, more) +
		searching(fmt.Sprintf("      - consul: {%s, scheme: https}\n", discover))
}

func listed(nodes ...string) string {
	var b strings.Builder
	b.WriteString("      - static:\n          nodes:\n")
	for i, url := range nodes {
		fmt.Fprintf(&b, "            - {id: s%d, url: %q}\n", i+1, url)
	}
	return b.String()
}

func TestDoctor(t *testing.T) {
	node := realNode(t)
	for _, s := range append(dnsSetups(node), otherSetups(node)...) {
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

func TestDoctorAndConsul(t *testing.T) {
	open := startConsul(t, consulproc.Config{})
	guarded := startConsul(t, consulproc.Config{ManagementToken: "3c2b6f2e-0000-4000-8000-000000000001"})
	for _, s := range consulSetups(realNode(t), open, guarded) {
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

func (s setup) run(t *testing.T) {
	p := newPlace(t)
	config := s.config(p, true)
	out, code := p.doctor(config)
	if code != s.code {
		t.Errorf("exit code %d, want %d", code, s.code)
	}
	aligned(t, out)
	for _, text := range s.says {
		if !strings.Contains(out, text) {
			t.Errorf("%q is not said", text)
		}
	}
	golden(t, s.name+".txt", p.plain(out))
	out, code = p.doctor(config, "--json")
	golden(t, s.name+".json", p.plain(out))
	if r := read(t, out); code != s.code || (r.Status == doctor.OK) != (code == 0) {
		t.Errorf("--json: exit code %d, status %s", code, r.Status)
	}
	// The control: the same, repaired.
	p = newPlace(t)
	out, code = p.doctor(s.config(p, false), "--json")
	r := read(t, out)
	for _, c := range r.Checks {
		if c.Status == doctor.Fail {
			t.Errorf("repaired: %+v", c)
		}
	}
	if code != s.fixed {
		t.Errorf("repaired: exit code %d, want %d: %s", code, s.fixed, out)
	}
}

func read(t *testing.T, out string) (r doctor.Report) {
	t.Helper()
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Checks) == 0 {
		t.Fatalf("%v: %s", err, out)
	}
	return r
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "doctor", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got {
		t.Errorf("%s differs (go test ./cmd/quorate -run TestDoctor -update writes it):\n%s\nwant:\n%s", name, got, want)
	}
}

// aligned holds a table to its form: a header, and every column at the header's place, two spaces or more before it.
func aligned(t *testing.T, out string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for _, column := range []string{"STATUS", "WHAT", "ASKED", "GOT", "DO"} {
		at := strings.Index(lines[0], column)
		for _, line := range lines {
			cells := []rune(line)
			if at < 0 || len(cells) <= at || cells[at] == ' ' || at > 0 && string(cells[at-2:at]) != "  " {
				t.Fatalf("column %s is not at %d of %q:\n%s", column, at, line, out)
			}
		}
	}
}

// pick is one of two, for setups.
func pick[T any](broken bool, bad, good T) T {
	if broken {
		return bad
	}
	return good
}

// name is what a node of these setups has a certificate for.
const name = "n1.search.example.com"

// proving returns a start of real nodes with that certificate.
func proving(node string) func(*place) string {
	return func(p *place) string { return p.node(node, p.nodes, name).Address() }
}

func dnsSetups(node string) []setup {
	good := proving(node)
	return []setup{
		{name: "dns-poisoned", code: 1, says: []string{"evil.example.com:"}, config: func(p *place, broken bool) string {
			at, impostor := good(p), p.node(node, identitytest.NewAuthority(p.t, "evil"), "evil.example.com")
			p.t.Cleanup(func() {
				if n := impostor.Connections(); n != 0 {
					p.t.Errorf("the impostor was connected to %d times", n)
				}
			})
			lie := pick(broken, zoneOf("evil.example.com", impostor.Address()), zoneOf(name, at))
			return searching(resolvers(p.resolver("RESOLVER-1", zoneOf(name, at)...), p.resolver("RESOLVER-2", zoneOf(name, at)...), p.resolver("RESOLVER-3", lie...)))
		}},
		{name: "dns-no-agreement", code: 2, says: []string{"no 2 of 3 agree"}, config: func(p *place, broken bool) string {
			at := good(p)
			var all []string
			for i, other := range []string{name, "n2.search.example.com", "n3.search.example.com"} {
				all = append(all, p.resolver(fmt.Sprintf("RESOLVER-%d", i+1), zoneOf(pick(broken, other, name), at)...))
			}
			return searching(resolvers(all...))
		}},
		{name: "dns-silent", code: 2, config: func(p *place, broken bool) string {
			at := good(p)
			mute := p.called("RESOLVER-2", p.dnsServer(func(miekg.ResponseWriter, *miekg.Msg) {}))
			if !broken {
				mute = p.resolver("RESOLVER-2", zoneOf(name, at)...)
			}
			return searching(resolvers(p.resolver("RESOLVER-1", zoneOf(name, at)...), mute))
		}},
	}
}

func consulSetups(node string, open, guarded *agent) []setup {
	good := proving(node)
	return []setup{
		{name: "good", code: 0, config: func(p *place, _ bool) string { return goodSetup(p, good, open) }},
		{name: "consul-down", code: 2, config: func(p *place, broken bool) string {
			open.register(p.t, "down", "d1", good(p), nil)
			return fromConsul(pick(broken, "http://"+p.shut(), open.URL()), "", "service: down")
		}},
		{name: "consul-denied", code: 2, config: func(p *place, broken bool) string {
			guarded.register(p.t, "search", "g1", good(p), nil)
			p.file("token", pick(broken, "3c2b6f2e-0000-4000-8000-00000000dead", "3c2b6f2e-0000-4000-8000-000000000001"))
			return fromConsul(guarded.URL(), ", token_file: token", "service: search")
		}},
		{name: "consul-blind-token", code: 2, says: []string{"service:read"}, config: func(p *place, broken bool) string {
			guarded.register(p.t, "search", "g1", good(p), nil)
			p.file("token", guarded.token(p.t, pick(broken, "", `service_prefix "" {policy = "read"} node_prefix "" {policy = "read"}`)))
			return fromConsul(guarded.URL(), ", token_file: token", "service: search")
		}},
		{name: "consul-no-token", code: 2, says: []string{"if this Consul has ACLs"}, config: func(p *place, broken bool) string {
			guarded.register(p.t, "search", "g1", good(p), nil)
			p.file("token", "3c2b6f2e-0000-4000-8000-000000000001")
			return fromConsul(guarded.URL(), pick(broken, "", ", token_file: token"), "service: search")
		}},
		{name: "consul-empty", code: 2, config: func(p *place, broken bool) string {
			open.register(p.t, "filled", "f1", good(p), nil)
			return fromConsul(open.URL(), "", "service: "+pick(broken, "empty", "filled"))
		}},
		{name: "consul-untagged", code: 2, config: func(p *place, broken bool) string {
			open.register(p.t, "tagged", "t1", good(p), nil, "stable")
			return fromConsul(open.URL(), "", "service: tagged, tag: "+pick(broken, "beta", "stable"))
		}},
		{name: "consul-datacenter", code: 2, config: func(p *place, broken bool) string {
			open.register(p.t, "far", "r1", good(p), nil)
			return strings.Replace(fromConsul(open.URL(), "", "service: far"), "dc1:", pick(broken, "dc7", "dc1")+":", 1)
		}},
	}
}

func otherSetups(node string) []setup {
	good := proving(node)
	at := func(address string) string { return "https://" + address + mcpPath }
	return []setup{
		{name: "nodes-down", code: 2, fixed: 1, says: []string{"connection refused", "no MCP"}, config: func(p *place, broken bool) string {
			page, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				p.t.Fatal(err)
			}
			p.serve(page, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
			closed := pick(broken, p.shut(), p.called("NODE", node))
			other := pick(broken, "http://"+page.Addr().String()+mcpPath, at(good(p)))
			return head + "services:\n  - name: search\n    path: /search\n    identity: none\n    discover:\n" +
				listed("http://"+closed+mcpPath, "http://"+node+pick(broken, "/nothing", "/mcp?again")) +
				"  - name: other\n    path: /other\n    identity: {tls_name: " + pick(broken, "", name) + ", ca_file: nodes-ca.crt}\n    discover:\n" + listed(other)
		}},
		{name: "node-impostor", code: 2, says: []string{"identity not proven: expected "}, config: func(p *place, broken bool) string {
			other := p.node(node, p.nodes, pick(broken, "db.example.com", "n2.search.example.com")).Address()
			foreign := p.node(node, pick(broken, identitytest.NewAuthority(p.t, "other"), p.nodes), "n3.search.example.com").Address()
			return searching(listed(at(good(p)), at(other), at(foreign)))
		}},
		{name: "node-unverified", code: 1, fixed: 0, says: []string{"unverified identity"}, config: func(p *place, broken bool) string {
			if broken {
				return head + "services:\n  - name: search\n    path: /search\n    discover:\n" + listed("http://"+node+mcpPath)
			}
			return searching(listed(at(good(p))))
		}},
		{name: "peers", code: 2, config: func(p *place, broken bool) string { return peerSetup(p, at(good(p)), broken) }},
		{name: "config", code: 2, config: func(p *place, broken bool) string {
			if !broken {
				return searching(listed(at(good(p))))
			}
			return "name: gw-1\nregoin: us-east\nservices:\n  - {name: tools, path: /mcp, checks: {interval: \"5\"}}\n"
		}},
		{name: "config-syntax", code: 2, config: func(p *place, broken bool) string {
			return pick(broken, "name: [gw-1\nregion", searching(listed(at(good(p)))))
		}},
	}
}

// goodSetup has some of everything.
func goodSetup(p *place, good func(*place) string, open *agent) string {
	east, west := good(p), good(p)
	fleet := p.fleet("fleet")
	p.issue(fleet, "us-east", "gw-1", ca.Options{Life: 24 * time.Hour})
	peerAt := p.gateway(fleet, p.issue(fleet, "eu-west", "gw-2", ca.Options{}))
	open.register(p.t, "good", "g1", east, nil)
	open.register(p.t, "good-gateways", "gw-3", p.gateway(fleet, p.issue(fleet, "eu-west", "gw-3", ca.Options{})),
		map[string]string{"quorate-gateway": "gw-3", "quorate-region": "eu-west"})
	zone := zoneOf("n1.search.example.com", west)
	return fmt.Sprintf(`data_dir: data
peer: {ca_file: fleet/ca.crt, cert_file: fleet/us-east-gw-1.crt, key_file: fleet/us-east-gw-1.key}
consul: {address: %q, datacenters: {dc1: eu-west}, peers: true, service: good-gateways}
regions: {eu-west: {gateways: [%q]}}
`, open.URL(), peerAt) + searching(resolvers(p.resolver("RESOLVER-1", zone...), p.resolver("RESOLVER-2", zone...))+
		listed("https://"+east+mcpPath))
}

func peerSetup(p *place, node string, broken bool) string {
	ours, theirs, strange := p.fleet("fleet"), p.fleet("theirs"), p.fleet("strange")
	p.issue(ours, "us-east", "gw-1", ca.Options{})
	late := p.issue(ours, "eu-west", "late", ca.Options{Life: time.Hour, Now: func() time.Time { return time.Now().Add(-2 * time.Hour) }})
	renewed := func() ca.Files { return p.issue(ours, "eu-west", "late", ca.Options{}) }
	old := ca.Options{Life: 10 * 24 * time.Hour, Now: func() time.Time { return time.Now().Add(-8 * 24 * time.Hour) }}
	gateways := map[string]string{
		"ap-south": p.gateway(pick(broken, strange, ours), p.issue(pick(broken, strange, ours), "ap-south", "gw-1", ca.Options{})),
		"us-west":  p.gateway(pick(broken, theirs, ours), p.issue(pick(broken, theirs, ours), "us-west", "gw-1", ca.Options{})),
		"af-south": p.gateway(ours, p.issue(ours, pick(broken, "me-south", "af-south"), "gw-1", ca.Options{})),
		"sa-east":  pick(broken, p.shut(), p.gateway(ours, p.issue(ours, "sa-east", "gw-1", ca.Options{}))),
		"ca-east":  p.gateway(ours, p.issue(ours, "ca-east", "gw-1", pick(broken, old, ca.Options{}))),
	}
	if gateways["eu-west"] = p.expired(late); !broken {
		gateways["eu-west"] = p.gateway(ours, renewed())
	}
	var both []byte // authorities that this gateway trusts
	for _, fleet := range []string{ours, theirs} {
		one, err := os.ReadFile(filepath.Join(fleet, ca.CertFile))
		if err != nil {
			p.t.Fatal(err)
		}
		both = append(both, one...)
	}
	p.file("both.crt", string(both))
	text := "peer: {ca_file: both.crt, cert_file: fleet/us-east-gw-1.crt, key_file: fleet/us-east-gw-1.key}\nregions:\n"
	for region, address := range gateways {
		text += fmt.Sprintf("  %s: {gateways: [%q]}\n", region, address)
	}
	return text + searching(listed(node))
}
