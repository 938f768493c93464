package authority_test

import (
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/admin"
)

// TestFleetForms forms a fleet of three, writes through each gateway, has a member join later, and compares what every
// gateway has.
func TestFleetForms(t *testing.T) {
	f, a, b, w := three(t, "")
	c := f.add("gw-4", "eu", "member")
	f.start(c)
	f.writable(c)
	var acked []*answer
	for _, m := range []*member{a, b, c} {
		for range 20 {
			x := m.write("")
			if !x.good() || x.marked() {
				t.Errorf("a write through %s: %s", m.name, x)
			}
			acked = append(acked, x)
		}
		for _, path := range []string{"/health", "/readyz", "/livez", "/writez"} {
			if code := m.status(path); code != http.StatusOK {
				t.Errorf("%s of %s: %d", path, m.name, code)
			}
		}
		// What the member that has just come should hold is compared first.
		f.await(healed, "copies are complete at "+m.name, func() bool { return m.status("/ready") == http.StatusOK })
	}
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/ready": 200, "/writez": 503, "/health": 503} {
		if code := w.status(path); code != want {
			t.Errorf("%s of the witness: %d, want %d", path, code, want)
		}
	}
	f.await(healed, "everybody has a link with everybody", func() bool {
		return !slices.ContainsFunc(f.members, func(m *member) bool { return m.cluster().NodesUp != 4 })
	})
	roles := map[string]string{"gw-1": admin.RoleVoter, "gw-2": admin.RoleVoter, "gw-3": admin.RoleWitness, "gw-4": admin.RoleMember}
	for _, m := range []*member{a, b, w, c} {
		s := m.cluster()
		if s.ID == "" || s.ID != a.cluster().ID || s.NodesUp != 4 || s.Rule.Words == "" || strings.Contains(s.Rule.Words, "gw-4") {
			t.Errorf("%s sees %+v", m.name, s)
		}
		for _, g := range s.Gateways {
			if g.Role != roles[g.Gateway] {
				t.Errorf("%s sees %s as %s", m.name, g.Gateway, g.Role)
			}
		}
		if kinds := m.events(); !slices.Contains(kinds, "bootstrapped") && m != c {
			t.Errorf("events of %s: %v", m.name, kinds)
		}
	}
	if code, said := b.operator("verify"); code != 0 {
		t.Errorf("verify: %d %s", code, said)
	}
	j := f.hold(acked)
	t.Logf("N=%d writes through 3 gateways, %d effects in the journals, none twice", len(acked), j.effects)
}

// TestMinority stops two of three voters: writes are refused in band, reads go on with a mark, sessions begin; other
// modes do other things. When the two go on, so do writes.
func TestMinority(t *testing.T) {
	for _, mode := range []string{"read_only", "standalone", "reject"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			f, a, b, w := three(t, "split_brain: {minority: "+mode+"}\n")
			if r := a.read(); !r.good() || r.marked() {
				t.Fatalf("control, with a quorum: a read is %s, marked %v", r, r.marked())
			}
			w.signal(syscall.SIGSTOP)
			f.pass(2 * time.Second)
			if x := a.write(""); !x.good() {
				t.Errorf("control, with two voters of three: a write is %s", x)
			}
			b.signal(syscall.SIGSTOP)
			f.await(healed, "the gate is closed", func() bool { return a.status("/writez") == http.StatusServiceUnavailable })
			began := f.judge(nil).effects
			const n = 30
			for range n {
				if x := a.write(""); !x.refused() || x.status != http.StatusOK {
					t.Fatalf("a write: %s", x)
				}
			}
			serves := mode != "reject"
			for range n {
				if x := a.read(); x.good() != serves || x.marked() != serves || x.refused() == serves {
					t.Fatalf("a read: %s, marked %v", x, x.marked())
				}
				if x := a.initialize(); x.good() != serves || x.refused() == serves {
					t.Fatalf("initialize: %s", x)
				}
			}
			for path, want := range map[string]int{"/livez": 200, "/health": 503, "/writez": 503} {
				if code := a.status(path); code != want {
					t.Errorf("%s: %d, want %d", path, code, want)
				}
			}
			if s := a.cluster(); s.Grade != admin.Critical || s.Gate.Open || s.Gate.Reason == "" || s.Minority != mode {
				t.Errorf("cluster: %+v", s)
			}
			if kinds := a.events(); !slices.Contains(kinds, "gate_closed") {
				t.Errorf("events: %v", kinds)
			}
			if now := f.judge(nil).effects; now != began {
				t.Errorf("%d effects while the gate was closed", now-began)
			}
			b.signal(syscall.SIGCONT)
			w.signal(syscall.SIGCONT)
			f.writable(a, b)
			f.hold(nil)
			t.Logf("N=%d writes refused, %d reads and %d initialize %s; %d effects before", n, n, n, map[bool]string{true: "served", false: "refused"}[serves], began)
		})
	}
}
