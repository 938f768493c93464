package control

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

// Whoever floods a voter with lives that nobody knows, or speaks for others, keeps it from hearing nobody.
func TestHostileSignals(t *testing.T) {
	n := solo(t, nil)
	must(t, n.driver.do(t.Context(), func(d *driver) {
		own := d.gate.Life()
		d.heard[own] = d.lease.Now() - time.Hour
		for i := range 1000 {
			d.take(arrival{"x", signal{Cluster: d.label(), Beat: &authority.Heartbeat{Life: authority.Life{Gateway: "x", Incarnation: authority.Index(i)}, Seq: 1}}})
		}
		d.take(arrival{"x", signal{Cluster: d.label(), Beat: &authority.Heartbeat{Life: own, Seq: 1}}})
		if ago := d.lease.Now() - d.heard[own]; ago < time.Hour || len(d.heard) != 1 {
			t.Errorf("x speaks for %s, heard %s ago, and %d lives are kept", own, ago, len(d.heard))
		}
		d.take(arrival{"a", signal{Cluster: "another", Beat: &authority.Heartbeat{Life: own, Seq: 1}}})
		if ago := d.lease.Now() - d.heard[own]; ago < time.Hour {
			t.Error("it hears another cluster")
		}
		d.take(arrival{"a", signal{Cluster: d.label(), Beat: &authority.Heartbeat{Life: own, Seq: 1}}})
		if ago := d.lease.Now() - d.heard[own]; ago > time.Minute {
			t.Errorf("%s was heard %s ago", own, ago)
		}
		before := d.gate.Deadline()
		d.take(arrival{"x", signal{Cluster: d.label(), Ack: &authority.Ack{Voter: d.me, Life: own, Seq: 1 << 40, Version: d.gate.Version(), Promise: time.Hour}}})
		if d.gate.Deadline() != before {
			t.Error("x acks for a voter")
		}
	}))
}
