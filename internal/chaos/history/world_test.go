package history

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/strategies"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const s, ms = time.Second, time.Millisecond

// story is a history in the making: what a good fleet would leave, and what a test adds to it.
type story struct {
	History
	last int
}

// three is a fleet of three voters under a majority rule, with a lease of one second and 100 ms of slack.
func three() *story {
	h := &story{History: History{Bounds: Bounds{Lease: s, Slack: 100 * ms, Converge: 10 * s, Handled: 2 * s}, End: 40 * s}}
	for i := range 3 {
		h.Gateways = append(h.Gateways, Gateway{Name: fmt.Sprintf("gw-%d", i+1), Region: fmt.Sprintf("r%d", i+1), Role: strategies.Voter})
	}
	h.Rules = []InForce{{Rule: "2 of (gw-1, gw-2, gw-3)"}}
	return h
}

// writes is one call with one effect every 20 ms.
func (h *story) writes(g string, from, until Time) {
	for at := from; at < until; at += 20 * ms {
		h.write(g, at)
	}
}

// write is one good call.
func (h *story) write(g string, at Time) *Call {
	c := h.call(g, at, OK)
	h.effect(c, at+2*ms)
	return c
}

func (h *story) call(g string, at Time, o Outcome) *Call {
	h.last++
	h.Calls = append(h.Calls, Call{ID: fmt.Sprintf("%s/%d", g, h.last), Gateway: g, Kind: Write, Invoke: at, Return: at + 5*ms, Outcome: o})
	return &h.Calls[len(h.Calls)-1]
}

func (h *story) effect(c *Call, at Time) *Effect {
	h.Effects = append(h.Effects, Effect{Call: c.ID, Node: "n-" + c.Gateway, Gateway: c.Gateway, At: at, Done: true})
	return &h.Effects[len(h.Effects)-1]
}

// refuses is one refused call every 20 ms.
func (h *story) refuses(g string, from, until Time) {
	for at := from; at < until; at += 20 * ms {
		h.call(g, at, Refused).Code = -32071
	}
}

// cut cuts both ways between two gateways.
func (h *story) cut(at Time, a, b string) { h.way(at, a, b, true); h.way(at, b, a, true) }
func (h *story) heal(at Time, a, b string) {
	h.way(at, a, b, false)
	h.way(at, b, a, false)
}

func (h *story) way(at Time, from, to string, down bool) {
	h.Changes = append(h.Changes, Change{At: at, From: from, To: to, Down: down})
}

// isolated is a fleet whose gw-3 is cut off from 10 s to 14 s and behaves: it writes for the rest of its lease, and
// again half a second after the heal.
func isolated() *story {
	h := three()
	h.cut(10*s, "gw-3", "gw-1")
	h.cut(10*s, "gw-3", "gw-2")
	h.heal(14*s, "gw-3", "gw-1")
	h.heal(14*s, "gw-3", "gw-2")
	for _, g := range []string{"gw-1", "gw-2"} {
		h.writes(g, 0, 40*s)
	}
	h.writes("gw-3", 0, 10900*ms)
	h.refuses("gw-3", 10900*ms, 14500*ms)
	h.writes("gw-3", 14500*ms, 40*s)
	h.Episodes = []Episode{{Name: "isolate gw-3", Begin: 10 * s, Heal: 14 * s, Quiet: 40 * s, Whole: true}}
	return h
}

// verdict judges a story whose changes may have been told out of order.
func verdict(t *testing.T, h *story) Verdict {
	t.Helper()
	slices.SortStableFunc(h.Changes, func(a, b Change) int { return int(a.At - b.At) })
	v, err := Judge(&h.History)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// found are the names of what is violated, each once.
func found(v Verdict) (names []string) {
	for _, x := range v.Violations {
		names = append(names, x.What)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
