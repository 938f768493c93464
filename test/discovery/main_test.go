// Package discovery holds tests of finding nodes and gateways as an operator meets it: the real gateway process with
// its file, its status and its metrics, in front of real Consul agents and of DNS servers that lie. It must not know
// the gateway's code.
package discovery

import (
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/consulproc"
	"github.com/quorate/quorate/internal/gatewayproc"
)

// binary is the quorate command, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) { goleak.VerifyTestMain(gatewayproc.Tests{M: m, Binary: &binary}) }

// timed says that the bars on times are judged and that runs are long: by the command for it, on a quiet machine.
func timed() bool { return os.Getenv("JUDGE_TIMES") != "" }

// seed is DISCOVERY_TEST_SEED, else from the clock. The name does not begin with QUORATE_, because the gateway refuses
// such variables when it does not know them.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := uint64(time.Now().UnixNano())
	if word := os.Getenv("DISCOVERY_TEST_SEED"); word != "" {
		n, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			t.Fatalf("DISCOVERY_TEST_SEED: %v", err)
		}
		s = n
	}
	t.Logf("seed %d", s)
	return s
}

// consul is the path of the real Consul. Without one the test is skipped, which CI does not take.
func consul(t *testing.T) string {
	t.Helper()
	path, err := consulproc.Binary(t.Context())
	if err != nil && os.Getenv("CI") == "" && errors.Is(err, consulproc.ErrNotInstalled) {
		t.Skip("NOT TESTED: no real Consul, so what the gateway finds in one stays unseen:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}
