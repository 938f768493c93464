package config

import (
	"strings"
	"testing"
	"time"
)

func TestRegionsAreRead(t *testing.T) {
	c := load(t, head+tail+"    routes: [{match: {tool: \"search_*\"}, class: fast}]\n"+`classes: {fast: 5ms}
regions:
  us-east: {capacity: 200}
  ap-south:
    via: direct
    rtt: 190ms
    pools: {tools: {nodes: [{id: ap-a, url: "http://10.0.0.1:9001/mcp"}]}}
routes:
  - {service: "to*", match: {method: "tools/*", header: {Mcp-Param-Region: "eu-*"}}, class: slow, spill: strict, deadline: 2s, limit: 3, authority: none}
  - {service: "other", match: {method: "x"}}
`)
	far := c.Regions["ap-south"]
	if c.Regions["us-east"].Capacity != 200 || far.Via != "direct" || far.RTT != 190*time.Millisecond || far.Pools["tools"].Nodes[0].Weight != 1 {
		t.Errorf("regions %+v", c.Regions)
	}
	if c.Classes != (Classes{5 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond}) {
		t.Errorf("classes %+v", c.Classes)
	}
	routes := c.RoutesOf(0)
	if len(routes) != 2 || routes[0].Match.Tool != "search_*" || routes[1].Match.Header["Mcp-Param-Region"] != "eu-*" || routes[1].Limit != 3 || routes[1].Deadline != 2*time.Second {
		t.Errorf("routes %+v", routes)
	}
	if routes[0].Authority != AuthorityRequired || routes[1].Authority != AuthorityNone {
		t.Errorf("authority of routes %q, %q", routes[0].Authority, routes[1].Authority)
	}
	if c.Services[0].Class != "medium" || c.Services[0].Spill != "any" || !c.Services[0].Limits.Adaptive || c.Failover.HoldDown != 5*time.Minute {
		t.Errorf("defaults %+v %+v", c.Services[0], c.Failover)
	}
}

func TestRegionProblems(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"via gateway without an identity": {"regions: {eu: {gateways: [\"127.0.0.1:9101\"]}}\n", "quorate ca issue us-east gw-1"},
		"no gateways":                     {"regions: {eu: {rtt: 80ms}}\n", "regions.eu.gateways: is missing"},
		"direct without nodes":            {"regions: {eu: {via: direct}}\n", "regions.eu.pools: is missing"},
		"nodes of the own region":         {"regions: {us-east: {pools: {tools: {nodes: [{id: x, url: \"http://h/\"}]}}}}\n", "only its capacity"},
		"an unknown service":              {"regions: {eu: {via: direct, pools: {toolz: {nodes: [{id: x, url: \"http://h/\"}]}}}}\n", "names no service"},
		"a region twice":                  {"regions:\n  eu: {via: direct}\n  eu: {via: direct}\n", "is given twice, first in line"},
		"no name":                         {"regions: {\"-x\": {via: direct}}\n", "is not a name"},
		"an unknown key":                  {"regions: {eu: {gatewayz: []}}\n", "gateways"},
		"an address twice":                {"regions: {eu: {gateways: [\"h:1\", \"h:1\"]}}\n", "is taken by regions.eu.gateways[0]"},
		"not a section":                   {"regions: [eu]\n", "is a list"},
		"classes that do not grow":        {"classes: {fast: 60ms}\n", "classes.medium"},
		"a peer address alone":            {"peer: {address: \"127.0.0.1:9100\"}\n", "needs a certificate"},
		"a part of the identity":          {"peer: {ca_file: ca.crt}\n", "only a part"},
		"a header that is none":           {"routes: [{match: {header: {\"a b\": x}}}]\n", "is not a header field"},
		"a header pattern that is none":   {"routes: [{match: {header: {X-A: \"[\"}}}]\n", "is not a pattern"},
		"too many headers":                {"routes: [{match: {header: {a: x, b: x, c: x, d: x, e: x, f: x, g: x, h: x, i: x}}}]\n", "at most 8"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(write(t, "quorate.yaml", head+tail+tc.text), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// Who calls must be known by the same value at every gateway: another one is not sent what belongs to a connection.
func TestIdentityHeaderComesAlong(t *testing.T) {
	for name, want := range map[string]string{
		"Authorization": "", "X-Account": "", "proxy-authorization": "does not come along", "Host": "does not come along", "origin": "does not come along",
		"Sec-Fetch-Site": "does not come along", "Quorate-Relay": "does not come along", "a b": "is not a header field",
	} {
		text := head + strings.Replace(tail, "path: /mcp", "path: /mcp\n    ledger: {identity_header: \""+name+"\"}", 1)
		_, err := Load(write(t, "quorate.yaml", text), nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
