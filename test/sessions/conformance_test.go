package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/conformance"
	"github.com/quorate/quorate/internal/gatewayproc"
	"github.com/quorate/quorate/test/npm"
)

// throughFleet is one gateway of a fleet between the suite and its nodes.
type throughFleet struct{ m *member }

func (f throughFleet) URL() string { return f.m.url() }

func (f throughFleet) Requests(context.Context) (int, error) {
	n, _ := f.m.metric("quorate_requests_total")
	return int(n), nil
}

func (f throughFleet) NodesUsed(context.Context) (map[string]int, error) {
	used := map[string]int{}
	for _, n := range f.m.w.nodes {
		if attempts, _ := f.m.metric("quorate_attempts_total", fmt.Sprintf("node=%q", n.name)); attempts > 0 {
			used[n.name] = int(attempts)
		}
	}
	return used, nil
}

func (f throughFleet) Stop() error { return nil } // the test does

// primed is the scenario about streams that can be resumed.
const primed = "server-sse-polling"

// TestConformanceThroughFleet: through a gateway of a fleet the suite says what it says of the node alone, but for streams
// that it could resume: they begin with an event of the gateway's own, as 2025-11-25 advises, which the node does not send.
func TestConformanceThroughFleet(t *testing.T) {
	dir, err := npm.Dir()
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("NOT TESTED: %v", err)
	}
	node, bad := npm.Bin("node")
	if err := errors.Join(err, bad); err != nil {
		t.Fatal(err)
	}
	backend, err := gatewayproc.Build(t.Context(), t.TempDir(), conformance.Backend)
	if err != nil {
		t.Fatal(err)
	}
	cfg := conformance.Config{
		Suite: conformance.Suite{Node: node, Modules: filepath.Join(dir, "node_modules")}, Backend: backend, Pools: []int{1}, Out: t.Output(),
		Front: func(_ context.Context, _ *child.Group, _ string, nodes []string) (conformance.Front, error) {
			return throughFleet{newWorld(t, setup{given: nodes}).members[0]}, nil
		},
	}
	for _, r := range conformance.Rows() {
		if r.Name == "requirements 2025-11-25" {
			cfg.Rows = append(cfg.Rows, r)
		}
	}
	results, err := conformance.Run(t.Context(), cfg)
	if len(results) != 1 || err != nil && !errors.Is(err, conformance.ErrDifferent) {
		t.Fatal(err)
	}
	r := results[0]
	for _, d := range r.Differences {
		if d.Scenario != primed || strings.Contains(d.Through, "FAILURE") {
			t.Error(d)
		}
	}
	if got := r.Through.Figures(); got != "83/0" || r.Through.Exit != 0 || r.Requests == 0 || len(r.Used) != 1 {
		t.Errorf("%s, exit %d, %d requests, nodes %v, %q", got, r.Through.Exit, r.Requests, r.Used, r.Problems)
	}
}
