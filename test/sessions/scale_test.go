package sessions_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// resident is the memory of a process, in bytes.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// herd is many sessions of few agents.
type herd struct {
	w   *world
	ids []string
}

// do does something with every session, 128 at once, and returns how long all took.
func (h *herd) do(what string, m *member, ask func(r *raw, i int) *answer) time.Duration {
	h.w.t.Helper()
	began := monotonic()
	var next, bad atomic.Int64
	var work sync.WaitGroup
	for range 128 {
		work.Go(func() {
			r := h.w.raw(m.url())
			defer r.close()
			for i := int(next.Add(1)) - 1; i < len(h.ids); i = int(next.Add(1)) - 1 {
				r.session = h.ids[i]
				if a := ask(r, i); !a.good() && bad.Add(1) < 4 {
					h.w.t.Errorf("%s, session %d: %s", what, i, a)
				}
				h.ids[i] = r.session
			}
		})
	}
	work.Wait()
	took := monotonic() - began
	h.w.t.Logf("%s: %d sessions in %s, %d failed", what, len(h.ids), took.Round(time.Millisecond), bad.Load())
	if bad.Load() > 0 {
		h.w.t.Errorf("%s: %d of %d failed", what, bad.Load(), len(h.ids))
	}
	return took
}

// TestManySessions keeps many sessions in one gateway, starts it anew, and then has another one claim all of them. make
// test does it with few; HERD=100000 gives the figures.
func TestManySessions(t *testing.T) {
	w := newWorld(t, setup{service: "    session: {idle: 24h, max: 200000}\n"})
	a, b := w.members[0], w.members[1]
	h := &herd{w: w, ids: make([]string, number(t, "HERD", 500))}
	before, copies := resident(t, a.process.PID()), resident(t, b.process.PID())
	h.do("opened", a, func(r *raw, _ int) *answer { r.session = ""; return w.insist(r.begin) })
	w.copied(a)
	t.Logf("%d bytes per session at its owner, %d where the copy is", (resident(t, a.process.PID())-before)/int64(len(h.ids)), (resident(t, b.process.PID())-copies)/int64(len(h.ids)))
	a.stop()
	began := monotonic()
	w.start(a)
	w.writable(a)
	t.Logf("started anew: writes and is ready after %s", (monotonic() - began).Round(time.Millisecond))
	h.do("claimed by itself", a, func(r *raw, _ int) *answer { return w.insist(r.read) })
	a.kill()
	took := h.do("claimed by another, as its owner is killed", b, func(r *raw, _ int) *answer { return w.insist(r.read) })
	t.Logf("%.0f claims/s, with the moves to nodes", float64(len(h.ids))/took.Seconds())
}
