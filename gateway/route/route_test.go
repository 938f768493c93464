package route

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/quorate/quorate/gateway/mcp"
)

func TestFind(t *testing.T) {
	once, hedge := mcp.Once, mcp.Hedge
	m, err := Compile([]Route{
		{Match: Match{Tool: "charge_refund"}, RetryClass: &hedge},
		{Match: Match{Tool: "charge_*"}, RetryClass: &once},
		{Match: Match{Prompt: "*"}},
		{Match: Match{Resource: "file:///*.md", Method: "resources/read"}},
		{Match: Match{Resource: "file:///*"}},
		{Match: Match{Method: "tasks/*"}},
		{Match: Match{Method: "tools/call"}},
		{Match: Match{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		method, name string
		want         int
	}{
		{"tools/call", "charge_refund", 0},
		{"tools/call", "charge_card", 1},
		{"tools/call", "other", 6},
		{"prompts/get", "charge_card", 2},
		{"resources/read", "file:///a/b.md", 3},
		{"resources/subscribe", "file:///a/b.md", 4},
		{"resources/read", "http://x", 7},
		{"tasks/get", "charge_card", 5},
		{"tools/list", "", 7},
		{"server/discover", "", 7},
	} {
		if got := m.Find(tc.method, tc.name, nil); got != tc.want {
			t.Errorf("%s %s: %d, want route %d", tc.method, tc.name, got, tc.want)
		}
	}
	if got := m.Routes()[1].RetryClass; got == nil || *got != mcp.Once {
		t.Errorf("retry class %v", got)
	}
	if n := testing.AllocsPerRun(100, func() { m.Find("tools/list", "", nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNothingMatches(t *testing.T) {
	m, err := Compile([]Route{{Match: Match{Tool: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	var none *Matcher
	if m.Find("tools/call", "b", nil) != None || m.Find("tools/list", "a", nil) != None || none.Find("tools/call", "a", nil) != None {
		t.Error("found a route that does not match")
	}
}

func TestHeaders(t *testing.T) {
	m, err := Compile([]Route{
		{Match: Match{Tool: "search_*", Header: map[string]string{"mcp-param-region": "eu-*", "X-Tenant": "acme"}}},
		{Match: Match{Header: map[string]string{"Mcp-Param-Region": "eu-*"}}},
		{Match: Match{Header: map[string]string{"X-Tenant": ""}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	eu, acme := http.Header{"Mcp-Param-Region": {"eu-west"}}, http.Header{"Mcp-Param-Region": {"eu-west"}, "X-Tenant": {"acme"}}
	for _, tc := range []struct {
		name   string
		header http.Header
		want   int
	}{
		{"search_x", acme, 0}, {"search_x", eu, 1}, {"other", acme, 1}, {"other", nil, 2},
		{"other", http.Header{"X-Tenant": {"acme"}}, None},
		{"other", http.Header{"X-Tenant": {"other", "eu-west"}, "Mcp-Param-Region": {"us", "eu-west"}}, None}, // only the first value counts
	} {
		if got := m.Find("tools/call", tc.name, tc.header); got != tc.want {
			t.Errorf("%s %v: %d, want %d", tc.name, tc.header, got, tc.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { m.Find("tools/call", "search_x", acme) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	many := map[string]string{}
	for i := range MaxHeaders + 1 {
		many[string(rune('a'+i))] = "*"
	}
	for _, header := range []map[string]string{many, {"X-A": "["}} {
		if _, err := Compile([]Route{{Match: Match{Header: header}}}); !errors.Is(err, ErrRoute) || !strings.Contains(err.Error(), "header") {
			t.Errorf("%v: %v", header, err)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	_, err := Compile([]Route{
		{Match: Match{Tool: "ok"}},
		{Match: Match{Tool: "["}},
		{Match: Match{Tool: "a", Prompt: "b"}},
		{Match: Match{Method: "[z-a]", Resource: `\`}},
	})
	if !errors.Is(err, ErrRoute) || !errors.Is(err, ErrPattern) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"routes[1].match: tool: ", "routes[2].match: prompt: only one", "routes[3].match: resource: ", "method: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "routes[0]") {
		t.Errorf("%q blames a good route", err)
	}
	if _, err := Compile(make([]Route, MaxRoutes+1)); !errors.Is(err, ErrRoute) {
		t.Errorf("too many routes: %v", err)
	}
}

func BenchmarkFind(b *testing.B) {
	routes := make([]Route, 20)
	for i := range routes {
		routes[i].Match.Tool = string(rune('a'+i)) + "_*"
	}
	m, err := Compile(routes)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		m.Find("tools/call", "t_charge", nil)
	}
}
