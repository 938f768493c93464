package control

import (
	"context"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

// suspectFormer suspects the leader before this one on the way of its term's first entries, and not once the other voters
// have told what they hear: those that have voted here have not heard it for an election's time-out, which is longer
// than a silence. Where leadership was handed over they have, and so has this gateway. What fails is left to the duties.
func (n *Node) suspectFormer(ctx context.Context, former string) {
	if p := n.fsm.read(); former == "" || n.cfg.Alone || p.stuck != nil || p.cluster == "" {
		return
	}
	var silent []authority.Life
	if err := n.driver.do(ctx, func(d *driver) { silent = d.unheardOf(former) }); err != nil {
		return
	}
	for _, l := range silent {
		err := n.give(ctx, authority.Suspect{Life: l})
		n.log.Info("control group: the leader before this one is suspected at once", "life", l.String(), "cause", err)
	}
}

// predecessor is the leader before the one that is known; "": there was none.
func (n *Node) predecessor() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.former
}

// unheardOf are the lives of a gateway that are silent here, or gone, if voters that satisfy the rule are not: who is cut off
// suspects nobody.
func (d *driver) unheardOf(gateway string) (silent []authority.Life) {
	now, bound := d.lease.Now(), silence(d.view.Ruling.Now.Promise)
	fresh := func(at time.Duration) bool { return now-at <= bound }
	hearing := slices.DeleteFunc(d.view.Ruling.Voters(), func(v authority.VoterID) bool {
		at, ok := d.answered[v.Name]
		return v != d.me && (!ok || !fresh(at))
	})
	if !d.view.Ruling.SatisfiedBy(hearing) {
		return nil
	}
	for _, s := range d.view.Lives {
		at, ok := d.heard[s.Life]
		if !ok || s.Gateway != gateway || s.Fenced != 0 || s.Suspect != 0 {
			continue
		}
		if !fresh(at) || d.vanished(gateway, now-at) {
			silent = append(silent, s.Life)
		}
	}
	return silent
}
