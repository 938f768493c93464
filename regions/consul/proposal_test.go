package consul

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/regions"
)

const spkiA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// entry is an instance as Consul would answer it.
func entry(t testing.TB, document string) *instance {
	t.Helper()
	var i instance
	if err := json.Unmarshal([]byte(document), &i); err != nil {
		t.Fatal(err)
	}
	return &i
}

func config(of regions.Identity) *Config {
	c := &Config{Service: "search", Region: "east", Identity: of}
	c.withDefaults()
	return c
}

func TestProposal(t *testing.T) {
	meta := `"quorate-scheme": "https", "quorate-path": "/v2/mcp", "quorate-version": "1.4.0", "quorate-group": "blue",
		"quorate-spki-sha256": "` + strings.ToUpper(spkiA) + `", "quorate-tls-name": "a.search.example", "quorate-spiffe-id": "spiffe://example/a"`
	tests := []struct {
		name, document string
		want           regions.Proposal
	}{
		{"plain", `{"Node": {"Node": "n1", "Address": "10.0.0.1", "Datacenter": "us-east"}, "Service": {"ID": "s-1", "Port": 9001, "Weights": {"Passing": 7, "Warning": 2}}, "Checks": [{"Status": "passing"}]}`,
			regions.Proposal{ID: "s-1@n1.us-east", URL: "http://10.0.0.1:9001/mcp", Weight: 7}},
		{"an address of its own, warning", `{"Node": {"Node": "n1", "Address": "10.0.0.1", "Datacenter": "d"}, "Service": {"ID": "s", "Address": "search.example", "Port": 1, "Weights": {"Passing": 7, "Warning": 2}}, "Checks": [{"Status": "passing"}, {"Status": "warning"}]}`,
			regions.Proposal{ID: "s@n1.d", URL: "http://search.example:1/mcp", Weight: 2}},
		{"IPv6, critical", `{"Node": {"Node": "n1", "Datacenter": "d"}, "Service": {"ID": "s", "Address": "2001:DB8::1", "Port": 9001, "Weights": {"Passing": 7, "Warning": 2}}, "Checks": [{"Status": "critical"}, {"Status": "warning"}]}`,
			regions.Proposal{ID: "s@n1.d", URL: "http://[2001:db8::1]:9001/mcp", Weight: 1}},
		{"IPv6 with a zone and brackets, in maintenance", `{"Node": {"Node": "n1", "Datacenter": "d"}, "Service": {"ID": "s", "Address": "[fe80::1%eth0]", "Port": 9001, "Weights": {"Passing": 7, "Warning": 2}}, "Checks": [{"Status": "critical", "CheckID": "_service_maintenance:s"}]}`,
			regions.Proposal{ID: "s@n1.d", URL: "http://[fe80::1%25eth0]:9001/mcp", Weight: 1}},
		{"several ports, no weights", `{"Node": {"Node": "n1", "Address": "h", "Datacenter": "d"}, "Service": {"ID": "s", "Ports": [{"Port": 1}, {"Port": 2, "Default": true}]}}`,
			regions.Proposal{ID: "s@n1.d", URL: "http://h:2/mcp", Weight: 1}},
		{"meta", `{"Node": {"Node": "n1", "Address": "h", "Datacenter": "d"}, "Service": {"ID": "s", "Port": 2, "Meta": {` + meta + `}}}`,
			regions.Proposal{ID: "s@n1.d", URL: "https://h:2/v2/mcp", Weight: 1, Version: "1.4.0", Group: "blue",
				Identity: regions.Identity{TLSName: "a.search.example", SPIFFE: "spiffe://example/a", SPKI: spkiA}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Service, tt.want.Region, tt.want.Source = "search", "east", "consul"
			got, err := config(regions.Identity{}).proposal(entry(t, tt.document))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := regions.CheckProposal(got); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRefusesInstances(t *testing.T) {
	wild := regions.Identity{TLSName: "*.search.example", SPIFFE: "spiffe://example/a", SPKI: spkiA}
	for _, tt := range []struct{ key, value, text string }{
		{MetaScheme, "ftp", "neither http nor https"},
		{MetaPath, "mcp", "is not a path"},
		{MetaPath, "/mcp#x", "is not a path"},
		{MetaVersion, "a\nb", "not printable"},
		{MetaGroup, strings.Repeat("g", 129), "longer than"},
		{MetaSPKI, "abc", "64 hexadecimal"},
		{MetaSPKI, strings.Repeat("b", 64), "not the key"},
		{MetaTLSName, "a b", "is not a name"},
		{MetaTLSName, "other.example", "not within"},
		{MetaTLSName, "a.b.search.example", "not within"},
		{MetaTLSName, "*.example", "not within"},
		{MetaSPIFFE, "https://example/a", "not a SPIFFE ID"},
		{MetaSPIFFE, "spiffe://example/b", "not the one"},
	} {
		i := entry(t, `{"Node": {"Node": "n", "Address": "h", "Datacenter": "d"}, "Service": {"ID": "s", "Port": 2}}`)
		i.Service.Meta = map[string]string{tt.key: tt.value}
		if _, err := config(wild).proposal(i); err == nil || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s %q: %v, want %q", tt.key, tt.value, err, tt.text)
		}
	}
	for document, text := range map[string]string{
		`{"Node": {"Node": "n", "Address": "h"}, "Service": {"ID": "s"}}`:                  "port 0",
		`{"Node": {"Node": "n", "Address": "h"}, "Service": {"ID": "s", "Port": 65536}}`:   "port 65536",
		`{"Node": {"Node": "n", "Address": "h"}, "Service": {"Port": 1}}`:                  "id is empty",
		`{"Node": {"Node": "n"}, "Service": {"ID": "s", "Port": 1}}`:                       "address",
		`{"Node": {"Node": "n", "Address": "u@h"}, "Service": {"ID": "s", "Port": 1}}`:     "address",
		`{"Node": {"Node": "n", "Address": "1:2:3"}, "Service": {"ID": "s", "Port": 1}}`:   "address",
		`{"Node": {"Node": "n", "Address": "h/x"}, "Service": {"ID": "s", "Port": 1}}`:     "address",
		`{"Node": {"Node": "n", "Address": "[::1"}, "Service": {"ID": "s", "Port": 1}}`:    "address",
		`{"Node": {"Node": "n", "Address": "::1 x"}, "Service": {"ID": "s", "Port": 443}}`: "address",
	} {
		if _, err := config(regions.Identity{}).proposal(entry(t, document)); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %q", document, err, text)
		}
	}
}

// TestMetaCannotLoosen: what the configuration asks for stands whatever the catalog says.
func TestMetaCannotLoosen(t *testing.T) {
	of := regions.Identity{TLSName: "*.search.example"}
	got, err := identity(of, map[string]string{MetaSPKI: spkiA, MetaTLSName: "B.search.example"})
	if want := (regions.Identity{TLSName: "B.search.example", SPKI: spkiA}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err = identity(of, map[string]string{"other": "x"}); err != nil || got != of {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestScale(t *testing.T) {
	for _, tt := range []struct{ in, want []int }{
		{[]int{1, 10, 1000}, []int{1, 10, 1000}},
		{[]int{1, 65535, 32768, 3}, []int{1, 1000, 500, 1}},
		{nil, nil},
	} {
		var nodes []regions.Proposal
		for _, w := range tt.in {
			nodes = append(nodes, regions.Proposal{Weight: w})
		}
		scale(nodes)
		for i := range nodes {
			if nodes[i].Weight != tt.want[i] {
				t.Errorf("%v: weight %d is %d", tt.in, i, nodes[i].Weight)
			}
		}
	}
}

func TestRefusesConfig(t *testing.T) {
	_, err := New(Config{Scheme: "ftp", Path: "x", ConsulService: "a/b", Datacenter: "..", Wait: 1, Hold: 1, BackoffMin: 1, MaxStale: -1})
	for _, text := range []string{"client", "service and region", `"a/b"`, `".."`, "scheme", "path", "wait", "stale", "hold", "backoff"} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q is missing in: %v", text, err)
		}
	}
	_, err = NewClient(ClientConfig{Address: "ftp://x", Timeout: 1, TokenFile: "/nowhere/t", CAFile: "/nowhere/ca"})
	for _, text := range []string{"address", "logger", "timeout", "/nowhere/t", "/nowhere/ca"} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q is missing in: %v", text, err)
		}
	}
	_, err = NewRegistrar(RegistrarConfig{Address: "0.0.0.0:1", CheckHTTP: "http://h", CheckTCP: true, TTL: 1, DeregisterAfter: 1})
	for _, text := range []string{"client and logger", "name and region", "nowhere", "not both", "ttl", "deregister"} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q is missing in: %v", text, err)
		}
	}
	_, err = NewGateways(GatewaysConfig{})
	if err == nil || !strings.Contains(err.Error(), "self and datacenters") {
		t.Errorf("gateways: %v", err)
	}
}

// FuzzAnswer decodes what a server may send: whatever it is, every node is valid and named once.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`[{"Node":{"Node":"n","Address":"10.0.0.1","Datacenter":"d"},"Service":{"ID":"s","Port":1,"Meta":{"quorate-path":"/x"},"Weights":{"Passing":70000}},"Checks":[{"Status":"warning"}]}]`))
	f.Add([]byte(`[{"Node":{"Address":"::1"},"Service":{"ID":"a"}},{"Service":{"ID":"a"}}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var list []instance
		if json.Unmarshal(body, &list) != nil {
			return
		}
		c := config(regions.Identity{TLSName: "*.example"})
		w := watch[regions.Proposal]{convert: c.proposal}
		all, text := w.read(list)
		var nodes []regions.Proposal
		seen := map[regions.NodeID]bool{}
		for _, n := range all {
			if seen[n.item.ID] || string(n.item.ID) != n.id {
				t.Fatalf("%q is named twice or not by its id", n.id)
			}
			seen[n.item.ID] = true
			nodes = append(nodes, n.item)
		}
		scale(nodes)
		for _, n := range nodes {
			if err := regions.CheckProposal(n); err != nil || n.Weight < 1 || n.Identity.TLSName == "" {
				t.Fatalf("%+v: %v", n, err)
			}
		}
		if len(text) > maxSaid {
			t.Fatalf("%d bytes for operators", len(text))
		}
	})
}

func TestCoordinates(t *testing.T) {
	a, b := place{Vec: []float64{0, 3}, Height: 1}, place{Vec: []float64{4, 0}, Height: 0.5}
	if d, ok := a.distance(b); !ok || d.Seconds() != 6.5 {
		t.Errorf("distance %v, %v", d, ok)
	}
	b.Adjustment = -1
	if d, ok := a.distance(b); !ok || d.Seconds() != 5.5 {
		t.Errorf("adjusted %v, %v", d, ok)
	}
	b.Adjustment = -100 // leaves less than nothing, so it is not used
	if d, ok := a.distance(b); !ok || d.Seconds() != 6.5 {
		t.Errorf("adjusted below nothing %v, %v", d, ok)
	}
	for _, bad := range []place{{}, {Vec: []float64{1}}, {Vec: []float64{1e9, 0}}, {Vec: []float64{1e300, 1e300}}} {
		if d, ok := a.distance(bad); ok {
			t.Errorf("%v is at a distance of %v", bad, d)
		}
	}
	if _, ok := median(nil, []place{a}); ok {
		t.Error("a median of nothing")
	}
	if d, _ := median([]place{a}, []place{a, {Vec: []float64{0, 4}}, {Vec: []float64{0, 9}}}); fmt.Sprint(d) != "2s" {
		t.Errorf("median %v", d)
	}
}
