package failover

import (
	"testing"

	"github.com/quorate/quorate/internal/child"
)

func TestHAProxyRuns(t *testing.T) {
	for _, fault := range []Fault{SIGKILL, BlackHole} {
		t.Run(string(fault), func(t *testing.T) {
			log := new(child.Tail)
			res, err := Run(t.Context(), Config{
				Binary: self(t), Front: &HAProxy{}, Nodes: TestPool(), Fault: fault, Kills: 6, Seed: 1, Log: log,
				Agents: Mix{ModernRaw: 14, LegacyRaw: 14, ModernSDK: 2, LegacySDK: 2},
			})
			if err != nil {
				t.Fatal(err, log)
			}
			t.Logf("%v\n%+v", res, res)
		})
	}
}
