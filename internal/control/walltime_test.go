package control

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// One clock that is wrong moves nobody's time, and where nobody knows which one is, the earlier one counts: what is
// forgotten later than it might be does no harm.
func TestTimeIsTheMembers(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	for name, tc := range map[string]struct {
		own    time.Duration // how far ahead this gateway's own clock is
		others []time.Duration
		silent int
		old    time.Duration // since the others were heard
		want   time.Duration
		agreed bool
	}{
		"three of a time":              {0, []time.Duration{0, 0}, 0, 0, 0, true},
		"another is ahead":             {0, []time.Duration{25 * time.Hour, 0}, 0, 0, 0, true},
		"another is behind":            {0, []time.Duration{-25 * time.Hour, 0}, 0, 0, 0, true},
		"this one is ahead":            {400 * day, []time.Duration{0, 0}, 0, 0, 0, true},
		"this one is behind":           {-400 * day, []time.Duration{0, 0}, 0, 0, 0, true},
		"two that differ":              {day, []time.Duration{0}, 0, 0, 0, true},
		"two that differ, the other":   {0, []time.Duration{day}, 0, 0, 0, true},
		"heard a while ago":            {day, []time.Duration{0, 0}, 0, 3 * time.Minute, 0, true},
		"heard long ago":               {day, []time.Duration{0, 0}, 0, time.Hour, 0, false},
		"one of three is silent":       {0, []time.Duration{0}, 1, 0, 0, true},
		"two of three are silent":      {day, nil, 2, 0, 0, false},
		"one of four is ahead":         {0, []time.Duration{0, day, 0}, 0, 0, 0, true},
		"half of a fleet says nothing": {0, []time.Duration{0}, 2, 0, 0, false},
	} {
		r := reads{of: map[raft.ServerID]read{}}
		servers := []raft.Server{{ID: "me/1"}}
		for i, ahead := range tc.others {
			id := raft.ServerID(string(rune('a' + i)))
			servers = append(servers, raft.Server{ID: id})
			r.said(id, nil, moment{now.Round(0).Add(ahead - tc.old), now.Add(-tc.old)})
		}
		for i := range tc.silent {
			servers = append(servers, raft.Server{ID: raft.ServerID(string(rune('x' + i)))})
		}
		servers = append(servers, raft.Server{ID: "n/1", Suffrage: raft.Nonvoter}, raft.Server{ID: "n/2", Suffrage: raft.Nonvoter})
		r.said("n/1", nil, moment{now.Round(0).Add(9 * day), now}) // who has no vote has none in this either
		r.agree(servers, "me/1", moment{now.Round(0).Add(tc.own), now})
		m := r.time.Load()
		if (m != nil) != tc.agreed {
			t.Errorf("%s: agreed: %t", name, m != nil)
			continue
		}
		if m == nil {
			continue
		}
		if off := m.at(now.Add(time.Minute)).Sub(now.Round(0).Add(time.Minute)); off != tc.want {
			t.Errorf("%s: %s off, want %s", name, off, tc.want)
		}
	}
}

// A gateway alone, or one that has heard nobody, has its own clock; only the one alone may forget by it.
func TestTimeWithoutOthers(t *testing.T) {
	for _, alone := range []bool{true, false} {
		n := &Node{cfg: Config{Alone: alone, Wall: time.Now}}
		if now, agreed := n.Clock(); agreed != alone || time.Since(now).Abs() > time.Minute {
			t.Errorf("alone %t: %s, agreed %t", alone, now, agreed)
		}
	}
}
