package control

import (
	"context"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

const (
	// forgetEvery is how often the leader looks for claims of records whose lifetime is over.
	forgetEvery = time.Minute
	// maxForgotten bounds the claims that one entry forgets, so that it fits with names of any length.
	maxForgotten = 256
	// forgetEntries bounds the entries of one look; the rest is left to the next one.
	forgetEntries = 64
)

// forgetting has the log forget, while this gateway leads, claims that nobody will ask for again.
func (n *Node) forgetting(ctx context.Context) {
	if n.cfg.Expired == nil {
		return
	}
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if now, sure := n.Clock(); sure && n.leading() {
			if err := n.forget(ctx, now); err != nil {
				n.log.Debug("control group: claims that are over are kept for another while", "cause", err.Error())
			}
		}
	}
}

// forget looks once. A record that is claimed again on the way keeps that claim: the log compares the ballots.
func (n *Node) forget(ctx context.Context, now time.Time) error {
	entries := 0
	over := map[string]authority.Index{}
	commit := func() error {
		entries++
		c := authority.Forget{Ballots: over}
		over = map[string]authority.Index{}
		return n.give(ctx, c)
	}
	for _, c := range n.fsm.claimed() {
		if entries == forgetEntries {
			return nil
		}
		if !n.cfg.Expired(c.record, now) {
			continue
		}
		if over[c.record] = c.ballot; len(over) == maxForgotten {
			if err := commit(); err != nil {
				return err
			}
		}
	}
	if len(over) == 0 {
		return nil
	}
	return commit()
}

// kept is a claim by its record.
type kept struct {
	record string
	ballot authority.Index
}

// claimed returns every claim. It copies them, so that nothing is looked up while entries wait to be applied.
func (f *fsm) claimed() []kept {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]kept, 0, f.machine.Claims())
	f.machine.EachClaim(func(record string, c authority.Claim) bool {
		all = append(all, kept{record, c.Ballot})
		return true
	})
	return all
}
