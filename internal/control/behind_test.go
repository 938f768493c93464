package control

import (
	"testing"
	"time"
)

// A gateway that starts is late until it has applied all of what is committed. From then on it is late by what has not been
// applied for long, and not by what is on its way.
func TestLate(t *testing.T) {
	var b behind
	at := time.Now()
	for i, s := range []struct {
		after           time.Duration
		applied, commit uint64
		late            bool
	}{
		{0, 5, 10, true},
		{2 * behindFor, 9, 10, true},
		{0, 10, 10, false},
		{0, 10, 12, false},
		{behindFor / 2, 11, 13, false}, // 12 is still missing
		{behindFor / 2, 11, 14, true},
		{0, 12, 14, false}, // it goes on, and 14 is not old
		{behindFor / 2, 13, 20, false},
		{behindFor / 2, 13, 20, true},
		{0, 20, 20, false},
	} {
		at = at.Add(s.after)
		if got := b.late(s.applied, s.commit, at); got != s.late {
			t.Errorf("look %d: late %v", i, got)
		}
	}
}
