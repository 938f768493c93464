package route

import (
	"errors"
	"strings"
	"testing"

	"github.com/quorate/quorate/gateway/mcp"
)

func TestFind(t *testing.T) {
	once, hedge := mcp.Once, mcp.Hedge
	m, err := Compile([]Route{
		{Match: Match{Tool: "charge_refund"}, Class: "0", RetryClass: &hedge},
		{Match: Match{Tool: "charge_*"}, Class: "1", RetryClass: &once},
		{Match: Match{Prompt: "*"}, Class: "2"},
		{Match: Match{Resource: "file:///*.md", Method: "resources/read"}, Class: "3"},
		{Match: Match{Resource: "file:///*"}, Class: "4"},
		{Match: Match{Method: "tasks/*"}, Class: "5"},
		{Match: Match{Method: "tools/call"}, Class: "6"},
		{Match: Match{}, Class: "7"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ method, name, want string }{
		{"tools/call", "charge_refund", "0"},
		{"tools/call", "charge_card", "1"},
		{"tools/call", "other", "6"},
		{"prompts/get", "charge_card", "2"},
		{"resources/read", "file:///a/b.md", "3"},
		{"resources/subscribe", "file:///a/b.md", "4"},
		{"resources/read", "http://x", "7"},
		{"tasks/get", "charge_card", "5"},
		{"tools/list", "", "7"},
		{"server/discover", "", "7"},
	} {
		if got := m.Find(tc.method, tc.name); got == nil || got.Class != tc.want {
			t.Errorf("%s %s: %+v, want route %s", tc.method, tc.name, got, tc.want)
		}
	}
	if got := m.Find("tools/call", "charge_card").RetryClass; got == nil || *got != mcp.Once {
		t.Errorf("retry class %v", got)
	}
	if n := testing.AllocsPerRun(100, func() { m.Find("tools/list", "") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNothingMatches(t *testing.T) {
	m, err := Compile([]Route{{Match: Match{Tool: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	var none *Matcher
	if m.Find("tools/call", "b") != nil || m.Find("tools/list", "a") != nil || none.Find("tools/call", "a") != nil {
		t.Error("found a route that does not match")
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
		m.Find("tools/call", "t_charge")
	}
}
