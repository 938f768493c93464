package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/bench/failover"
	"github.com/quorate/quorate/internal/mcpnode"
)

// ran is a write that a node executed at a time after the machine's start.
func ran(node string, at time.Duration) []mcpnode.Entry {
	return []mcpnode.Entry{
		{Node: node, Phase: mcpnode.PhaseStart, Mono: int64(at)},
		{Node: node, Phase: mcpnode.PhaseEnd, Mono: int64(at + 10*time.Second)}, // an end says nothing
	}
}

func TestLastWriteOfASideThatIsCutOff(t *testing.T) {
	p := partition{region: apSouth, began: 100 * time.Second, ended: 105 * time.Second, lease: 2 * time.Second}
	early := append(ran("ap-south-1", 99*time.Second), ran("ap-south-2", 106*time.Second)...)
	early = append(early, ran("us-east-1", 104*time.Second)...) // the other side goes on
	tests := []struct {
		name    string
		journal []mcpnode.Entry
		last    time.Duration
		wrong   bool
	}{
		{"none", early, 0, false},
		{"within its lease", append(ran("ap-south-1", 101*time.Second), early...), time.Second, false},
		{"at its end", append(ran("ap-south-2", 102*time.Second), early...), 2 * time.Second, false},
		{"after it", append(ran("ap-south-2", 102*time.Second+1), early...), 2*time.Second + 1, true},
	}
	for _, tt := range tests {
		s := &show{}
		if got := p.last(tt.journal); got != tt.last {
			t.Errorf("%s: the last write came %s after the cut, want %s", tt.name, got, tt.last)
		}
		if wrong := s.partitions([]partition{p}, tt.journal); (len(wrong) > 0) != tt.wrong || len(s.sums) != 1 {
			t.Errorf("%s: wrong %q, said %q", tt.name, wrong, s.sums)
		}
	}
}

func TestOnlyTheSideThatIsShutMayRefuse(t *testing.T) {
	off := act{name: "cut ap-south off", shut: apSouth}
	for _, tt := range []struct {
		name  string
		act   act
		of    map[string]failover.Writes
		all   int64
		wrong int
	}{
		{"none", act{name: "all well"}, map[string]failover.Writes{usEast: {Done: 30}}, 0, 0},
		{"the one that is cut off", off, map[string]failover.Writes{apSouth: {Refused: 9}, usEast: {Done: 30}}, 9, 0},
		{"another one too", off, map[string]failover.Writes{apSouth: {Refused: 9}, usEast: {Refused: 2}}, 11, 1},
		{"one that is not cut off", act{name: "all well"}, map[string]failover.Writes{apSouth: {Refused: 1}}, 1, 1},
	} {
		s := &show{}
		if n := s.refusals(tt.act, tt.of); n != tt.all || len(s.wrong) != tt.wrong || len(s.sums) != 0 {
			t.Errorf("%s: %d refused, wrong %q, said %q", tt.name, n, s.wrong, s.sums)
		}
		for _, w := range s.wrong {
			if !strings.Contains(w, "though it is not cut off") {
				t.Errorf("%s: wrong %q", tt.name, w)
			}
		}
	}
}

func TestWritesOfTheLastMoments(t *testing.T) {
	before := failover.Figures{Writes: map[string]failover.Writes{usEast: {Done: 5, Refused: 1}}}
	after := failover.Figures{Writes: map[string]failover.Writes{usEast: {Done: 9, Refused: 1}, euWest: {Refused: 2}}}
	got := writes(before, after)
	if got[usEast] != (failover.Writes{Done: 4}) || got[euWest] != (failover.Writes{Refused: 2}) {
		t.Errorf("%+v", got)
	}
}
