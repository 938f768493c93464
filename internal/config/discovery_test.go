package config

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/regions"
)

func TestDiscovery(t *testing.T) {
	const text = `name: gw-1
region: us-east
consul: {address: "http://127.0.0.1:8500", datacenters: {dc1: us-east, dc2: eu-west}}
services:
  - name: search
    path: /search
    discover:
      - consul: {service: mcp-search, tag: stable}
      - dns: {name: _mcp._tcp.search.example.com, type: SRV, region: us-east, resolvers: ["127.0.0.1:5301", "tcp://127.0.0.1:5302", "tls://127.0.0.1:8853#dns.example"], agree: 2, path: /mcp, dnssec: prefer}
      - static: {region: ap-south, nodes: [{id: s1, url: "https://127.0.0.1:9011/mcp"}]}
    identity: {tls_name: "*.search.example.com"}
  - name: open
    path: /open
    discover: [{static: {nodes: [{id: a, url: "http://127.0.0.1:9001/mcp"}]}}]
    identity: none
`
	c, err := Load(write(t, "quorate.yaml", text), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"eu-west", "ap-south"} {
		if r, ok := c.Regions[name]; !ok || r.Via != regions.ViaDirect.String() {
			t.Errorf("%s, which only sources name: %+v", name, r)
		}
	}
	if _, own := c.Regions["us-east"]; own {
		t.Error("the own region became another one")
	}
	d := c.Services[0].Discover
	if got := c.DatacentersOf(d[0].Consul); len(got) != 2 || got[0] != "dc1" {
		t.Errorf("datacenters %v", got)
	}
	if got := c.Services[0].Identity.Of(); got != (regions.Identity{TLSName: "*.search.example.com"}) {
		t.Errorf("identity %+v", got)
	}
	if got := c.Services[1].Identity.Of(); !got.None() {
		t.Errorf("none is %+v", got)
	}
}

func TestDiscoveryProblems(t *testing.T) {
	const before = "name: a\nregion: r\n"
	service := func(discover, more string) string {
		return "services:\n  - name: s\n    path: /s\n    discover: [" + discover + "]\n" + more
	}
	const useConsul = "consul: {address: \"http://127.0.0.1:8500\", datacenters: {dc1: r}}\n"
	for name, tc := range map[string]struct{ text, want string }{
		"consul without an address":  {before + service(`{consul: {service: x}}`, ""), "needs Consul's address"},
		"no datacenter":              {before + "consul: {address: \"http://127.0.0.1:8500\"}\n" + service(`{consul: {service: x}}`, ""), "consul.datacenters: is missing"},
		"a datacenter of no region":  {before + useConsul + service(`{consul: {service: x, datacenters: [dc2]}}`, ""), "has no region"},
		"peers without an identity":  {before + "consul: {address: \"http://127.0.0.1:8500\", datacenters: {dc1: r}, peers: true}\n" + service(`{consul: {service: x}}`, ""), "without an identity"},
		"one resolver, no identity":  {before + service(`{dns: {name: x.example, resolvers: ["127.0.0.1:53"]}}`, ""), "believes a single resolver"},
		"agree 1, no identity":       {before + service(`{dns: {name: x.example, agree: 1, resolvers: ["127.0.0.1:53", "127.0.0.2:53"]}}`, ""), "believes a single resolver"},
		"agree above":                {before + service(`{dns: {name: x.example, agree: 3, resolvers: ["127.0.0.1:53", "127.0.0.2:53"]}}`, ""), "more than the 2 resolvers"},
		"a resolver's name":          {before + service(`{dns: {name: x.example, resolvers: ["dns.example:53"]}}`, ""), "is not a resolver"},
		"a port beside SRV":          {before + service(`{dns: {name: x.example, port: 80}}`, ""), "SRV records have ports"},
		"addresses without a port":   {before + service(`{dns: {name: x.example, type: A}}`, ""), "is missing with type: A"},
		"http and an identity":       {before + service(`{dns: {name: x.example, scheme: http}}`, "    identity: {tls_name: x.example}\n"), "http cannot prove"},
		"static http and identity":   {before + service(`{static: {nodes: [{id: a, url: "http://127.0.0.1:1/mcp"}]}}`, "    identity: {tls_name: x.example}\n"), "http cannot prove"},
		"a short key":                {before + service(`{static: {nodes: [{id: a, url: "https://127.0.0.1:1/mcp"}]}}`, "    identity: {spki_sha256: abcd}\n"), "identity"},
		"none and something":         {before + service(`{static: {nodes: [{id: a, url: "https://127.0.0.1:1/mcp"}]}}`, "    identity: {none: true, tls_name: x.example}\n"), "set beside what must be proven"},
		"two sources in one":         {before + service(`{static: {nodes: []}, dns: {name: x.example}}`, ""), "two sources"},
		"another word than none":     {before + service(`{static: {nodes: []}}`, "    identity: nobody\n"), "not a section"},
		"authorities that are not":   {before + service(`{static: {nodes: []}}`, "    identity: {ca_file: missing.crt}\n"), "cannot be read"},
		"a direct region of nothing": {before + "regions: {far: {via: direct}}\n" + service(`{static: {nodes: []}}`, ""), "regions.far.pools: is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(write(t, "quorate.yaml", tc.text), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v\nwants %q", err, tc.want)
			}
		})
	}
}
