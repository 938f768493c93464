package control

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/peer"
)

// Heartbeats are held back from a voter of which nothing comes over links that are up: neither acks nor pongs.
func TestDeaf(t *testing.T) {
	const soon = 250 * time.Millisecond
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	for _, c := range []struct {
		name   string
		links  []peer.Link
		silent time.Duration
		want   bool
	}{
		{"neither acks nor pongs", []peer.Link{{Gateway: "v", Up: true, Heard: ago(time.Second)}}, time.Second, true},
		{"on two links", []peer.Link{{Gateway: "v", Up: true, Heard: ago(time.Second)}, {Gateway: "v", In: true, Up: true, Heard: ago(time.Second)}}, time.Second, true},
		{"pongs on one of two links", []peer.Link{{Gateway: "v", Up: true, Heard: ago(time.Second)}, {Gateway: "v", In: true, Up: true, Heard: ago(0)}}, time.Second, false},
		{"no acks, but pongs: of another rule", []peer.Link{{Gateway: "v", Up: true, Heard: ago(0)}}, time.Hour, false},
		{"acks, but no pongs", []peer.Link{{Gateway: "v", Up: true, Heard: ago(time.Second)}}, soon, false},
		{"far away", []peer.Link{{Gateway: "v", Up: true, Heard: ago(time.Second), RTT: 800 * time.Millisecond}}, time.Second, false},
		{"down: nothing leaves anyway", []peer.Link{{Gateway: "v"}}, time.Hour, false},
		{"another one", []peer.Link{{Gateway: "w", Up: true, Heard: ago(time.Second)}}, time.Second, false},
	} {
		if got := deaf(c.links, "v", c.silent, soon); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

// A gateway remembers of voters alone that they answered.
func TestAnswersOfStrangers(t *testing.T) {
	n := solo(t, nil)
	must(t, n.driver.do(t.Context(), func(d *driver) {
		before := len(d.answered)
		d.take(arrival{"x", signal{Cluster: d.label(), Ack: &authority.Ack{Voter: authority.VoterID{Name: "x"}, Life: d.gate.Life(), Seq: 1}}})
		if len(d.answered) != before {
			t.Errorf("remembered: %v", d.answered)
		}
	}))
}
