package failover

import (
	"os"
	"os/exec"
	"testing"

	"github.com/quorate/quorate/internal/child"
)

// TestHAProxyTakesItsConfiguration holds the promise that the comparison is fair: HAProxy serves both
// eras, brings nodes back, retries safe calls and never sends a once call twice.
func TestHAProxyTakesItsConfiguration(t *testing.T) {
	if _, err := exec.LookPath(haproxyBinary()); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("haproxy has to be installed in CI:", err)
		}
		t.Skip("LOUD: haproxy is not installed (Debian package haproxy), so the bench's HAProxy configuration stays untested:", err)
	}
	for _, fault := range []Fault{SIGKILL, BlackHole} {
		t.Run(string(fault), func(t *testing.T) {
			log := new(child.Tail)
			const kills = 4
			res, err := Run(t.Context(), Config{
				Binary: self(t), Front: &HAProxy{}, Nodes: TestPool(), Fault: fault, Kills: kills, Seed: 1, Log: log,
				Agents: Mix{ModernRaw: 16},
			})
			if err != nil {
				t.Fatal(err, log)
			}
			t.Log(res)
			if res.Faults != kills || res.Duplicate > 0 || res.False > 0 || res.Calls < 100 || res.Lost*20 > res.Calls {
				t.Errorf("%+v", res)
			}
		})
	}
}
