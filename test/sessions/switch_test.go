package sessions_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/gatewayproc"
	"github.com/quorate/quorate/internal/planted"
)

// rooted is a quorate that leaves sessions where they were when another strategy is chosen. The strategy's program is
// beside it.
func rooted(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path, err := gatewayproc.Build(t.Context(), dir, gatewayproc.Package, "-tags", "quorate_planted")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(filepath.Dir(binary), "quorate-jetstream"), filepath.Join(dir, "quorate-jetstream")); err != nil {
		t.Fatal(err)
	}
	return path
}

// alive counts the sessions that go on at a gateway with what they had set, as living has set it.
func (w *world) alive(sessions []*raw, m *member) int {
	w.t.Helper()
	errs := w.each(len(sessions), func(i int) error {
		r := sessions[i].at(m)
		defer r.close()
		if a := w.insist(r.settings); !a.good() || !strings.HasPrefix(a.said, "level=error ") || a.subscribed() != 1 {
			return fmt.Errorf("session %d: %s", i, a)
		}
		return nil
	})
	for _, err := range errs[:min(len(errs), 3)] {
		w.t.Log(err)
	}
	return len(sessions) - len(errs)
}

// opened are the sessions of living that a gateway has opened.
func (w *world) opened(all []*raw, at int) (own []*raw) {
	for i := at; i < len(all); i += len(w.gateways()) {
		own = append(own, all[i])
	}
	return own
}

// killFenced kills a gateway and waits until another has seen its life end.
func (w *world) killFenced(m, other *member) {
	w.t.Helper()
	before, _ := other.metric("quorate_fences_total")
	m.kill()
	w.await(healed, m.name+"'s life has ended", func() bool {
		now, _ := other.metric("quorate_fences_total")
		return now > before && other.status("/writez") == 200
	})
}

// TestSwitchedWithoutCopies has sessions that no other gateway has a copy of go from async to jetstream, and kills a
// gateway; then it kills another one and switches back, before anybody has asked for its sessions. What hands sessions over
// at a switch is what keeps them: without it they are lost, each time.
func TestSwitchedWithoutCopies(t *testing.T) {
	for _, off := range []bool{false, true} {
		t.Run(map[bool]string{false: "handed over", true: "control: left where they were"}[off], func(t *testing.T) {
			c, s := nats(t), setup{}
			if off {
				s.binary, s.env = rooted(t), []string{"PLANTED_BUGS=" + planted.Rooted}
			}
			newWorld(t, s).switched(c.Settings("switched"), off)
		})
	}
}

func (w *world) switched(settings string, off bool) {
	t := w.t
	var told map[string]any
	if err := json.Unmarshal([]byte(settings), &told); err != nil {
		t.Fatal(err)
	}
	async := map[string]any{"strategy": "async", "factor": 0}
	a, b, c := w.members[0], w.members[1], w.members[2]
	w.strategy(async)
	w.pass(time.Second) // until every gateway has heard of it: then nothing is copied any more
	sessions := w.living(number(t, "SESSIONS", 24))
	w.strategy(map[string]any{"strategy": "jetstream", "factor": 0, "timeout": "3s", "plugin": map[string]any{"settings": told}})
	for i, m := range w.members {
		w.await(healed, m.name+" keeps sessions in the store", func() bool {
			return m.status("/ready") == 200 && m.look(sessions[i].session).Strategy == "store"
		})
	}
	for _, r := range sessions {
		if !off {
			w.await(healed, "the store has a session", func() bool { return a.look(r.session).Revision > 0 })
		}
	}
	w.killFenced(a, c)
	w.outcome("async to jetstream", w.alive(w.opened(sessions, 0), c), len(sessions)/3, off)
	w.start(a)
	w.writable(w.members...)
	own := w.opened(sessions, 1) // what changes now is in the store, whether the rest was handed over or not
	for _, level := range []string{"debug", "error"} {
		w.all(len(own), "changed", func(i int) *answer { return own[i].setLevel(level) })
	}
	w.copied(b)

	claims := func() (sum float64) {
		for _, m := range []*member{a, c} {
			n, _ := m.metric("quorate_session_claims_total")
			sum += n
		}
		return sum
	}
	before := claims()
	w.killFenced(b, a)
	w.strategy(async)
	w.await(healed, "sessions are kept by gateways again", func() bool {
		return c.status("/ready") == 200 && c.look(sessions[2].session).Strategy == "async"
	})
	if off {
		w.pass(5 * time.Second) // as long as it takes otherwise
	} else {
		w.await(healed, "what only the store has is claimed", func() bool { return claims() >= before+float64(len(sessions)/3) })
	}
	w.outcome("jetstream to async", w.alive(own, a), len(own), off)
}

// outcome judges how many sessions went on after a switch.
func (w *world) outcome(what string, alive, of int, off bool) {
	w.t.Helper()
	w.t.Logf("%s: N=%d sessions of a gateway that was killed, %d lost", what, of, of-alive)
	if !off && alive != of {
		w.t.Errorf("%s: %d of %d sessions are lost", what, of-alive, of)
	}
	if off && alive > 0 {
		w.t.Errorf("%s: %d of %d sessions go on although nothing was handed over: this test could not see a loss", what, alive, of)
	}
}
