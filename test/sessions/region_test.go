package sessions_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/testnet"
)

// lose takes everything that a region has, by killing it or by cutting it off.
func (w *world) lose(m *member, cut bool) {
	w.t.Helper()
	if cut {
		w.net.Isolate(m.at.host, func(c *testnet.Condition) { c.Cut = true })
		return
	}
	m.kill()
	for _, n := range w.nodes {
		if n.of == m {
			n.process.Kill()
		}
	}
}

// find gives a region back.
func (w *world) find(m *member, cut bool) {
	w.t.Helper()
	if cut {
		w.net.Isolate(m.at.host, func(c *testnet.Condition) { c.Cut = false })
		return
	}
	for _, n := range w.nodes {
		if n.of == m {
			w.startNode(n)
		}
	}
	w.start(m)
}

// TestRegionLost loses a region with its gateway and all its nodes, 80 ms from the others: everyone's next call is
// answered by another region under its session, whether the region is dead or cut off.
func TestRegionLost(t *testing.T) {
	for name, cut := range map[string]bool{"killed": false, "black hole": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{apart: true, regions: true, far: 40 * time.Millisecond, seed: seed(t), updates: time.Second})
			url := w.balance(w.members[0], w.members[1], w.members[2])
			agents := w.connectAll(url, number(t, "SESSIONS", 100))
			w.copied(w.members[0])
			f := w.through(agents, func() { w.lose(w.members[0], cut) })
			w.survived(agents, f, 2*time.Second)
			w.find(w.members[0], cut)
			w.writable(w.members...)
		})
	}
}
