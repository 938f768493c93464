package sessions_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/natsproc"
	"github.com/quorate/quorate/internal/testnet"
)

// farAway is the way, in one direction, between the gateways and the servers that keep the bucket.
const farAway = 40 * time.Millisecond

// natsFar has three NATS servers far from the gateways and one near them, which has a mirror if there is to be one. No
// gateway has copies.
func natsFar(mirror bool) func(w *world) string {
	return func(w *world) string {
		w.t.Helper()
		var places []natsproc.Place
		for i := range 4 {
			at := newHost(w.t, w.net, fmt.Sprintf("nats-%d", i+1))
			w.natsHosts = append(w.natsHosts, at.host)
			places = append(places, natsPlace(at, map[bool]string{true: "home", false: "us-east"}[i < 3]))
		}
		for _, h := range w.natsHosts[:3] {
			w.net.Isolate(h, func(c *testnet.Condition) { c.Delay = farAway })
		}
		for i, h := range w.natsHosts[:3] {
			for _, o := range w.natsHosts[:i] {
				w.net.Set(h, o, testnet.Condition{})
			}
		}
		w.nats = natsAt(w.t, places)
		near := ""
		if mirror {
			near = "us-east"
		}
		return "replication: {strategy: jetstream, factor: 0, timeout: 3s, plugin: {settings: " + w.nats.Mirrored("sessions", "home", near) + "}}\n"
	}
}

// last is the number of the last entry that a server has of a stream; 0: it has none.
func (w *world) last(server int, stream string) (last int) {
	var said struct {
		Accounts []struct {
			Streams []struct {
				Name  string
				State struct {
					Last int `json:"last_seq"`
				}
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if !w.monitored(w.nats.Servers[server], "/jsz?streams=true", &said) {
		return 0
	}
	for _, a := range said.Accounts {
		for _, s := range a.Streams {
			if s.Name == stream {
				last = s.State.Last
			}
		}
	}
	return last
}

// Streams of these tests.
const (
	farBucket  = "KV_sessions"
	nearMirror = "KV_sessions_us-east"
)

// mirrored waits until the mirror has all that the bucket has.
func (w *world) mirrored() {
	w.t.Helper()
	w.await(healed, "the mirror has all of it", func() bool {
		n := w.last(0, farBucket)
		return n > 0 && w.last(3, nearMirror) == n
	})
}

// TestMirrorNearby takes sessions over whose contents are in NATS servers 80 ms away. With a mirror nearby the first
// answer comes earlier by the questions that it saves.
func TestMirrorNearby(t *testing.T) {
	beside(t)
	networks(t)
	first := map[bool]float64{}
	for _, mirror := range []bool{false, true} {
		t.Run(fmt.Sprintf("mirror %t", mirror), func(t *testing.T) {
			w := newWorld(t, setup{apart: true, seed: seed(t), engine: natsFar(mirror)})
			owner, other := w.members[0], w.members[1]
			sessions := w.livingAt(owner, number(t, "SESSIONS", 24))
			if mirror {
				w.mirrored()
			}
			w.killFenced(owner, other)
			var took []float64
			for i, r := range sessions {
				a := w.insist(r.at(other).settings)
				if !a.good() || !strings.HasPrefix(a.said, "level=error ") || a.subscribed() != 1 {
					t.Fatalf("session %d: %s", i, a)
				}
				took = append(took, float64(a.took().Milliseconds()))
			}
			hints, _ := other.metric("quorate_session_hints_total")
			first[mirror] = quantile(took, .5)
			t.Logf("N=%d sessions, servers %s away: first answer after p50 %.0f ms, p99 %.0f ms; %.0f hints", len(took), 2*farAway, quantile(took, .5), quantile(took, .99), hints)
			if want := float64(len(took) / 2); mirror && hints < want || !mirror && hints > 0 {
				t.Errorf("%.0f hints", hints)
			}
		})
	}
	saved := first[false] - first[true]
	t.Logf("the mirror saves %.0f ms (bar %d ms, judged %v)", saved, (2 * farAway).Milliseconds(), timed())
	if timed() && saved < float64((2*farAway).Milliseconds()) {
		t.Errorf("the mirror saves %.0f ms, less than one question", saved)
	}
}

// livingAt is living of one gateway.
func (w *world) livingAt(m *member, n int) (all []*raw) {
	w.t.Helper()
	all = make([]*raw, n)
	w.all(n, "opened", func(i int) *answer {
		all[i] = w.raw(m.url())
		for _, step := range []func() *answer{all[i].begin, func() *answer { return all[i].setLevel("error") }} {
			if a := w.insist(step); !a.good() {
				return a
			}
		}
		return w.insist(func() *answer { return all[i].subscribe(w.t.Context(), i) })
	})
	w.copied(m)
	return all
}

// TestStaleMirror cuts a mirror off from the bucket, which then changes: whoever takes sessions over by its hints has what
// the bucket has, and what is deleted there is gone.
func TestStaleMirror(t *testing.T) {
	beside(t)
	networks(t)
	w := newWorld(t, setup{apart: true, seed: seed(t), engine: natsFar(true)})
	owner, other := w.members[0], w.members[1]
	sessions := w.livingAt(owner, 18)
	w.mirrored()
	for _, h := range w.natsHosts[:3] {
		w.net.Change(h, w.natsHosts[3], func(c *testnet.Condition) { c.Cut = true })
	}
	before := w.last(3, nearMirror)
	third := len(sessions) / 3
	changed, deleted, same := sessions[:third], sessions[third:2*third], sessions[2*third:]
	w.all(third, "changed", func(i int) *answer { return w.insist(func() *answer { return changed[i].setLevel("debug") }) })
	w.all(third, "deleted", func(i int) *answer { return w.insist(deleted[i].end) })
	w.copied(owner)
	if now, is := w.last(0, farBucket), w.last(3, nearMirror); is != before || now <= is {
		t.Fatalf("control: the mirror has %d, had %d, and the bucket has %d: it is not old", is, before, now)
	}
	w.killFenced(owner, other)
	w.forgetful()
	w.all(third, "as it was changed", func(i int) *answer {
		a := w.insist(changed[i].at(other).settings)
		if a.good() && !strings.HasPrefix(a.said, "level=debug ") {
			a.code, a.text = -1, a.said
		}
		return a
	})
	w.all(third, "as it was", func(i int) *answer {
		a := w.insist(same[i].at(other).settings)
		if a.good() && !strings.HasPrefix(a.said, "level=error ") {
			a.code, a.text = -1, a.said
		}
		return a
	})
	for i, r := range deleted {
		if a := w.insist(r.at(other).settings); !a.gone() {
			t.Errorf("session %d, which is deleted: %s", i, a)
		}
	}
	hints, _ := other.metric("quorate_session_hints_total")
	t.Logf("N=%d sessions changed, %d deleted, %d as they were, behind a mirror that is cut off; %.0f hints", len(changed), len(deleted), len(same), hints)
	if hints == 0 {
		t.Error("the mirror was not asked: this test shows nothing")
	}
}
