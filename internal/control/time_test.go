package control_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/strategies"
)

// A gateway whose clock is a day ahead takes the time from the others, and they take none from it.
func TestMembersTellTheTime(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.ahead = map[string]time.Duration{"b": 26 * time.Hour}
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	for _, m := range f.all() {
		within(t, 15*time.Second, m.name+" knows what time it is", func() bool {
			now, agreed := m.node.Clock()
			return agreed && time.Since(now).Abs() < time.Minute
		})
	}
}
