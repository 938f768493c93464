package gatewayproc

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSamples(t *testing.T) {
	const text = `# HELP quorate_requests_total requests
# TYPE quorate_requests_total counter
quorate_requests_total{service="tools",node="a"} 12
quorate_requests_total{other_node="b",node="c",otel_scope_name=""} 3
quorate_requests_total 4 1700000000
quorate_requests_total_more{node="x"} 99
`
	got, err := samples([]byte(text), "quorate_requests_total")
	if err != nil {
		t.Fatal(err)
	}
	want := []Sample{
		{"quorate_requests_total", `service="tools",node="a"`, 12},
		{"quorate_requests_total", `other_node="b",node="c",otel_scope_name=""`, 3},
		{"quorate_requests_total", "", 4},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("samples (-want +got):\n%s", diff)
	}
	for i, node := range []string{"a", "c", ""} {
		if l := got[i].Label("node"); l != node {
			t.Errorf("sample %d: node %q, want %q", i, l, node)
		}
	}
	if _, err := samples([]byte("quorate_requests_total{a=\"b\" 1\n"), "quorate_requests_total"); err == nil {
		t.Error("a line cut in its labels is taken")
	}
}
