package sessions_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/natsproc"
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
	if s := w.natsOf(m); s != nil {
		s.Kill()
	}
}

// find gives a region back.
func (w *world) find(m *member, cut bool) {
	w.t.Helper()
	if cut {
		w.net.Isolate(m.at.host, func(c *testnet.Condition) { c.Cut = false })
		return
	}
	if s := w.natsOf(m); s != nil {
		if err := s.Start(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, n := range w.nodes {
		if n.of == m {
			w.startNode(n)
		}
	}
	w.start(m)
}

// natsOf is the NATS server in a region; nil: there is none.
func (w *world) natsOf(m *member) *natsproc.Server {
	if w.nats == nil {
		return nil
	}
	for _, s := range w.nats.Servers {
		if s.Region == m.region {
			return s
		}
	}
	return nil
}

// natsInRegions has a NATS server in every region, on the host of its gateway and its nodes. No gateway has copies: what
// a session has is there or lost.
func natsInRegions(w *world) string {
	w.t.Helper()
	var places []natsproc.Place
	for _, m := range w.members {
		p := natsPlace(m.at, m.region)
		p.Name = "nats-" + m.name
		places = append(places, p)
	}
	w.nats = natsAt(w.t, places)
	return inJetStreamAlone(w.nats)
}

// inRegions is three regions 80 ms apart, each with a gateway and nodes of its own.
func inRegions(t *testing.T) setup {
	return setup{apart: true, regions: true, far: 40 * time.Millisecond, seed: seed(t), updates: time.Second}
}

// leadGroup has a gateway lead the control group, as an operator would.
func (w *world) leadGroup(m *member) {
	w.t.Helper()
	w.await(healed, m.name+" leads the control group", func() bool {
		if m.cluster().Leader != m.name {
			_, _ = m.operator("force-leader", m.region) // it is asked again
		}
		for _, o := range w.members {
			if o.cluster().Leader != m.name {
				return false
			}
		}
		return true
	})
	w.writable(w.members...)
	w.t.Logf("%s leads the control group", m.name)
}

// regionBar is for the next answer after a region is lost, p99.
const regionBar = 2 * time.Second

// TestRegionLost loses a region with its gateway and all its nodes, 80 ms from the others: everyone's next call is
// answered by another region under its session, whether the region is dead or cut off.
func TestRegionLost(t *testing.T) {
	for _, c := range []struct {
		name  string
		cut   bool
		group int  // whose region's gateway leads the control group
		short bool // also where times are not judged
	}{
		{name: "killed", group: 1},
		{name: "killed with the control group's leader", short: true},
		{name: "black hole", cut: true, group: 1, short: true},
		{name: "black hole with the control group's leader", cut: true},
	} {
		if c.short || timed() {
			t.Run(c.name, func(t *testing.T) { loseRegion(t, c.cut, c.group) })
		}
	}
}

func loseRegion(t *testing.T, cut bool, group int) {
	w := newWorld(t, inRegions(t))
	url := w.balance(w.members[0], w.members[1], w.members[2])
	agents := w.connectAll(url, number(t, "SESSIONS", 100))
	w.copied(w.members[0])
	w.leadGroup(w.members[group])
	f := w.through(agents, func() { w.lose(w.members[0], cut) })
	w.survived(agents, f, regionBar)
	w.find(w.members[0], cut)
	w.writable(w.members...)
}

// elects is how long NATS may go without a leader of the bucket, as docs/strategies.md says.
const elects = 12 * time.Second

// TestRegionLostJetStream is the same where sessions are in NATS alone, whose three servers are lost with their regions.
// Where the lost one led the bucket nobody takes a session over until NATS has elected; agents are told to ask again.
func TestRegionLostJetStream(t *testing.T) {
	networks(t)
	for _, c := range []struct {
		name  string
		cut   bool
		leads int  // whose region's NATS server
		group int  // whose region's gateway leads the control group
		short bool // also where times are not judged
	}{
		{name: "killed", leads: 1, group: 1},
		{name: "killed with the control group's leader", leads: 1},
		{name: "black hole", cut: true, leads: 1, group: 1},
		{name: "black hole with the control group's leader", cut: true, leads: 1, short: true},
		{name: "killed with the bucket's leader", group: 1},
		{name: "black hole with the bucket's leader", cut: true, group: 1},
	} {
		if c.short || timed() {
			t.Run(c.name, func(t *testing.T) { loseWithNATS(t, c.cut, c.leads, c.group) })
		}
	}
}

// loseWithNATS loses a region of a fleet whose sessions are in NATS alone.
func loseWithNATS(t *testing.T, cut bool, leads, group int) {
	s := inRegions(t)
	s.engine = natsInRegions
	w := newWorld(t, s)
	lost := w.members[0]
	w.stored()
	agents := w.connectAll(w.balance(lost, w.members[1], w.members[2]), few(t))
	w.copied(lost)
	w.leadGroup(w.members[group])
	w.lead(leads)
	led, bar := leads == 0, regionBar
	if led {
		bar += elects
	}
	f := w.throughBy(agents, led || !timed(), func() { w.lose(lost, cut) })
	w.survived(agents, f, bar)
	w.find(lost, cut)
	w.writable(w.members...)
	if err := w.recovered("a region was lost"); err != nil {
		t.Fatal(err)
	}
}

// stored waits until every gateway keeps sessions: whoever is the first has NATS form a group of servers for them.
func (w *world) stored() {
	w.t.Helper()
	for _, m := range w.members {
		w.await(formed, m.name+" keeps a session", func() bool {
			r := w.raw(m.url())
			defer r.close()
			return r.begin().good()
		})
	}
}

// few is SESSIONS, by default so many as take little time where times are not judged.
func few(t *testing.T) int {
	if timed() {
		return number(t, "SESSIONS", 100)
	}
	return number(t, "SESSIONS", 12)
}

// TestRegionLostControl is the same where nothing keeps sessions: they are lost.
func TestRegionLostControl(t *testing.T) {
	s := inRegions(t)
	s.config = "replication: {factor: 0}\n"
	w := newWorld(t, s)
	agents := w.connectAll(w.balance(w.members[0], w.members[1], w.members[2]), 12)
	f := w.through(agents, func() { w.lose(w.members[0], false) })
	t.Log(f)
	if len(f.lost) < len(agents)*3/4 { // HAProxy has a few of them elsewhere
		t.Errorf("%d of %d agents lost their sessions where nothing keeps them: this test could not see a loss", len(f.lost), len(agents))
	}
}
