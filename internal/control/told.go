package control

import (
	"context"
	"fmt"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/events"
)

// tellEnded tells of lives that ended. It is a goroutine of its own: whoever is told may ask this node.
func (n *Node) tellEnded(ctx context.Context) {
	for {
		select {
		case <-n.fsm.ends:
		case <-ctx.Done():
			return
		}
		for _, l := range n.fsm.takeEnded() {
			n.cfg.Ended(l)
		}
	}
}

func (f *fsm) takeEnded() []authority.Life {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.over
	f.over = nil
	return all
}

// happened logs what the log says. It is called by the applying goroutine.
func (n *Node) happened(e authority.Event) {
	switch e.Kind {
	case authority.Claimed, authority.ClaimRefused, authority.Forgotten:
		return // there may be many of them at once
	case authority.Fenced:
		n.fences.Add(1)
	}
	text := ""
	if e.Version != 0 {
		text = fmt.Sprintf("version %d", e.Version)
	}
	if e.Life.Gateway != "" {
		text = e.Life.String()
	}
	n.log.Info("control group: "+e.Kind.String(), "index", uint64(e.Index), "what", text)
	n.cfg.Event(kindOf(e.Kind), e.Life.Gateway, text)
}

// kindOf is an event of the log as operators read it.
func kindOf(k authority.EventKind) string {
	return map[authority.EventKind]string{
		authority.Bootstrapped: events.Bootstrapped, authority.Joined: events.Joined, authority.Left: events.Left,
		authority.Suspected: events.Suspected, authority.Cleared: events.Cleared, authority.Fenced: events.Fenced,
		authority.Removed: events.Removed, authority.ChangeBegan: events.RuleChanging, authority.ChangeFinished: events.RuleChanged,
		authority.ChangeRestored: events.RuleRestored, authority.Forced: events.Forced,
	}[k]
}
