package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/internal/chaos/schedule"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every case of 3 and 5 gateways is in one unit, and every unit says how to repeat it.
func TestExhaustiveUnits(t *testing.T) {
	units := Exhaustive([]int{3, 5}, schedule.Strategies(), time.Second, "--slack=1s")
	names, cases := map[string]bool{}, 0
	for _, u := range units {
		if names[u.Name] || len(u.Schedule.Episodes) > perFleet || !strings.Contains(u.Repeat, "--only "+u.Name+" --slack=1s") {
			t.Errorf("unit %+v", u)
		}
		names[u.Name] = true
		cases += len(u.Schedule.Episodes)
	}
	if want := 4 * (3 + 6 + 15 + 20); cases != want {
		t.Errorf("%d cases, want %d", cases, want)
	}
}

// What passed stays done for the same binary, configuration and schedule, and for nothing else.
func TestState(t *testing.T) {
	dir := t.TempDir()
	binary := func(text string) string {
		path := filepath.Join(dir, "binary"+text)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	units := Seeded(7, 3, schedule.Short(), "")
	open := func(cfg Config) *state {
		t.Helper()
		s, err := openState(Campaign{Config: cfg, Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.close)
		return s
	}
	cfg := Config{Binary: binary("a"), Lease: time.Second}
	s := open(cfg)
	for i, o := range []outcome{{}, {Violations: 1}, {Error: "broken"}} {
		o.Name, o.Schedule = units[i].Name, units[i].Schedule.String()
		if err := s.add(o); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.file.WriteString(`{"name":"seed-8","pri`); err != nil { // the machine went down
		t.Fatal(err)
	}
	page, passed := s.page(units)
	if passed || !strings.Contains(page, "1 violations; failed: seed-8, seed-9") {
		t.Errorf("page:\n%s", page)
	}
	again := open(cfg)
	if !again.has(units[0]) || again.has(units[1]) || again.has(units[2]) {
		t.Errorf("done are %v", again.done)
	}
	other := units[0]
	other.Schedule.Episodes = other.Schedule.Episodes[:1]
	if again.has(other) {
		t.Error("another schedule of the same name counts as done")
	}
	for _, c := range []Config{{Binary: binary("b"), Lease: time.Second}, {Binary: cfg.Binary, Lease: 2 * time.Second}} {
		if s := open(c); s.has(units[0]) {
			t.Errorf("done with %+v, too", c)
		}
	}
}

// A run is made again only for slowness, and only if the machine was slow.
func TestUnsure(t *testing.T) {
	late := func(what ...string) history.Verdict {
		v := history.Verdict{Figures: history.Figures{Noise: time.Second}}
		for _, w := range what {
			v.Violations = append(v.Violations, history.Violation{What: w})
		}
		return v
	}
	for _, tc := range []struct {
		err  error
		v    history.Verdict
		want bool
	}{
		{nil, late(), false},
		{nil, late(history.Converged, history.Available), true},
		{fmt.Errorf("run: %w", ErrNotReady), late(), true},
		{errors.New("a gateway died"), late(), false},
		{nil, late(history.Converged, history.Exclusive), false},
		{nil, late(history.Once), false},
	} {
		o := outcome{Violations: len(tc.v.Violations), Figures: tc.v.Figures, Slow: slow(tc.err, tc.v)}
		if tc.err != nil {
			o.Error = tc.err.Error()
		}
		if got := o.unsure(); got != tc.want {
			t.Errorf("%v with %v: %t", tc.err, tc.v.Violations, got)
		}
		o.Figures.Noise = 0
		if o.unsure() {
			t.Errorf("%v with %v on a quiet machine is put down to it", tc.err, tc.v.Violations)
		}
	}
}
