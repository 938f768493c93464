package conformance

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func outcome(statuses map[Check][]string) Outcome { return Outcome{Statuses: statuses} }

func TestCompare(t *testing.T) {
	a, b := Check{"s", "a", "A"}, Check{"s", "b", "B"}
	tests := []struct {
		name            string
		direct, through map[Check][]string
		want            []Difference
	}{
		{"the same", map[Check][]string{a: {"SUCCESS", "WARNING"}}, map[Check][]string{a: {"SUCCESS", "WARNING"}}, nil},
		{"totals alike, checks not", map[Check][]string{a: {"SUCCESS"}, b: {"FAILURE"}}, map[Check][]string{a: {"FAILURE"}, b: {"SUCCESS"}},
			[]Difference{{Check: a, Direct: "SUCCESS", Through: "FAILURE"}, {Check: b, Direct: "FAILURE", Through: "SUCCESS"}}},
		{"a check made once less", map[Check][]string{a: {"SUCCESS", "SUCCESS"}}, map[Check][]string{a: {"SUCCESS"}},
			[]Difference{{Check: a, Direct: "SUCCESS+SUCCESS", Through: "SUCCESS"}}},
		{"absent", map[Check][]string{a: {"SUCCESS"}}, map[Check][]string{b: {"SUCCESS"}},
			[]Difference{{Check: a, Direct: "SUCCESS", Through: "absent"}, {Check: b, Direct: "absent", Through: "SUCCESS"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Compare(outcome(tt.direct), outcome(tt.through))); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	c := Check{"s", "a", "A"}
	known := []explanation{{c, "because"}}
	modern, legacy := Row{Stateless: true}, Row{}
	tests := []struct {
		name    string
		row     Row
		nodes   int
		through string
		left    int
	}{
		{"a warning in front of a pool", modern, 3, "WARNING", 0},
		{"a failure is never explained", modern, 3, "FAILURE", 1},
		{"one node has no excuse", modern, 1, "WARNING", 1},
		{"legacy is pinned", legacy, 3, "WARNING", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			diffs := []Difference{{Check: c, Direct: "SUCCESS", Through: tt.through}}
			if got := explain(diffs, tt.row, tt.nodes, known); len(got) != tt.left {
				t.Errorf("%d unexplained, want %d", len(got), tt.left)
			}
		})
	}
}

// TestJudge: what proves nothing fails.
func TestJudge(t *testing.T) {
	same := Outcome{Statuses: map[Check][]string{{"s", "a", "A"}: {"SUCCESS"}}, Scenarios: 1}
	good := func() Result {
		return Result{Row: Row{Figures: "1/0"}, Nodes: 1, Direct: same, Through: same, Requests: 1, Used: map[string]int{"a": 1}}
	}
	tests := []struct {
		name  string
		spoil func(*Result)
		want  int
	}{
		{"good", func(*Result) {}, 0},
		{"no requests", func(r *Result) { r.Requests = 0 }, 1},
		{"no node", func(r *Result) { r.Used = nil }, 1},
		{"one of three nodes", func(r *Result) { r.Nodes = 3 }, 1},
		{"another exit", func(r *Result) { r.Through.Exit = 1 }, 1},
		{"direct is not the reference", func(r *Result) { r.Row.Figures = "40/0" }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := good()
			tt.spoil(&r)
			r.judge()
			if len(r.Problems) != tt.want {
				t.Errorf("problems %q, want %d", r.Problems, tt.want)
			}
		})
	}
}

func TestReadResults(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "server-tools-list-2026-11-22T22-06-52-334Z")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	const checks = `[{"id":"a","name":"A","status":"SUCCESS"},{"id":"a","name":"A","status":"FAILURE","errorMessage":"no"}]`
	if err := os.WriteFile(filepath.Join(folder, "checks.json"), []byte(checks), 0o644); err != nil {
		t.Fatal(err)
	}
	o, err := readResults(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := Check{"tools-list", "a", "A"}
	if got := o.Statuses[c]; !cmp.Equal(got, []string{"SUCCESS", "FAILURE"}) || o.Figures() != "1/1" || o.Messages[c] != "no" {
		t.Errorf("read %+v", o)
	}
	if _, err := readResults(t.TempDir()); err == nil {
		t.Error("no results is not an error")
	}
}
