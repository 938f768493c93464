package regions

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func proposed(id, url string) Node {
	return Node{Proposal: Proposal{ID: NodeID(id), URL: url, Source: "static"}}
}

func verified(id string, eras Eras, tools map[string]Tool) Node {
	n := proposed(id, "http://127.0.0.1:9001/"+id)
	n.State, n.Facts = Healthy, &Facts{Eras: eras, Tools: tools}
	return n
}

func input(nodes ...Node) Input {
	return Input{Region: "here", Services: []ServiceInput{{Name: "tools", Path: "/mcp", Nodes: nodes}}}
}

func TestBuildMakesASortedPoolWithDefaults(t *testing.T) {
	far := proposed("d", "https://far.example/mcp")
	far.Region = "there"
	in := input(proposed("c", "http://127.0.0.1:1/c"), proposed("a", "http://127.0.0.1:1/a"), far, proposed("b", "http://127.0.0.1:1/b"))
	table, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	s := table.ByPath["/mcp"]
	if s == nil || s != table.ByName["tools"] || table.Region != "here" || table.Version != 1 {
		t.Fatalf("table %+v", table)
	}
	var ids []string
	for _, n := range s.Nodes {
		ids = append(ids, string(n.ID))
		if n.Region != "here" || n.Weight != 1 || n.Service != "tools" {
			t.Errorf("defaults are missing: %+v", n.Proposal)
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, ids); diff != "" {
		t.Errorf("pool (-want +got):\n%s", diff)
	}
	if n := s.Node("b"); n == nil || n.ID != "b" || s.Node("d") != nil || s.Node("") != nil {
		t.Error("lookup by id")
	}
	if in.Services[0].Nodes[0].ID != "c" || in.Services[0].Nodes[0].Weight != 0 {
		t.Error("the input was changed")
	}
}

func TestToolsKeepTheLeastFreeAnnotation(t *testing.T) {
	readOnly, idempotent, neither := Tool{ReadOnly: true}, Tool{Idempotent: true}, Tool{}
	one := func(tool Tool) map[string]Tool { return map[string]Tool{"x": tool} }
	tests := []struct {
		name  string
		nodes []map[string]Tool
		want  map[string]Tool
	}{
		{"agree", []map[string]Tool{one(readOnly), one(readOnly)}, one(Tool{ReadOnly: true, Idempotent: true})},
		{"read-only and idempotent", []map[string]Tool{one(readOnly), one(idempotent)}, one(idempotent)},
		{"one says nothing", []map[string]Tool{one(readOnly), one(neither), one(idempotent)}, one(neither)},
		{"one does not list it", []map[string]Tool{one(idempotent), nil}, one(idempotent)},
		{"different tools", []map[string]Tool{one(idempotent), {"y": neither}}, map[string]Tool{"x": idempotent, "y": neither}},
		{"none", nil, map[string]Tool{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nodes := []Node{proposed("never", "http://127.0.0.1:1/never")}
			for i, tools := range tt.nodes {
				nodes = append(nodes, verified(string(rune('a'+i)), Modern, tools))
			}
			nodes[len(nodes)-1].State = Unhealthy // what it said counts: it may take a call in panic
			table, err := Build(input(nodes...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, table.ByName["tools"].Tools); diff != "" {
				t.Errorf("tools (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErasAreSticky(t *testing.T) {
	build := func(in Input) *Table {
		t.Helper()
		table, err := Build(in)
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	eras := func(table *Table) Eras { return table.ByName["tools"].Eras }

	first := build(input(verified("a", Legacy, nil), verified("b", Modern, nil)))
	if got := eras(first); got != Legacy|Modern {
		t.Fatalf("union %v", got)
	}
	next := input(verified("a", Legacy, nil))
	next.Previous = first
	second := build(next)
	if got := eras(second); got != Legacy|Modern || second.Version != 2 {
		t.Errorf("after the modern node left: eras %v, version %d", got, second.Version)
	}
	empty := input()
	empty.Previous = second
	third := build(empty)
	if got := eras(third); got != Legacy|Modern || third.Version != 3 {
		t.Errorf("without nodes: eras %v, version %d", got, third.Version)
	}
	moved := input(verified("a", Legacy, nil))
	moved.Previous = third
	moved.Services[0].Path = "/other" // another URL, which no client has cached an era of
	if got := eras(build(moved)); got != Legacy {
		t.Errorf("at another path: %v", got)
	}
	kept := input(proposed("a", "http://127.0.0.1:1/"))
	kept.Services[0].Eras = Modern
	if got := eras(build(kept)); got != Modern {
		t.Errorf("from disk: %v", got)
	}
}

func TestBuildRefuses(t *testing.T) {
	a, b := ServiceInput{Name: "a", Path: "/a"}, ServiceInput{Name: "b", Path: "/b"}
	with := func(n Node, change func(*Node)) Input { change(&n); return input(n) }
	ok := proposed("a", "http://127.0.0.1:9001/mcp")
	twin := ok
	twin.Source = "dns"
	tests := []struct {
		name string
		in   Input
		is   error
		text string
	}{
		{"a name twice", Input{Services: []ServiceInput{a, {Name: "a", Path: "/c"}}}, ErrDuplicateService, `name "a" is used at path "/a" and at path "/c"`},
		{"a path twice", Input{Services: []ServiceInput{b, {Name: "c", Path: "/b"}}}, ErrDuplicateService, `path "/b" is used by service "b" and by service "c"`},
		{"no name", Input{Services: []ServiceInput{{Path: "/a"}}}, ErrInvalidService, "needs a name"},
		{"no path", Input{Services: []ServiceInput{{Name: "a"}}}, ErrInvalidService, "must start with /"},
		{"a path that is not clean", Input{Services: []ServiceInput{{Name: "a", Path: "/a/"}}}, ErrInvalidService, "be clean"},
		{"a node twice", input(ok, twin), ErrDuplicateNode, `node "a" is listed twice (by "static" and "dns")`},
		{"an id for two nodes", input(ok, proposed("a", "http://127.0.0.1:9002/mcp")), ErrDuplicateNode, `id "a" names two nodes, http://127.0.0.1:9001/mcp (from "static") and http://127.0.0.1:9002/mcp`},
		{"an id in two regions", Input{Region: "here", Services: []ServiceInput{{Name: "a", Path: "/a", Nodes: []Node{ok, {Proposal: Proposal{ID: "a", URL: "http://far/", Region: "there"}}}}}}, ErrDuplicateNode, "names two nodes"},
		{"no id", with(ok, func(n *Node) { n.ID = "" }), ErrInvalidNode, "needs an id"},
		{"no host", with(ok, func(n *Node) { n.URL = "http:///mcp" }), ErrInvalidNode, "names no host"},
		{"an identity without TLS", with(ok, func(n *Node) { n.Identity.TLSName = "a.example.com" }), ErrInvalidNode, "an identity needs https"},
		{"an identity without TLS, in capitals", with(ok, func(n *Node) { n.URL, n.Identity.SPKI = "HTTP://h/", "00" }), ErrInvalidNode, "an identity needs https"},
		{"another scheme", with(ok, func(n *Node) { n.URL = "unix:///x" }), ErrInvalidNode, "http:// or https://"},
		{"a password", with(ok, func(n *Node) { n.URL = "http://u:secret@h/mcp" }), ErrInvalidNode, "neither user nor fragment"},
		{"no url at all", with(ok, func(n *Node) { n.URL = "http://u:secret@h:x/%zz" }), ErrInvalidNode, "cannot be parsed"},
		{"too heavy", with(ok, func(n *Node) { n.Weight = 1001 }), ErrInvalidNode, "outside 1..1000"},
		{"lighter than air", with(ok, func(n *Node) { n.Weight = -1 }), ErrInvalidNode, "outside 1..1000"},
		{"another service's node", with(ok, func(n *Node) { n.Service = "other" }), ErrInvalidNode, `belongs to service "other"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table, err := Build(tt.in)
			if table != nil || !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, %v; want %q", table, err, tt.text)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
}

func TestBuildReportsEveryProblem(t *testing.T) {
	in := input(proposed("", "http://h/"), proposed("b", "gopher://h/"))
	in.Services = append(in.Services, ServiceInput{Name: "tools", Path: "/mcp"})
	_, err := Build(in)
	if err == nil {
		t.Fatal("built")
	}
	for _, part := range []string{"needs an id", "http:// or https://", `name "tools"`, `path "/mcp"`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
}
