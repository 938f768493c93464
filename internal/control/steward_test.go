package control_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/strategies"
)

// A gateway that crashes and is started again at once has its former life fenced by one suspicion, which nobody takes
// back for what was heard before it.
func TestStartedAgainAtOnce(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	before := c.life(t)
	c.vanish()
	c = f.start("c", strategies.Voter)
	f.formed(c)
	if after := c.life(t); after <= before {
		t.Errorf("incarnation %d after %d", after, before)
	}
	within(t, 5*time.Second, "the former life is fenced", func() bool { return a.node.Figures().Fences > 0 })
	for _, m := range []*member{a, b} {
		if n := strings.Count(m.lines.String(), "control group: cleared"); n > 0 {
			t.Errorf("%s cleared %d times", m.name, n)
		}
	}
}
