package peer

import (
	"bytes"
	"fmt"
)

// Signal sends a small message to the gateway of that name, on whichever link with it has the freshest pong. It
// never blocks, and keeps nothing of payload. It returns false when the message will not leave: there is no
// link, 64 messages wait on it already, or payload is larger than MaxSignal. True is no promise that it arrives.
// Messages leave as soon as the link takes them, before reports; those on one link arrive in order.
func (p *Peers) Signal(gateway string, payload []byte) bool {
	if len(payload) > MaxSignal {
		return false
	}
	s := p.directory.best(gateway, false)
	return s != nil && s.box.signal(appendFrame(make([]byte, 0, frameHeader+len(payload)), frameSignal, payload))
}

// signaled hands a signal over. The payload is only valid until it returns.
func (s *session) signaled(payload []byte) error {
	if len(payload) > MaxSignal {
		return fmt.Errorf("%w: a signal of %d bytes, at most %d are allowed", ErrFrame, len(payload), MaxSignal)
	}
	if s.p.cfg.Signal != nil {
		s.p.cfg.Signal(s.trust.identity, bytes.Clone(payload))
	}
	return nil
}
