package demo

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/bench/failover"
)

func good() failover.Result {
	return failover.Result{
		Calls: 1000, Once: 333, Faults: 9, Busy: 8, Unknown: 2, Gaps: []time.Duration{5 * time.Millisecond, 41 * time.Millisecond},
		Counters:      failover.Counters{Retried: 12, Migrated: 4},
		Subscriptions: []failover.Subscription{{Agent: "legacy-sdk-0", Updates: 70}},
	}
}

func TestVerdict(t *testing.T) {
	tests := []struct {
		name   string
		change func(*failover.Result)
		said   string // "" means that the demo is good
	}{
		{"good", func(*failover.Result) {}, ""},
		{"lost call", func(r *failover.Result) { r.SafeLost, r.Lost = 1, 1 }, "1 retry-safe calls failed"},
		{"duplicate", func(r *failover.Result) { r.Duplicate = 2 }, "2 once calls were executed twice"},
		{"lost session", func(r *failover.Result) { r.SessionsLost = 3 }, "3 sessions were lost"},
		{"silent subscription", func(r *failover.Result) { r.Subscriptions[0].Silent = time.Minute }, "stopped delivering"},
		{"no kill", func(r *failover.Result) { r.Faults = 0 }, "no node was killed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := good()
			tt.change(&res)
			var out bytes.Buffer
			err := conclude(&screen{out: &out}, res)
			if tt.said == "" && err == nil && strings.Contains(out.String(), "OK:") {
				return
			}
			if tt.said == "" || !errors.Is(err, ErrFailed) || !strings.Contains(out.String(), tt.said) {
				t.Errorf("err %v, output:\n%s", err, out.String())
			}
		})
	}
}

func TestTableHasItsFigures(t *testing.T) {
	var out bytes.Buffer
	(&screen{out: &out}).table(good())
	words := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"calls failed retried migrated sessions longest gap", "1000 0 12 4 41 ms", "9 kills, 8 of them"} {
		if !strings.Contains(words, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestLinesWhenNotATerminal(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out}
	s.show(failover.Snapshot{Elapsed: 100 * time.Millisecond})
	if out.Len() != 0 {
		t.Errorf("a line without an event: %q", out.String())
	}
	s.show(failover.Snapshot{Elapsed: 200 * time.Millisecond, Faults: 1, Gaps: 1, Event: "sigkill of a", LastGap: 7 * time.Millisecond})
	s.show(failover.Snapshot{Elapsed: 2300 * time.Millisecond, Gaps: 1, Calls: 9})
	got := out.String()
	if strings.Count(got, "\n") != 3 || !strings.Contains(got, "sigkill of a: next answers for all agents within 7 ms") || strings.Contains(got, "\x1b") {
		t.Errorf("output:\n%s", got)
	}
}

func TestTerminalRedrawsOneBlock(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, terminal: true, width: 40}
	n := failover.Snapshot{Calls: 1, Nodes: []failover.NodeSnapshot{{ID: "a", Era: "both", InFlight: 3}}}
	s.show(n)
	first := strings.Count(out.String(), "\n")
	out.Reset()
	s.show(n)
	if want := "\x1b[" + string(rune('0'+first)) + "A"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("second frame begins %q, want %q", out.String()[:8], want)
	}
	for line := range strings.Lines(out.String()) {
		if len([]rune(strings.TrimRight(line, "\n"))) > 40+12 {
			t.Errorf("line wraps: %q", line)
		}
	}
}
