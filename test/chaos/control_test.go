// Package chaos_test runs real fleets in network namespaces under faults and holds them to what authority promises,
// and the rig to finding a fleet that has none. It must not look at a gateway's own word for anything.
package chaos_test

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/chaos"
	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/internal/chaos/report"
	"github.com/quorate/quorate/internal/chaos/schedule"
	"github.com/quorate/quorate/internal/gatewayproc"
	"github.com/quorate/quorate/internal/testnet"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// quorate is the gateway's binary, built once.
var quorate string

func TestMain(m *testing.M) { os.Exit(gatewayproc.Tests{M: m, Binary: &quorate}.Run()) }

// needsNetwork skips where there can be no test network, loudly, and fails in CI, which runs as root.
func needsNetwork(t *testing.T) {
	t.Helper()
	if err := testnet.Available(); err != nil {
		if os.Getenv("CI") != "" && os.Geteuid() == 0 {
			t.Fatalf("CI runs as root and has no network namespaces: %v", err)
		}
		t.Skipf("NOT TESTED, a fleet in network namespaces: %v", err)
	}
}

// judged makes a run of the binary and judges it.
func judged(t *testing.T, cfg chaos.Config, s schedule.Schedule) history.Verdict {
	t.Helper()
	cfg.Binary = quorate
	return judgedOf(t, cfg, s)
}

// judgedOf does so with the binary that the configuration names.
func judgedOf(t *testing.T, cfg chaos.Config, s schedule.Schedule) history.Verdict {
	t.Helper()
	needsNetwork(t)
	cfg.Lease = cmp.Or(cfg.Lease, chaos.Lease)
	h, err := chaos.Run(t.Context(), cfg, s, folder(t))
	for again := 0; again < repeats && errors.Is(err, chaos.ErrNotReady) && busy(h); again++ {
		t.Logf("the machine was late by more than %s, so this says nothing of the fleet; once more: %v", tooLate, err)
		h, err = chaos.Run(t.Context(), cfg, s, folder(t))
	}
	if err != nil {
		t.Fatalf("%s\n%v", s, err)
	}
	v, err := history.Judge(h)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", report.Text(h, v))
	return v
}

// As in a campaign, a fleet that does not come to write is started again on a machine that was too late, this often.
const (
	repeats = 2
	tooLate = 250 * time.Millisecond
)

// busy reports whether the machine was too late for a fleet's slowness to be its own.
func busy(h *history.History) bool {
	return slices.ContainsFunc(h.Noises, func(n history.Noise) bool { return n.Late > tooLate })
}

// folder is where a run is made; CHAOS_KEEP names where it stays.
func folder(t *testing.T) string {
	t.Helper()
	keep := os.Getenv("CHAOS_KEEP")
	if keep == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(keep, strings.ReplaceAll(t.Name(), "/", "-")+"-")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// The control of the whole rig: gateways without authority write on both sides of a split, and that is found, by both
// of the ways in which it is looked for.
func TestWithoutAuthority(t *testing.T) {
	s := schedule.Schedule{Seed: uint64(time.Now().UnixNano()), Gateways: schedule.Voters(3), Strategy: winnertakesall.Name}
	f := schedule.Fault{Kind: schedule.Cut, From: []string{"gw-3"}}
	s.Episodes = []schedule.Episode{{Name: f.String(), Faults: []schedule.Fault{f}, Hold: 3 * time.Second}}
	v := judged(t, chaos.Config{Lawless: true}, s)
	found := map[string]int{}
	for _, x := range v.Violations {
		found[x.What] += x.Count
	}
	if found[history.Closed] < 10 || found[history.Exclusive] < 10 {
		t.Errorf("a fleet without authority passes: %v", found)
	}
	if found[history.Once] > 0 || found[history.Converged] > 0 || found[history.Available] > 0 {
		t.Errorf("the rig itself does wrong: %v", found)
	}
}
