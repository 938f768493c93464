package authority_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/admin"
)

// TestForced destroys two of three voters, forces the third by an operator's word, and has the two others return with
// their old disks, and then as new members.
func TestForced(t *testing.T) {
	t.Parallel()
	f, a, b, w := three(t, "")
	l := f.begin(2, 1, a, b)
	f.await(formed, "writes are under way", func() bool { return l.good(0) > 50 })
	before := a.cluster()
	b.kill()
	w.kill()
	f.await(healed, "the gate is closed and nobody leads", func() bool { return a.status("/writez") == 503 && a.cluster().Leader == "" })
	closed := f.judge(nil).effects
	if x := a.write(""); !x.refused() {
		t.Errorf("a write with one voter of three: %s", x)
	}
	code, said := a.operator("force-leader", "us")
	if code != 3 || !strings.Contains(said, "--i-attest-the-other-side-is-off") {
		t.Errorf("force-leader without attestation: %d %s", code, said)
	}
	if now := f.judge(nil).effects; now != closed || a.status("/writez") != 503 {
		t.Errorf("control: not forced, and %d effects", now-closed)
	}
	began := monotonic()
	if code, said = a.operator("force-leader", "us", "--i-attest-the-other-side-is-off"); code != 0 {
		t.Fatalf("force-leader with attestation: %d %s", code, said)
	}
	f.writable(a)
	t.Logf("%s from the order to a write", (monotonic() - began).Round(time.Millisecond))
	f.strangers(a, b, w)

	for _, m := range []*member{b, w} {
		if code, said := m.quorate("rejoin", "--config", m.file()); code == 0 {
			t.Errorf("rejoin of %s while it runs: %s", m.name, said)
		}
		m.kill()
		if code, said := m.quorate("rejoin", "--config", m.file()); code != 0 {
			t.Fatalf("rejoin of %s: %d %s", m.name, code, said)
		}
	}
	f.start(b, w)
	f.await(healed, "the old voters have their votes again", func() bool {
		return a.seen("gw-2").Role == admin.RoleVoter && a.seen("gw-3").Role == admin.RoleWitness && a.seen("gw-2").Up
	})
	f.writable(a, b)
	l.end()
	after := a.cluster()
	if after.Rule.Words != before.Rule.Words || after.ID != before.ID {
		t.Errorf("the rule was %q and is %q", before.Rule.Words, after.Rule.Words)
	}
	if code, said := a.operator("verify"); code != 0 {
		t.Errorf("verify: %d %s", code, said)
	}
	j := f.hold(l.writes)
	t.Logf("N=%d writes, %d effects, none twice or lost", len(l.writes), j.effects)
}

// strangers starts the voters of before the forcing with their old disks: they write nothing, count for nobody, and
// say what to run.
func (f *fleet) strangers(a, b, w *member) {
	f.t.Helper()
	place := b.log.size()
	f.start(b, w)
	line := b.says(place, "quorate rejoin")
	f.await(healed, "status says what to run", func() bool {
		_, said := b.operator("status")
		return strings.Contains(said, "quorate rejoin")
	})
	// Long enough for two of the three old voters to elect a leader, to fence who is missing and to open a gate.
	for end := monotonic() + 5*time.Second; monotonic() < end; {
		if x := b.write(""); x.good() {
			f.t.Fatalf("a gateway of the old generation writes: %s", x)
		}
		if x := a.write(""); !x.good() {
			f.t.Errorf("a write while old voters are about: %s", x)
		}
	}
	if s := a.cluster(); s.NodesUp != 1 || s.Rule.Words != "gw-1" {
		f.t.Errorf("the forced gateway sees %+v", s)
	}
	f.t.Logf("an old voter logs: %.300s", line)
}

// TestReturn has a voter return without its disk while another is stopped: it counts for nothing until it is a member
// that has caught up and was given a vote. With its disk it counts at once.
func TestReturn(t *testing.T) {
	for _, empty := range []bool{true, false} {
		t.Run(map[bool]string{true: "empty", false: "control, with its disk"}[empty], func(t *testing.T) {
			t.Parallel()
			returns(t, empty)
		})
	}
}

func returns(t *testing.T, empty bool) {
	f, a, b, w := three(t, "")
	l := f.begin(2, 1, a)
	f.await(formed, "writes are under way", func() bool { return l.good(0) > 50 })
	b.kill()
	w.kill()
	f.await(healed, "the gate is closed", func() bool { return a.status("/writez") == 503 })
	if empty {
		b.lose()
	}
	closed := f.judge(nil).effects
	f.start(b)
	if !empty {
		f.writable(a, b)
		t.Logf("control: with its disk it counts, %d effects more", f.judge(nil).effects-closed)
		return
	}
	f.pass(5 * time.Second) // as long as it takes, with its disk, several times over
	if now := f.judge(nil).effects; now != closed || a.status("/writez") != 503 || b.status("/writez") != 503 {
		t.Errorf("%d effects with a voter that has lost its disk", now-closed)
	}
	f.start(w)
	f.writable(a, b)
	f.await(healed, "it has a vote again", func() bool {
		m := w.seen("gw-2")
		return m.Role == admin.RoleVoter && m.Up && w.cluster().NodesUp == 3
	})
	l.end()
	log := a.log.since(0) + w.log.since(0) // one of them led
	place, vote := strings.LastIndex(log, "a gateway has its place"), strings.LastIndex(log, "a gateway has a vote")
	if place < 0 || vote < place {
		t.Errorf("it was given a vote before it was a member: %d, %d", place, vote)
	}
	j := f.hold(l.writes)
	t.Logf("N=%d writes, %d effects; none while two of three voters had no memory", len(l.writes), j.effects)
}
