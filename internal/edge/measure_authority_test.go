package edge

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/telemetry"
)

// changing is a control group whose figures a test moves.
type changing struct{ now controlFigures }

func (c *changing) Figures() controlFigures { return c.now }

func TestAuthorityMetrics(t *testing.T) {
	tel, err := telemetry.New(t.Context(), telemetry.Config{Gateway: "gw-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Shutdown(t.Context()) }()
	e := &Edge{opts: Options{Telemetry: tel}, log: slog.New(slog.DiscardHandler)}
	c := &changing{}
	if err := e.observeAuthority(c); err != nil {
		t.Fatal(err)
	}
	has := func(want, not string) {
		t.Helper()
		w := httptest.NewRecorder()
		tel.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		body, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(want, "\n") {
			if !strings.Contains(string(body), line+"\n") {
				t.Errorf("no line %q", line)
			}
		}
		if not != "" && strings.Contains(string(body), not) {
			t.Errorf("there is %s", not)
		}
	}
	c.now = controlFigures{NodesUp: 2, Partition: true, Leads: true, GateOpen: true, GateClosings: 3, RuleVersion: 4, Fences: 5, PluginRestarts: 6,
		RoundTrips: map[string]time.Duration{"gw-2": 21500 * time.Microsecond}}
	has(`quorate_cluster_nodes_up 2
quorate_partition_detected 1
quorate_node_latency_ms{gateway="gw-2"} 21.5
quorate_leader 1
quorate_gate_open 1
quorate_gate_closings_total 3
quorate_rule_version 4
quorate_fences_total 5
quorate_plugin_restarts_total 6`, "")
	c.now = controlFigures{GateClosings: 4}
	has("quorate_gate_open 0\nquorate_partition_detected 0\nquorate_leader 0\nquorate_gate_closings_total 4", "quorate_node_latency_ms{")
	if err := e.observeAuthority(c); err == nil {
		t.Error("metrics with two sources")
	}
}
