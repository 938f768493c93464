package dns

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/quorate/quorate/regions"
)

var three = []string{"127.0.0.1:5301", "127.0.0.1:5302", "tls://127.0.0.1:8853#dns.example"}

func TestDefaults(t *testing.T) {
	for n, agree := range map[int]int{1: 1, 2: 2, 3: 2, 4: 3, 5: 4} {
		c := base([]string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4", "127.0.0.1:5"}[:n]...)
		c.Scheme, c.Type, c.Timeout, c.Tries, c.Identity = "", "", 0, 0, identity
		got := source(t, c).cfg
		if got.Agree != agree || got.Type != SRV || got.Scheme != "https" || got.Path != "/mcp" || got.DNSSEC != Off ||
			got.Floor != 5*time.Second || got.Ceiling != 5*time.Minute || got.Timeout != 2*time.Second || got.Tries != 2 {
			t.Errorf("%d resolvers: %+v", n, got)
		}
	}
}

func TestRefuses(t *testing.T) {
	spki := regions.Identity{SPKI: strings.Repeat("ab", 32)}
	for _, tc := range []struct {
		name   string
		change func(*Config)
		texts  []string // nil: accepted
	}{
		{"nothing odd", func(*Config) {}, nil},
		{"agree 1, no identity", func(c *Config) { c.Agree = 1 }, []string{"agree 1 with no identity", `write identity: {tls_name: "..."}`, "agree: 2"}},
		{"one resolver, no identity", func(c *Config) { c.Resolvers = three[:1] }, []string{"agree 1 with no identity"}},
		{"one resolver, an identity", func(c *Config) { c.Resolvers, c.Identity = three[:1], identity }, nil},
		{"one resolver that chooses the name to prove", func(c *Config) { c.Resolvers, c.TargetTLSName = three[:1], true },
			[]string{"lets one resolver choose the SRV target"}},
		{"one resolver that chooses the name to prove in place of the one that is set",
			func(c *Config) { c.Resolvers, c.TargetTLSName, c.Identity = three[:1], true, identity }, []string{"lets one resolver choose"}},
		{"one resolver that chooses the name, and a key", func(c *Config) { c.Resolvers, c.TargetTLSName, c.Identity = three[:1], true, spki }, nil},
		{"one resolver, and the configured name to prove", func(c *Config) {
			c.Resolvers, c.TargetTLSName, c.Type, c.Port = three[:1], true, Address, 443
		}, nil},
		{"agree beyond the resolvers", func(c *Config) { c.Agree = 4 }, []string{"agree 4 is outside 1..3"}},
		{"agree below 1", func(c *Config) { c.Agree = -1 }, []string{"agree -1 is outside 1..3"}},
		{"everything at once", func(c *Config) {
			*c = Config{Resolvers: []string{"dns.example:53", "udp://127.0.0.1:53#x"}, Type: "MX", Scheme: "ftp", Path: "mcp", DNSSEC: "on", Floor: time.Hour,
				Timeout: time.Hour, Tries: 11, Ndots: 16, Search: []string{"a b"}}
		}, []string{"service and region", `name ""`, `type "MX"`, "port 0", `scheme "ftp"`, `path "mcp"`, `dnssec "on"`, "floor 1h0m0s", "timeout 1h0m0s",
			"tries 11", "ndots 16", `search: "a b"`, `resolver "dns.example:53": not an IP address`, "a server name after # belongs to tls://"}},
		{"SRV with a port", func(c *Config) { c.Port = 443 }, []string{"leave it out"}},
		{"A without a port", func(c *Config) { c.Type = A }, []string{"port 0 is outside"}},
		{"http with an identity", func(c *Config) { c.Scheme, c.Identity = "http", identity }, []string{"write scheme: https"}},
		{"a resolver twice", func(c *Config) { c.Resolvers = []string{"127.0.0.1:53", "tcp://127.0.0.1:53"} }, []string{"are one"}},
		{"a resolver twice, in disguise", func(c *Config) { c.Resolvers = []string{"127.0.0.1:53", "[::ffff:127.0.0.1]:53"} }, []string{"are one"}},
		{"a resolver without a port", func(c *Config) { c.Resolvers = []string{"127.0.0.1", "[::1]:53"} }, []string{"not an IP address with a port"}},
		{"an unknown scheme", func(c *Config) { c.Resolvers = []string{"https://127.0.0.1:53", "[::1]:53"} }, []string{"unknown scheme"}},
		{"IPv6", func(c *Config) { c.Resolvers = []string{"[2001:db8::1]:53", "tls://[2001:db8::2]:853#dns.example."} }, nil},
		{"too many", func(c *Config) { c.Resolvers = slices.Repeat(three, 6) }, []string{"18 resolvers; 1..16"}},
		{"a path that needs escapes", func(c *Config) { c.Path = "/a b" }, []string{"plain path"}},
		{"a path with a query", func(c *Config) { c.Path = "/mcp?x" }, []string{"plain path"}},
		{"a name that needs escapes", func(c *Config) { c.Name = "a\nb.example" }, []string{"is not a domain name"}},
		{"a name with an empty label", func(c *Config) { c.Name = "a..b" }, []string{"is not a domain name"}},
		{"require, all trusted", func(c *Config) { c.DNSSEC = Require }, nil},
		{"require, too few trusted", func(c *Config) { c.DNSSEC, c.Resolvers = Require, []string{"192.0.2.1:53", "192.0.2.2:53", three[0]} },
			[]string{"1 of 3 resolvers are trusted to validate, and 2 must agree"}},
		{"require, too few named", func(c *Config) { c.DNSSEC, c.Validating = Require, three[:1] }, []string{"1 of 3 resolvers are trusted"}},
		{"validating over the network", func(c *Config) {
			c.Resolvers, c.Validating = []string{"192.0.2.1:53", three[0]}, []string{"192.0.2.1:53"}
		},
			[]string{"can be forged on the way"}},
		{"validating, unknown", func(c *Config) { c.Validating = []string{"127.0.0.1:1"} }, []string{"is none of the resolvers"}},
	} {
		c := base(three...)
		tc.change(&c)
		_, err := New(c)
		if (err == nil) != (tc.texts == nil) {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		for _, text := range tc.texts {
			if !strings.Contains(err.Error(), text) || !strings.HasPrefix(err.Error(), "dns: ") {
				t.Errorf("%s: %v\nwithout %q", tc.name, err, text)
			}
		}
	}
}

func TestReason(t *testing.T) {
	for want, err := range map[string]error{
		"": nil, "empty": ErrEmpty, "nxdomain": errors.Join(ErrNXDomain, ErrEmpty), "no_agreement": ErrNoAgreement, "servfail": ErrServFail,
		"unanswered": ErrUnanswered, "bogus": ErrBogus, "other": errors.New("x"),
	} {
		if got := Reason(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

func TestSearchList(t *testing.T) {
	kube := []string{"default.svc.cluster.local", "svc.cluster.local", "cluster.local"}
	for _, tc := range []struct {
		name   string
		search []string
		ndots  int
		want   string
	}{
		{"mcp.example.com.", kube, 5, "mcp.example.com."},
		{"mcp", kube, 5, "mcp.default.svc.cluster.local. mcp.svc.cluster.local. mcp.cluster.local. mcp."},
		{"mcp.other", kube, 5, "mcp.other.default.svc.cluster.local. mcp.other.svc.cluster.local. mcp.other.cluster.local. mcp.other."},
		{"a.b.c.d.e.f", kube, 5, "a.b.c.d.e.f. a.b.c.d.e.f.default.svc.cluster.local. a.b.c.d.e.f.svc.cluster.local. a.b.c.d.e.f.cluster.local."},
		{"mcp.example", []string{"Example.NET.", "example.net"}, 1, "mcp.example. mcp.example.example.net."},
		{"_mcp._tcp.search.example.com", nil, 1, "_mcp._tcp.search.example.com."},
		{"MCP.example", []string{strings.Repeat("a.", 125) + "example"}, 1, "mcp.example."},
	} {
		if got := strings.Join(searchList(tc.name, tc.search, tc.ndots), " "); got != tc.want {
			t.Errorf("%s below %v with ndots %d: %s\nwant %s", tc.name, tc.search, tc.ndots, got, tc.want)
		}
	}
}

func TestResolvConf(t *testing.T) {
	dir := t.TempDir()
	file := func(text string) string {
		path := filepath.Join(dir, "resolv.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c := base()
	c.Timeout, c.Tries, c.Identity, c.Name = 0, 0, identity, "_mcp._tcp.mcp"
	c.ResolvConf = file("# a comment\nnameserver 10.96.0.10\nnameserver 10.96.0.10\nnameserver 2001:db8::1\n" +
		"search default.svc.cluster.local cluster.local .\noptions ndots:5 timeout:3 attempts:4 edns0\n")
	s := source(t, c)
	if got := s.cfg; !slices.Equal(got.Resolvers, []string{"10.96.0.10:53", "[2001:db8::1]:53"}) || got.Timeout != 3*time.Second || got.Tries != 4 ||
		got.Agree != 2 || got.Ndots != 5 {
		t.Errorf("%+v", got)
	}
	if got := s.names; !slices.Equal(got, []string{"_mcp._tcp.mcp.default.svc.cluster.local.", "_mcp._tcp.mcp.cluster.local.", "_mcp._tcp.mcp."}) {
		t.Errorf("names %v", got)
	}
	c.Search, c.Tries = []string{"example.com"}, 1
	if s := source(t, c); !slices.Equal(s.names, []string{"_mcp._tcp.mcp.example.com.", "_mcp._tcp.mcp."}) || s.cfg.Tries != 1 {
		t.Errorf("what is set here gives way to the file: %v, %+v", s.names, s.cfg)
	}
	for text, want := range map[string]string{"": "no nameserver", "nameserver dns.example\n": "not an IP address"} {
		c.ResolvConf = file(text)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	c.ResolvConf = filepath.Join(dir, "none")
	if _, err := New(c); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// A headless service of Kubernetes, found through the search list by one resolver.
func TestHeadlessService(t *testing.T) {
	z := zone{
		"_mcp._tcp.mcp.default.svc.cluster.local. 5 IN SRV 0 50 8443 mcp-0.mcp.default.svc.cluster.local.",
		"_mcp._tcp.mcp.default.svc.cluster.local. 5 IN SRV 0 50 8443 mcp-1.mcp.default.svc.cluster.local.",
		"mcp-0.mcp.default.svc.cluster.local. 5 IN A 10.244.0.5", "mcp-1.mcp.default.svc.cluster.local. 5 IN A 10.244.1.7",
		"mcp.default.svc.cluster.local. 5 IN A 10.244.0.5", "mcp.default.svc.cluster.local. 5 IN AAAA fd00::5",
	}
	c := base(serve(t, honest(t, z)).addr)
	c.Identity, c.Search, c.Ndots = identity, []string{"prod.svc.cluster.local", "default.svc.cluster.local", "cluster.local"}, 5
	for _, tc := range []struct {
		name string
		kind Type
		want []string
	}{
		{"_mcp._tcp.mcp", SRV, []string{"mcp-0:8443@10.244.0.5", "mcp-1:8443@10.244.1.7"}},
		{"mcp", Address, []string{"mcp:9000@10.244.0.5", "mcp:9000@fd00::5"}},
		{"mcp", A, []string{"mcp:9000@10.244.0.5"}},
		{"mcp-0.mcp", A, []string{"mcp-0:9000@10.244.0.5"}},
		{"mcp", AAAA, []string{"mcp:9000@fd00::5"}},
	} {
		c.Name, c.Type, c.Port = tc.name, tc.kind, 9000
		if tc.kind == SRV {
			c.Port = 0
		}
		a := source(t, c).Ask(t.Context())
		if a.Err != nil || !slices.Equal(ids(a), tc.want) {
			t.Errorf("%s %s: %v, %v; %+v", tc.name, tc.kind, ids(a), a.Err, a.Voices)
		}
	}
}

// Whoever makes a resolver fail for the first name of a search list must not thereby choose the name.
func TestAFailureEndsTheSearch(t *testing.T) {
	z := zone{"mcp.evil.example. 60 IN A " + impostor, "mcp.evil.example. 60 IN SRV 1 1 443 mcp.evil.example."}
	for _, kind := range []Type{A, SRV} {
		f := serve(t, altered(t, z, func(m *miekg.Msg, _ bool) {
			if strings.EqualFold(m.Question[0].Name, "mcp.first.example.") {
				m.Rcode = miekg.RcodeServerFailure
			}
		}))
		c := base(f.addr)
		c.Name, c.Type, c.Identity, c.Search = "mcp", kind, identity, []string{"first.example", "evil.example"}
		if kind == A {
			c.Port = 443
		}
		if a := source(t, c).Ask(t.Context()); !errors.Is(a.Err, ErrServFail) || f.asked.Load() != 1 {
			t.Errorf("%s: %v after %d queries", kind, a.Err, f.asked.Load())
		}
		c.Search = []string{"second.example", "evil.example"}
		if a := source(t, c).Ask(t.Context()); a.Err != nil || len(a.Nodes) != 1 {
			t.Errorf("%s: NXDOMAIN ends the search: %v", kind, a.Err)
		}
	}
}

// Under DNSSEC the way through a search list must be validated, not just its end.
func TestSearchIsValidated(t *testing.T) {
	z := zone{"mcp.second.example. 60 IN A 127.0.0.11"}
	for unsigned, want := range map[string]string{"none": "", "mcp.first.example.": "bogus", "mcp.second.example.": "bogus"} {
		f := serve(t, altered(t, z, func(m *miekg.Msg, _ bool) {
			m.AuthenticatedData = !strings.EqualFold(m.Question[0].Name, unsigned)
		}))
		c := base(f.addr)
		c.Name, c.Type, c.Port, c.Identity, c.DNSSEC, c.Search = "mcp", A, 443, identity, Require, []string{"first.example", "second.example"}
		if a := source(t, c).Ask(t.Context()); Reason(a.Err) != want {
			t.Errorf("without a signature on %s: %v, %+v", unsigned, a.Err, a.Voices)
		}
	}
}
