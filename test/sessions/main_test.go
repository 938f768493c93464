// Package sessions_test asks whether sessions outlive their gateways: real fleets with certificates, disks and a
// control group, HAProxy in TCP mode as the agents' one address, and agents of several makes whose gateway is killed,
// cut off or started anew. It is judged by what agents sent and got and by the nodes' journals, and must not know the
// gateway's code.
package sessions_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/gatewayproc"
	"github.com/quorate/quorate/internal/natsproc"
	"github.com/quorate/quorate/internal/testnet"
)

// binary is the quorate command, built once for all tests of this package, or the one that TEST_BINARY names.
var binary string

// natsPrograms builds what the strategy jetstream needs beside it, once and when the first test asks; TEST_NATS says that
// it is all there.
var natsPrograms = sync.OnceValues(func() (natsproc.Binaries, error) {
	if server := os.Getenv("TEST_NATS"); server != "" {
		return natsproc.Binaries{Server: server}, nil
	}
	return natsproc.Build(context.Background(), "../../jetstream", filepath.Dir(binary))
})

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "quorate-sessions-")
	if err == nil {
		defer os.RemoveAll(dir)
		if binary = os.Getenv("TEST_BINARY"); binary == "" {
			binary, err = gatewayproc.Build(context.Background(), dir, gatewayproc.Package)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// timed says that the bars on times are judged: by the command for it, on a quiet machine.
func timed() bool { return os.Getenv("JUDGE_TIMES") != "" }

// beside lets a test that waits more than it works run beside others like it, where no times are judged.
func beside(t *testing.T) {
	t.Helper()
	if !timed() {
		t.Parallel()
	}
}

// number is an environment variable's, or its default: the command for figures asks for more than make test.
func number(t *testing.T, name string, usual int) int {
	t.Helper()
	word := os.Getenv(name)
	if word == "" {
		return usual
	}
	n, err := strconv.Atoi(word)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: write a number from 1 on", name, word)
	}
	return n
}

// seed is TEST_SEED, else from the clock; it is printed.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := uint64(time.Now().UnixNano())
	if word := os.Getenv("TEST_SEED"); word != "" {
		var err error
		if s, err = strconv.ParseUint(word, 10, 64); err != nil {
			t.Fatalf("TEST_SEED: %v", err)
		}
	}
	t.Logf("seed %d", s)
	return s
}

// networks skips a test where there can be no networks, loudly, and fails it in CI, which runs as root.
func networks(t *testing.T) {
	t.Helper()
	err := testnet.Available()
	if err != nil && os.Getenv("CI") != "" && os.Geteuid() == 0 {
		t.Fatalf("CI runs as root and has no network namespaces: %v", err)
	}
	if err != nil {
		t.Skipf("NOT TESTED, gateways in network namespaces: %v", err)
	}
}

// judge fails the test when a time is over its bar, where times are judged, and prints it in any case.
func judge(t *testing.T, what string, took, bar time.Duration) {
	t.Helper()
	over := took > bar
	t.Logf("%s: %d ms (bar %d ms, judged %v)", what, took.Milliseconds(), bar.Milliseconds(), timed())
	if over && timed() {
		t.Errorf("%s: %s is over %s", what, took, bar)
	}
}

// quantile is of a list in any order; 0 of none.
func quantile(all []float64, part float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))]
}
