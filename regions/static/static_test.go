package static

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/regions"
)

func TestProposesTheFullSet(t *testing.T) {
	s, err := New(Config{Service: "tools", Region: "here", Nodes: []Node{
		{ID: "b", URL: "https://b.example/mcp", Weight: 7}, {ID: "a", URL: "http://127.0.0.1:9001/mcp"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []regions.Proposal{
		{ID: "b", Service: "tools", URL: "https://b.example/mcp", Region: "here", Source: "static", Weight: 7},
		{ID: "a", Service: "tools", URL: "http://127.0.0.1:9001/mcp", Region: "here", Source: "static", Weight: 1},
	}
	ctx, cancel := context.WithCancel(t.Context())
	var sets [][]regions.Proposal
	err = s.Run(ctx, func(full []regions.Proposal) {
		sets = append(sets, full)
		cancel()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	if diff := cmp.Diff([][]regions.Proposal{want}, sets); diff != "" {
		t.Errorf("sets (-want +got):\n%s", diff)
	}
	s.Proposals()[0].ID = "changed by the caller"
	if got := s.Proposals()[0].ID; got != "b" {
		t.Errorf("the source shares its slice: %q", got)
	}
}

func TestRefuses(t *testing.T) {
	const url = "http://127.0.0.1:9001/mcp"
	tests := []struct {
		name  string
		cfg   Config
		texts []string
	}{
		{"nothing is named", Config{}, []string{"service and region are required"}},
		{"an id twice", Config{Service: "s", Region: "r", Nodes: []Node{{ID: "a", URL: url}, {ID: "a", URL: "http://h/"}}}, []string{`id "a" is given twice`}},
		{"a url twice", Config{Service: "s", Region: "r", Nodes: []Node{{ID: "a", URL: url}, {ID: "b", URL: url}}}, []string{`nodes "a" and "b" have the same url`}},
		{"every problem", Config{Service: "s", Region: "r", Nodes: []Node{{URL: url}, {ID: "b", URL: "h:9001"}, {ID: "c", URL: url, Weight: -1}}},
			[]string{"needs an id", `node "b"`, "weight -1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New(tt.cfg)
			if s != nil || err == nil {
				t.Fatalf("got %v, %v", s, err)
			}
			for _, text := range tt.texts {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q is missing in: %v", text, err)
				}
			}
		})
	}
}

func TestEmptySetIsAllowed(t *testing.T) {
	s, err := New(Config{Service: "tools", Region: "here"})
	if err != nil || len(s.Proposals()) != 0 {
		t.Errorf("got %v, %v", s, err)
	}
}
