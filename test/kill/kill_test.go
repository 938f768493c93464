// Package kill holds the kill test: real node processes, killed behind a real gateway process under
// load in both eras, with the nodes' own journals as the witness. It must not know the gateway's code.
package kill

import (
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/bench/failover"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/gatewayproc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kills is N: no violation in N kills bounds the rate of violations at about 3/N.
const kills = 30

// fewer is for black holes, which take a second each, and for the control, which has to lose only one call.
const fewer = 10

// TestKill kills nodes under 32 connections: no retry-safe call may fail, no once call may run twice,
// and once calls cut in flight must be answered "outcome unknown". The control has to fail.
func TestKill(t *testing.T) {
	binary, err := gatewayproc.Build(t.Context(), t.TempDir(), gatewayproc.Package)
	if err != nil {
		t.Fatal(err)
	}
	for fault, n := range map[failover.Fault]int{failover.SIGKILL: kills, failover.BlackHole: fewer} {
		t.Run(string(fault), func(t *testing.T) {
			res := run(t, binary, &failover.Quorate{Binary: binary}, fault, n)
			for _, v := range append(res.Violations(0), res.Weaknesses()...) {
				t.Error(v)
			}
			if res.Faults != n {
				t.Errorf("%d faults, want %d", res.Faults, n)
			}
		})
	}
	t.Run("control", func(t *testing.T) {
		res := run(t, binary, &failover.Quorate{Binary: binary, Attempts: 1}, failover.SIGKILL, fewer)
		if res.SafeLost == 0 {
			t.Error("without retries no call was lost: this test could not see a loss")
		}
		if res.Duplicate != 0 {
			t.Errorf("without retries %d calls ran twice: this test counts wrongly", res.Duplicate)
		}
	})
}

func run(t *testing.T, binary string, front failover.Front, fault failover.Fault, n int) failover.Result {
	t.Helper()
	log := new(child.Tail)
	res, err := failover.Run(t.Context(), failover.Config{
		Binary: binary, Front: front, Nodes: failover.TestPool(), Agents: failover.TestMix(),
		Fault: fault, Kills: n, Seed: seed(t), Log: log,
	})
	if err != nil {
		t.Fatalf("%v\nlast output of the processes:\n%s", err, log)
	}
	t.Logf("N=%d kills (%d with a call in flight), %d agents, seed %d", res.Faults, res.Busy, failover.TestMix().Total(), res.Seed)
	t.Logf("%d once calls, %d unknown (%d of them executed), retried %d, sessions migrated %d",
		res.Once, res.Unknown, res.UnknownExecuted, res.Counters.Retried, res.Counters.Migrated)
	t.Log(res)
	for _, s := range res.Samples {
		t.Log("failed:", s)
	}
	if t.Failed() {
		t.Logf("last output of the processes:\n%s", log)
	}
	return res
}

// seed is KILL_TEST_SEED, else from the clock. The name does not begin with QUORATE_, because the
// gateway refuses such variables when it does not know them.
func seed(t *testing.T) uint64 {
	t.Helper()
	word := os.Getenv("KILL_TEST_SEED")
	if word == "" {
		return uint64(time.Now().UnixNano())
	}
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		t.Fatalf("KILL_TEST_SEED: %v", err)
	}
	return n
}
