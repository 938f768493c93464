package control

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/peer"
)

// deafTo reports whether nothing comes from a voter any more over links that are up. A heartbeat asks for an answer: from
// who cannot hear it, it only has the voter promise anew, and the others wait for that promise. What a link carries one
// way it may carry for a second after the other way is cut, so such a gateway holds its heartbeats back until it hears
// the voter again.
func (d *driver) deafTo(voter string) bool {
	silent := d.lease.Now() - d.answered[voter]
	return silent > d.soon() && deaf(d.links.Links(), voter, silent, d.soon())
}

// deaf reports whether a voter that is linked has been silent for longer than its answers take. A voter that acks nothing,
// as one of another rule does, answers the pings of its links.
func deaf(links []peer.Link, voter string, silent, soon time.Duration) bool {
	up := false
	for i := range links {
		l := &links[i]
		if l.Gateway != voter || !l.Up {
			continue
		}
		if up = true; silent <= soon+l.RTT || time.Since(l.Heard) <= soon+l.RTT {
			return false
		}
	}
	return up
}

// answers notes that a voter acks. Others are not remembered.
func (d *driver) answers(name string) {
	if slices.ContainsFunc(d.view.Ruling.Voters(), func(v authority.VoterID) bool { return v.Name == name }) {
		d.answered[name] = d.lease.Now()
	}
}
