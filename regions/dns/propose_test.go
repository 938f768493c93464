package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/discovery"
)

var _ discovery.Source = (*Source)(nil)

func TestWeights(t *testing.T) {
	at := func(priority, weight uint16) endpoint { return endpoint{priority: priority, weight: weight} }
	for _, tc := range []struct {
		name string
		all  []endpoint
		want []int
	}{
		{"none", nil, []int{}},
		{"as they are", []endpoint{at(1, 10), at(1, 20), at(1, 0)}, []int{10, 20, 1}},
		{"over 1000 is scaled", []endpoint{at(1, 65535), at(1, 6553), at(1, 1)}, []int{1000, 99, 1}},
		{"a worse priority gets next to nothing", []endpoint{at(1, 1), at(1, 2), at(2, 500)}, []int{500, 1000, 1}},
		{"no weights and a worse priority", []endpoint{at(0, 0), at(9, 0)}, []int{1000, 1}},
	} {
		if got := weigh(tc.all); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestIDs(t *testing.T) {
	long := strings.Repeat("very-long-label.", 6) + "example.org"
	for _, tc := range []struct{ name, target, addr, want string }{
		{"_mcp._tcp.mcp.default.svc.cluster.local", "mcp-0.mcp.default.svc.cluster.local", "10.0.0.5", "mcp-0:8443@10.0.0.5"},
		{"_mcp._tcp.search.example.com", "n1.dc2.search.example.com", "2001:db8::1", "n1.dc2:8443@2001:db8::1"},
		{"_mcp._tcp.search.example.com", "n1.other.example.com", "10.0.0.5", "n1.other.example.com:8443@10.0.0.5"},
		{"_mcp._tcp.search.example.com", "search.example.com", "10.0.0.5", "search:8443@10.0.0.5"},
		{"mcp.example.com", "mcp.example.com", "10.0.0.5", "mcp:8443@10.0.0.5"},
		{"_mcp", "n1.example.com", "10.0.0.5", "n1.example.com:8443@10.0.0.5"},
		{"_mcp._tcp.search.example.com", long, "10.0.0.5", long[:60] + "...:8443@10.0.0.5"},
	} {
		e := endpoint{key: key{tc.name, tc.target, 8443}}
		if got := id(e, netip.AddrPortFrom(netip.MustParseAddr(tc.addr), 8443)); string(got) != tc.want {
			t.Errorf("%s of %s: %s, want %s", tc.target, tc.name, got, tc.want)
		}
	}
}

// The node is dialled at the address that was agreed on: nobody asks a resolver for its name again.
func TestProposals(t *testing.T) {
	c := Config{Service: "search", Region: "eu", Scheme: "https", Path: "/mcp", Identity: regions.Identity{TLSName: "*.search.example.com", SPIFFE: "spiffe://x/y"}}
	e := endpoint{key: key{"_mcp._tcp.search.example.com", "n1.search.example.com", 8443}, weight: 5,
		addrs: []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("10.0.0.1")}}
	alias := e
	alias.target = "other.example.com"
	got := propose([]endpoint{e, alias}, c)
	if len(got) != 2 {
		t.Fatalf("one process under two names is two nodes: %+v", got)
	}
	want := regions.Proposal{ID: "n1:8443@10.0.0.1", Service: "search", URL: "https://10.0.0.1:8443/mcp", Host: "n1.search.example.com", Region: "eu", Source: "dns", Weight: 5, Identity: c.Identity}
	if got[0] != want || got[1].URL != "https://[2001:db8::1]:8443/mcp" {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	c.TargetTLSName = true
	if got := propose([]endpoint{e}, c)[0].Identity; got != (regions.Identity{TLSName: "n1.search.example.com", SPIFFE: "spiffe://x/y"}) {
		t.Errorf("identity %+v", got)
	}
}

// Beyond the bound every endpoint keeps its first addresses.
func TestProposalsAreBounded(t *testing.T) {
	var all []endpoint
	for i := range 1000 {
		e := endpoint{key: key{"s", fmt.Sprintf("n%d", i), 443}}
		for j := range 10 {
			e.addrs = append(e.addrs, netip.AddrFrom4([4]byte{10, byte(j), byte(i >> 8), byte(i)}))
		}
		all = append(all, e)
	}
	per := map[string]int{}
	for _, n := range propose(all, Config{Scheme: "http", Path: "/"}) {
		target, _, _ := strings.Cut(string(n.ID), ":")
		per[target]++
	}
	total := 0
	for target, n := range per {
		if total += n; n < 4 || n > 5 {
			t.Errorf("%s has %d nodes", target, n)
		}
	}
	if total != maxNodes || len(per) != 1000 {
		t.Errorf("%d nodes of %d endpoints", total, len(per))
	}
}
