package failover

import (
	"testing"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

var threeNodes = []pool.Spec{{ID: "a", Era: "both"}, {ID: "b", Era: "both"}, {ID: "c", Era: "both"}}

func TestHAProxyRuns(t *testing.T) {
	for _, fault := range []Fault{SIGKILL, BlackHole} {
		t.Run(string(fault), func(t *testing.T) {
			log := new(child.Tail)
			res, err := Run(t.Context(), Config{
				Binary: self(t), Front: &HAProxy{}, Nodes: threeNodes, Fault: fault, Kills: 6, Seed: 1, Log: log,
				Agents: Mix{ModernRaw: 14, LegacyRaw: 14, ModernSDK: 2, LegacySDK: 2},
			})
			if err != nil {
				t.Fatal(err, log)
			}
			t.Logf("%v\n%+v", res, res)
		})
	}
}
