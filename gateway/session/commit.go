package session

import (
	"errors"

	"github.com/quorate/quorate/gateway/mcp"
)

// commits reports whether this session is kept before its agent is answered.
func (s *session) commits() bool { return s.kept() && s.m.cfg.Keeper.Commits(s.m.cfg.Service) }

// commit has a change kept before the node makes it, where contents are kept before agents are answered. Else a gateway
// that is cut off meanwhile would leave at the node what nobody knows of: whoever takes the session over would show it,
// and lose it at the next move. What may be kept stays noted; the node is told when the session moves.
func (c *call) commit() error {
	if !c.sets || !c.s.commits() {
		return nil
	}
	before := c.s.where()
	err := c.s.keep(c.how)
	var own *mcp.Error
	switch {
	case err == nil:
		c.committed = true
		return c.overtaken()
	case errors.As(err, &own) && own.Code == mcp.CodeNoAuthority:
		c.s.keepAside()
		return mcp.OutcomeUnknown(own.Reason)
	}
	c.takeBack()
	if now := c.s.where(); now != before { // moved meanwhile: its node may have been told
		c.s.lose(now, notKept)
	}
	return err
}

// overtaken says why a node must not be told of a change that is kept, nil if it may: this process may have been stopped
// while it waited, and the session have gone on elsewhere, with other changes since.
func (c *call) overtaken() error {
	switch e := c.s.endless(); {
	case !c.s.owned():
		return mcp.OutcomeUnknown("session_moved")
	case c.how == Change && e != nil && e.Code == mcp.CodeNoAuthority:
		return mcp.OutcomeUnknown(e.Reason)
	}
	return nil
}

// takeBack takes back what a request has set that came to nothing. It reports whether nobody will hear of it any more.
func (c *call) takeBack() bool {
	if c.undo == nil {
		return c.first != nil || !c.committed // it had set nothing new; of a batch that is not known
	}
	c.undo()
	if !c.committed {
		if c.s.commits() { // it may wait to be kept, or be part of what another call has had kept
			c.s.keepAside()
		}
		return true
	}
	if err := c.s.keep(c.how); err != nil {
		c.s.keepAside()
		return false
	}
	return true
}

// unmade is what the agent is told of a call that failed. What it has set is taken back, unless it was kept and may have
// been made as well. Of what is kept for all that nobody knows.
func (c *call) unmade(err error) error {
	var own *mcp.Error
	switch {
	case c.committed && errors.As(err, &own) && own.Code == mcp.CodeOutcomeUnknown:
		return err
	case c.committed && errors.Is(err, ErrTaken):
		return mcp.OutcomeUnknown("session_moved")
	case c.committed && errors.Is(err, errShutdown):
		return mcp.OutcomeUnknown("shutdown")
	case c.s.over() != nil: // with all that it was
		return err
	case c.takeBack() || !c.committed:
		return err
	}
	return mcp.OutcomeUnknown("session_store")
}

const notKept = "a change of the session cannot be kept"

// confirm has a change kept that the node has made, before the agent hears of it, unless it was before. One of which nobody
// knows whether it is kept stays, since it may have been seen: it is kept later, unless another gateway takes the session
// over before. One that cannot be kept is taken back, and the session leaves what it is at the node.
func (c *call) confirm(p *pin) error {
	if !c.sets {
		return nil
	}
	if c.committed {
		c.s.keepAside() // where it is by now
		if !c.s.owned() {
			return mcp.OutcomeUnknown("session_moved")
		}
		return nil
	}
	err := c.s.keep(c.how)
	var own *mcp.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrTaken):
		return mcp.OutcomeUnknown("session_moved")
	case errors.As(err, &own) && own.Code == mcp.CodeNoAuthority:
		c.s.keepAside()
		return mcp.OutcomeUnknown(own.Reason)
	}
	if c.undo != nil {
		c.undo()
		c.s.keepAside()
	}
	c.s.lose(p, notKept)
	return err
}
