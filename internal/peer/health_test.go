package peer

import (
	"testing"
	"time"
)

func TestHealthBelievesOnlyItsOwnPings(t *testing.T) {
	h := newHealth(10*ms, 100*ms, 0)
	first := h.ping(0)
	for range recent {
		h.ping(ms)
	}
	last := h.ping(2 * ms)
	if h.answered != 0 {
		t.Fatal("answered already")
	}
	for name, b := range map[string]beat{
		"never sent": {seq: last.seq + 1, sent: 2 * ms}, "zero": {}, "wrong time": {seq: last.seq, sent: 3 * ms}, "forgotten": first,
	} {
		if rtt, ok := h.ponged(b, 5*ms); ok {
			t.Errorf("%s: %v", name, rtt)
		}
	}
	if h.deadline() != 100*ms {
		t.Errorf("a false pong moved the deadline to %v", h.deadline())
	}
	if rtt, ok := h.ponged(last, 2*ms); !ok || rtt <= 0 {
		t.Errorf("a pong in no time: %v %v", rtt, ok)
	}
	if _, ok := h.ponged(last, 9*ms); ok {
		t.Error("answered twice")
	}
	if h.deadline() != 102*ms {
		t.Errorf("deadline %v", h.deadline())
	}
	h.excuse(500 * ms)
	if h.deadline() != 600*ms {
		t.Errorf("deadline %v after an excuse", h.deadline())
	}
}

func TestHealthLoss(t *testing.T) {
	for _, tc := range []struct {
		name string
		rtts []time.Duration // of pings 10 ms apart; 0: no pong
		now  time.Duration
		want float64
	}{
		{"no ping", nil, 0, 0},
		{"still on its way", []time.Duration{0}, 10 * ms, 0},
		{"due", []time.Duration{0}, 11 * ms, 1},
		{"one of four", []time.Duration{ms, 0, ms, ms}, time.Second, 0.25},
		{"late is lost", []time.Duration{ms, ms, ms, 13 * ms}, time.Second, 0.25},
		{"just in time", []time.Duration{ms, ms, ms, 12 * ms}, time.Second, 0},
		{"all lost", rtts(2*recent, 0), time.Hour, 1},
		{"forgotten", append(rtts(recent, 0), rtts(recent, ms)...), time.Hour, 0},
	} {
		h := newHealth(10*ms, 100*ms, 0)
		for i, rtt := range tc.rtts {
			at := time.Duration(i) * 10 * ms
			if b := h.ping(at); rtt > 0 {
				h.ponged(b, at+rtt)
			}
		}
		if got := h.loss(tc.now); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestHealthHears(t *testing.T) {
	h := newHealth(10*ms, 100*ms, 0)
	if b := h.ping(0); b.heard != never || h.hearing(0) {
		t.Errorf("%+v: heard of nobody yet", b)
	}
	if pong := h.pinged(beat{seq: 8, sent: 77, heard: never}, 10*ms); pong != (beat{seq: 8, sent: 77}) {
		t.Errorf("pong %+v", pong)
	}
	if b := h.ping(15 * ms); b.heard != 5*ms {
		t.Errorf("%+v", b)
	}
	h.pinged(beat{seq: 9, heard: 3 * ms}, 20*ms)
	if !h.hearing(119*ms) || h.hearing(120*ms) {
		t.Error("hearing does not end with the bound")
	}
}

// What a path held up tells how long it stood, not how long it is: neither the link's own figure nor the
// distance to the region may take it in.
func TestHealthMeasuresNoStall(t *testing.T) {
	const rtt, interval = 80 * ms, 250 * ms
	for name, excused := range map[string]bool{"the path stood": false, "this process stood": true} {
		h := newHealth(interval, 600*ms, rtt)
		now := time.Duration(0)
		for range 20 {
			now += interval
			if got, ok := h.ponged(h.ping(now), now+rtt); !ok || got != rtt {
				t.Fatalf("%s: measured %v %v", name, got, ok)
			}
		}
		var stuck []beat
		for range 7 {
			now += interval
			stuck = append(stuck, h.ping(now))
		}
		now += 100 * ms
		if excused {
			h.excuse(now)
		}
		for _, b := range stuck {
			if got, ok := h.ponged(b, now); !ok || got != 0 {
				t.Errorf("%s: a pong %v late passes for a distance of %v (%v)", name, now-b.sent, got, ok)
			}
		}
		if h.rtt() != rtt || h.answered != now {
			t.Errorf("%s: the link's round trip is %v, its last sign of life %v ago", name, h.rtt(), now-h.answered)
		}
		if got, ok := h.ponged(h.ping(now), now+rtt); !ok || got != rtt {
			t.Errorf("%s: afterwards %v %v", name, got, ok)
		}
	}
	// A region that is really farther away now is measured, if a little later.
	h := newHealth(interval, 600*ms, rtt)
	h.ponged(h.ping(0), rtt)
	const far = 3 * time.Second
	measured := 0
	for now := interval; now < 4*far; now += interval {
		b := h.ping(now)
		if now > far {
			seq := b.seq - uint64(far/interval)
			p := h.sent[seq%recent]
			if got, ok := h.ponged(beat{seq: seq, sent: p.sent}, p.sent+far); ok && got == far {
				measured++
			}
		}
	}
	if measured < 10 || h.rtt() != far {
		t.Errorf("%d pongs measured, round trip %v", measured, h.rtt())
	}
}
