package layout_test

import (
	"slices"
	"strings"
	"testing"
)

// rule keeps packages apart: none below from (less those below except) may depend on anything
// below an entry of never, however many packages are between. Paths without a dot in their first
// element are the module's own. The rules are DESIGN.md's "Layout and who may import whom".
type rule struct {
	from   string
	except string
	only   bool // from itself, not what is below it
	never  []string
	stdlib bool // nothing but the standard library
	why    string
}

func rules() []rule {
	return []rule{
		{from: "gateway", never: []string{
			"github.com/hashicorp", "github.com/miekg/dns", "go.etcd.io/bbolt", "google.golang.org/grpc",
			"plugins", "internal/control", "internal/peer", "regions/consul", "regions/dns", "regions/static", "regions/verify", "regions/failover",
		}, why: "the data plane knows nothing of plugins, Consul, DNS or Raft, nor of where nodes come from"},
		{from: "gateway", never: []string{"github.com/modelcontextprotocol", "encoding/gob", "cmd", "internal/config", "internal/edge", "internal/admin"},
			why: "the request path reads the protocol itself and is wired from outside"},
		{from: "gateway/mcp", never: []string{"gateway/upstream", "gateway/session", "gateway/route", "regions", "internal"},
			why: "the wire vocabulary knows no nodes, sessions or configuration"},
		// The gateway itself asks authority for its decisions; the core is pure, so nothing comes with it. What carries
		// requests only asks for leave (upstream.Permit).
		{from: "gateway/upstream", never: []string{"internal/authority"}, why: "an attempt asks for leave, whoever gives it"},
		{from: "gateway/session", never: []string{"internal/authority"}, why: "a session's call asks for leave, whoever gives it"},
		{from: "regions", only: true, stdlib: true, why: "regions is a vocabulary"},
		{from: "regions", only: true, never: []string{"net", "os", "syscall", "internal", "gateway"}, why: "the vocabulary is pure"},
		{from: "regions", never: []string{"internal/edge", "internal/config", "cmd", "plugins"}, why: "sources and verification are wired from outside"},
		{from: "strategies", only: true, stdlib: true, why: "strategies is a vocabulary"},
		{from: "strategies", only: true, never: []string{"net", "os", "syscall", "internal", "gateway"}, why: "the vocabulary is pure"},
		{from: "plugins", except: "plugins/host", never: []string{"plugins/host", "internal", "gateway", "regions"},
			why: "what a plugin author imports never pulls the host in"},
		{from: "internal/admin", never: []string{"gateway", "regions", "internal/config", "internal/edge"}, why: "the admin API is told, it does not look"},
		{from: "internal/telemetry", never: []string{"gateway", "regions", "internal/config", "internal/edge"}, why: "telemetry is told, it does not look"},
		{from: "internal/config", never: []string{"gateway/upstream", "gateway/session", "internal/edge", "internal/admin"}, why: "configuration does not know its use"},
		{from: "internal/edge", never: []string{"internal/mcpnode", "internal/demo", "internal/bench", "internal/chaos", "internal/conformance", "test"},
			why: "the gateway proper carries no test nodes"},
		{from: "internal/authority", only: true, stdlib: true, why: "the core of authority is pure"},
		{from: "internal/authority", only: true, never: []string{"net", "os", "syscall", "gateway", "regions"}, why: "the core of authority is pure"},
		{from: "internal/settings", stdlib: true, why: "what is replicated is the same everywhere, whatever a document means to a gateway"},
		{from: "internal/settings", never: []string{"net", "os", "syscall", "gateway", "regions", "internal/config", "internal/edge"}, why: "the state of settings is pure"},
		{from: "internal/ledger", never: []string{"net", "os", "syscall", "gateway", "regions", "internal/control", "internal/config", "internal/edge", "internal/peer"},
			why: "what is replicated is the same everywhere, and how it gets into the log is told"},
		{from: "internal/chaos/history", only: true, never: []string{"net", "os", "syscall", "gateway", "internal", "plugins"},
			why: "a history is data, and so is its judgement"},
		{from: "internal/chaos/schedule", only: true, never: []string{"net", "os", "syscall", "gateway", "internal/chaos/fleet", "internal/chaos/load", "internal/testnet", "plugins"},
			why: "the same seed gives the same schedule, wherever it runs"},
		{from: "internal/chaos", never: []string{"internal/edge", "internal/control", "internal/authority", "gateway"},
			why: "the rig judges gateways from outside and shares nothing with what it judges"},
		{from: "internal/rulebook", never: []string{"net", "os", "syscall", "gateway", "regions", "plugins", "internal/config", "internal/control", "internal/peer"},
			why: "what it answers is part of the replicated state, so it answers from its arguments alone"},
		{from: "internal/strategist", never: []string{"github.com/hashicorp/raft", "go.etcd.io/bbolt", "gateway", "regions", "internal/config", "internal/control", "internal/authority", "internal/peer"},
			why: "who runs a strategy knows neither Raft nor the rule that is committed"},
		{from: "internal/planner", never: []string{"github.com/hashicorp/raft", "go.etcd.io/bbolt", "gateway", "regions", "internal/config", "internal/control", "internal/authority", "internal/peer"},
			why: "who asks how sessions are kept knows neither them nor who owns them"},
		{from: "internal/keeper", never: []string{"github.com/hashicorp/raft", "internal/control", "internal/committed", "internal/edge", "internal/config", "internal/admin", "plugins"},
			why: "who decides about sessions knows neither Raft nor how it is wired"},
		{from: "internal/keeper/sessionid", never: []string{"net", "os", "syscall", "gateway", "internal/peer", "internal/replica"}, why: "an id says what it says, whoever reads it"},
		{from: "internal/control", never: []string{"gateway", "regions", "plugins", "internal/config", "internal/edge", "internal/admin"},
			why: "the control group knows neither routing nor who asks it"},
		{from: "internal/committed", never: []string{"net", "os", "syscall", "gateway", "regions", "internal/control", "internal/edge", "internal/config"},
			why: "what is replicated is the same everywhere, and knows neither the log that carries it nor a disk"},
		{from: "internal/replica", never: []string{"github.com/hashicorp/raft", "google.golang.org/grpc", "gateway", "regions", "plugins", "strategies", "internal/config", "internal/control", "internal/authority", "internal/edge", "internal/admin"},
			why: "whoever keeps copies knows neither what is in a record nor who may own it"},
		{from: "internal/planted", stdlib: true, never: []string{"net", "syscall"}, why: "it only answers whether"},
		{from: "internal/events", stdlib: true, never: []string{"net", "os", "syscall"}, why: "events are in memory, whatever is cut"},
		{from: "cmd/quorate", never: []string{"internal/tfprovider", "internal/adminclient", "github.com/hashicorp/terraform-plugin-framework", "github.com/hashicorp/terraform-plugin-go", "k8s.io"},
			why: "the gateway's binary has nothing of Terraform's or of Kubernetes's"},
		{from: "internal/tfprovider", never: []string{"gateway/upstream", "internal/edge", "internal/control", "internal/peer"},
			why: "the provider asks a gateway, and is none"},
		{from: "internal", never: []string{"cmd"}, why: "commands are leaves"},
		{from: "cmd/quorate", never: []string{"github.com/nats-io", "jetstream", "internal/natsproc"}, why: "what the strategy jetstream depends on is no part of the gateway"},
	}
}

// full returns the import path of a rule's entry.
func full(entry string) string {
	first, _, _ := strings.Cut(entry, "/")
	if strings.Contains(first, ".") || entry == "net" || entry == "os" || entry == "syscall" || entry == "encoding/gob" {
		return entry
	}
	return module + "/" + entry
}

func below(path, of string) bool { return path == of || strings.HasPrefix(path, of+"/") }

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// applies reports whether the rule is about p.
func (r rule) applies(p listed) bool {
	from := full(r.from)
	if r.only {
		return p.ImportPath == from
	}
	return below(p.ImportPath, from) && (r.except == "" || !below(p.ImportPath, full(r.except)))
}

// broken returns what p depends on against the rule. Packages of the standard library count only
// where p itself imports them: fmt needs os, and net/netip is no network.
func (r rule) broken(p listed) []string {
	var bad []string
	for _, dep := range p.Deps {
		if r.stdlib && !standard(dep) {
			bad = append(bad, dep)
			continue
		}
		for _, never := range r.never {
			never = full(never)
			if standard(never) && dep == never && slices.Contains(p.Imports, dep) || !standard(never) && below(dep, never) {
				bad = append(bad, dep)
			}
		}
	}
	return bad
}

func TestImports(t *testing.T) {
	all := packages(t)
	byPath := map[string]listed{}
	for _, p := range all {
		byPath[p.ImportPath] = p
	}
	for _, r := range rules() {
		for _, p := range all {
			if !r.applies(p) {
				continue
			}
			for _, dep := range r.broken(p) {
				t.Errorf("%s depends on %s (through %s): %s", p.rel(), dep, through(p, dep, byPath), r.why)
			}
		}
	}
}

// through names the import of p that leads to dep.
func through(p listed, dep string, byPath map[string]listed) string {
	for _, i := range p.Imports {
		if i == dep || slices.Contains(byPath[i].Deps, dep) {
			return i
		}
	}
	return "a library"
}

// TestRulesBite gives every rule a package that breaks it: one that cannot be broken is no rule.
func TestRulesBite(t *testing.T) {
	for _, r := range rules() {
		p := listed{ImportPath: full(r.from)}
		if !r.applies(p) {
			t.Errorf("rule for %s does not apply to it", r.from)
		}
		entries := r.never
		if r.stdlib {
			entries = []string{"github.com/some/library"}
		}
		for _, e := range entries {
			p.Deps = []string{"fmt", "net/netip", full(e)}
			p.Imports = p.Deps
			if got := r.broken(p); len(got) != 1 || got[0] != full(e) {
				t.Errorf("%s importing %s: found %v", r.from, full(e), got)
			}
		}
		p.Deps = []string{"fmt", "net/netip", "os", "strings"}
		p.Imports = []string{"fmt", "net/netip"}
		if got := r.broken(p); len(got) != 0 {
			t.Errorf("%s: %v counts as broken", r.from, got)
		}
	}
}
