package failover

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// Limits of the 99th percentile of the gaps (RELIABILITY targets).
const (
	limitSIGKILL   = 150 * time.Millisecond
	limitBlackHole = time.Second
)

// BenchConfig describes the whole failover bench.
type BenchConfig struct {
	Binary  string   // the quorate binary
	Dir     string   // for the journals; default MemoryDir
	Kills   int      // faults per kind of fault and system; default 200
	Seed    uint64   // default from the clock
	Systems []string // of haproxy, quorate, quorate-without-retries; empty means all, in this order
	Faults  []Fault  // empty means both
	Log     io.Writer
}

// Systems returns the names that BenchConfig.Systems may hold.
func Systems() []string { return []string{"haproxy", "quorate", "quorate-without-retries"} }

// TestPool is the pool of the kill test and of the bench: three nodes that serve both eras, so that
// every kill hits legacy sessions and modern calls alike.
func TestPool() []pool.Spec {
	specs := make([]pool.Spec, 0, 3)
	for _, id := range []string{"a", "b", "c"} {
		specs = append(specs, pool.Spec{ID: id, Era: "both", Updates: UpdatesEvery})
	}
	return specs
}

// TestMix is 32 agents, half of each era, among them two go-sdk clients per era.
func TestMix() Mix { return Mix{ModernRaw: 14, LegacyRaw: 14, ModernSDK: 2, LegacySDK: 2} }

// MemoryDir is a directory in memory where there is one, else "". The bench keeps the journals there:
// it judges gaps, and an agent that waits for a busy disk under a call that nothing happened to would
// count as a gap of the front. A SIGKILL loses nothing of such a file, only a power cut would.
func MemoryDir() string {
	const shm = "/dev/shm"
	probe, err := os.MkdirTemp(shm, "quorate-probe-")
	if err != nil {
		return ""
	}
	if err := os.Remove(probe); err != nil {
		return ""
	}
	return shm
}

// Bench runs every system under every fault, prints the table to out and reports whether Quorate
// kept its limits and the control failed, as it must.
func Bench(ctx context.Context, cfg BenchConfig, out io.Writer) (bool, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return false, err
	}
	fmt.Fprintf(out, "failover bench: %d faults per kind and system, %d agents, seed %d, journals in %s\n",
		cfg.Kills, TestMix().Total(), cfg.Seed, cmp.Or(cfg.Dir, os.TempDir()))
	var all []Result
	for _, name := range cfg.Systems {
		for _, fault := range cfg.Faults {
			began := time.Now()
			res, err := Run(ctx, cfg.run(name, fault))
			if err != nil {
				return false, fmt.Errorf("failover: %s under %s: %w", name, fault, err)
			}
			all = append(all, res)
			printRun(out, res, time.Since(began))
		}
	}
	return report(out, cfg, all), nil
}

func (c BenchConfig) withDefaults() (BenchConfig, error) {
	if c.Dir == "" {
		c.Dir = MemoryDir()
	}
	if c.Kills == 0 {
		c.Kills = 200
	}
	if c.Seed == 0 {
		c.Seed = uint64(time.Now().UnixNano())
	}
	if len(c.Systems) == 0 {
		c.Systems = Systems()
	}
	if len(c.Faults) == 0 {
		c.Faults = []Fault{SIGKILL, BlackHole}
	}
	for _, s := range c.Systems {
		if !slices.Contains(Systems(), s) {
			return c, fmt.Errorf("failover: system %q: write one of %v", s, Systems())
		}
	}
	return c, nil
}

func (c BenchConfig) run(system string, fault Fault) Config {
	return Config{
		Binary: c.Binary, Dir: c.Dir, Front: c.front(system), Nodes: TestPool(), Agents: TestMix(),
		Fault: fault, Kills: c.Kills, Seed: c.Seed, Log: c.Log,
	}
}

func (c BenchConfig) front(system string) Front {
	switch system {
	case "haproxy":
		return &HAProxy{}
	case "quorate":
		return &Quorate{Binary: c.Binary}
	default:
		return &Quorate{Binary: c.Binary, Attempts: 1}
	}
}

func printRun(out io.Writer, r Result, took time.Duration) {
	fmt.Fprintf(out, "\n%s under %s: %d faults (%d on a node with a call in flight, %d thawed) in %.0f s\n",
		r.System, r.Fault, r.Faults, r.Busy, r.Thawed, took.Seconds())
	fmt.Fprintf(out, "  calls %d (%d once), lost %d (%d retry-safe), duplicate %d, unknown %d (%d executed, %d without -32070), sessions lost %d\n",
		r.Calls, r.Once, r.Lost, r.SafeLost, r.Duplicate, r.Unknown, r.UnknownExecuted, r.Untold, r.SessionsLost)
	fmt.Fprintf(out, "  gap ms: p50 %.1f, p90 %.1f, p99 %.1f, max %.1f; back in use after ms: p50 %.1f; retried %d, sessions migrated %d\n",
		ms(r.Gap(0.5)), ms(r.Gap(0.9)), ms(r.Gap(0.99)), ms(r.Gap(1)), ms(quantile(r.Returns, 0.5)), r.Counters.Retried, r.Counters.Migrated)
	fmt.Fprintf(out, "  longest gap %s\n", r.Longest)
	for _, s := range r.Samples {
		fmt.Fprintf(out, "  failed: %.300s\n", s)
	}
}

// report judges all runs and prints the last line of every system.
func report(out io.Writer, cfg BenchConfig, all []Result) bool {
	problems := 0
	fmt.Fprintln(out)
	for _, r := range all {
		for _, v := range r.judgement() {
			problems++
			fmt.Fprintf(out, "FAIL %s under %s: %s\n", r.System, r.Fault, v)
		}
	}
	for _, name := range cfg.Systems {
		fmt.Fprintln(out, total(name, all))
	}
	if problems > 0 {
		fmt.Fprintf(out, "FAIL: %d problems\n", problems)
		return false
	}
	fmt.Fprintln(out, "PASS")
	return true
}

// judgement is what speaks against a run: HAProxy is only measured, the control must lose calls.
func (r Result) judgement() []string {
	v := r.Weaknesses()
	switch {
	case r.System == "quorate" && r.Fault == SIGKILL:
		return append(v, r.Violations(limitSIGKILL)...)
	case r.System == "quorate":
		return append(v, r.Violations(limitBlackHole)...)
	case r.System == "quorate-without-retries" && r.SafeLost == 0:
		return append(v, "the control lost no call, so this bench could not see a loss")
	}
	return v
}

// total adds a system's runs; its gaps are those of all faults together.
func total(name string, all []Result) Result {
	sum := Result{System: name}
	for _, r := range all {
		if r.System != name {
			continue
		}
		sum.Calls += r.Calls
		sum.Lost += r.Lost
		sum.Duplicate += r.Duplicate
		sum.Unknown += r.Unknown
		sum.Gaps = append(sum.Gaps, r.Gaps...)
	}
	slices.Sort(sum.Gaps)
	return sum
}
