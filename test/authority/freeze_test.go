package authority_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/internal/mcpnode"
)

// TestFreeze stops a gateway for 1 s and 10 s in the middle of writes and lets it go on: what it sends then is of an
// epoch that is over, or it sends nothing.
func TestFreeze(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 10 * time.Second} {
		for _, victim := range []string{"leader", "follower"} {
			t.Run(fmt.Sprintf("%s/%s", d, victim), func(t *testing.T) {
				t.Parallel()
				freeze(t, d, victim == "leader")
			})
		}
	}
}

func freeze(t *testing.T, d time.Duration, leader bool) {
	f := newFleet(t)
	f.addNode("loose", false)
	a, b, _ := f.three()
	victim := f.leading(a, b, leader)
	l := f.begin(8, 5, a, b)
	f.await(formed, "writes are under way", func() bool { return l.good(0) > 100 })

	stopped := monotonic()
	victim.signal(syscall.SIGSTOP)
	f.pass(d)
	woken := monotonic()
	victim.signal(syscall.SIGCONT)
	f.writable(a, b)
	seen := monotonic()
	f.await(formed, "writes go on", func() bool { return l.good(seen) > 100 })
	l.end()

	j := f.hold(l.writes)
	inFlight := 0
	for _, w := range l.writes {
		if w.via == victim && w.sent < stopped && w.at > stopped {
			inFlight++
		}
	}
	// A gateway that applies a change of the rule later than another is late too, and no danger: both gates rest on
	// sets of voters that intersect.
	passed := slices.DeleteFunc(slices.Clone(j.passed), func(l late) bool { return l.Via != victim.name || l.Mono < int64(stopped) })
	if len(passed) > inFlight {
		t.Errorf("%d stale effects at the node that does not check, %d calls in flight at the stop: %v", len(passed), inFlight, passed)
	}
	fenced := slices.Contains(b.events(), "fenced") && slices.Contains(a.events(), "fenced")
	if d > 5*time.Second && !fenced {
		t.Error("the gateway was not fenced: nothing was tried")
	}
	good, refused, failed := count(l.writes)
	t.Logf("N=%d writes (%d done, %d refused, %d unknown) and %d effects; %d in flight at the stop, %d effects of the gateway within 1 s after it woke; "+
		"stale: %d at nodes that check, %d at the one that does not; fenced: %t",
		len(l.writes), good, refused, failed, j.effects, inFlight, len(f.by(victim, woken, woken+time.Second)), len(j.stale), len(passed), fenced)
	if fenced {
		f.replay(t)
	}
}

// replay is the control: a write of the first epoch, as a gateway that slept would send it, is refused by nodes that
// check and seen by the judge where it is not.
func (f *fleet) replay(t *testing.T) {
	t.Helper()
	for _, n := range f.nodes {
		all := f.effects(n)
		lowest, before := all[0].Fence, f.judge(nil)
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"charge","arguments":{"call":%q},%s}}`, rand.Text(), meta)
		x := post(t.Context(), agentClient(), n.url, body, mcp.HeaderVersion, "2026-07-28", mcp.HeaderMethod, "tools/call",
			mcp.HeaderName, mcpnode.ToolCharge, mcp.HeaderFence, strconv.FormatUint(lowest, 10))
		after := f.judge(nil)
		switch {
		case n.checks && (x.status != 409 || after.effects != before.effects):
			t.Errorf("control: %s takes epoch %d: %s", n.name, lowest, x)
		case !n.checks && (!x.good() || len(after.passed) != len(before.passed)+1):
			t.Errorf("control: a stale write at %s is not seen: %s, %v", n.name, x, after.passed)
		}
	}
}
