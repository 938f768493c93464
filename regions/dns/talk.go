package dns

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	miekg "github.com/miekg/dns"

	"github.com/quorate/quorate/internal/breaker"
)

// errNotAsked: the resolver's circuit is open.
var errNotAsked = errors.New("not asked: it was silent before")

// talk is one round's questions to one resolver. Streams are kept for the next question; every UDP query has a
// socket, and so a random port, of its own.
type talk struct {
	cfg Config
	r   *resolver

	mu    sync.Mutex
	idle  []net.Conn
	notes []string // what is odd about the resolver, each once
}

// close ends the streams.
func (t *talk) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.idle {
		c.Close()
	}
	t.idle = nil
}

// note remembers what is odd; at most maxNotes of them.
func (t *talk) note(text string) {
	const maxNotes = 3
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.notes) < maxNotes && !slices.Contains(t.notes, text) {
		t.notes = append(t.notes, text)
	}
}

// remark notes the extended errors of a good reply, such as that it is stale.
func (t *talk) remark(reply *miekg.Msg) {
	if reply.Rcode != miekg.RcodeSuccess {
		return // what it says instead has them
	}
	for _, e := range extendedErrors(reply) {
		t.note(says(e))
	}
}

// ask asks up to Config.Tries times, each time with a new id, and returns the first reply.
func (t *talk) ask(ctx context.Context, name string, qtype uint16) (reply *miekg.Msg, err error) {
	for range t.cfg.Tries {
		done, open := t.r.breaker.Allow()
		if open != nil {
			if err == nil {
				err = errNotAsked
			}
			return nil, err
		}
		reply, err = t.try(ctx, newQuestion(name, qtype, t.cfg.DNSSEC != Off))
		switch {
		case err == nil:
			done(breaker.Success)
			t.remark(reply)
			return reply, nil
		case errors.Is(ctx.Err(), context.Canceled): // this gateway stops asking
			done(breaker.Ignored)
			return nil, err
		}
		done(breaker.Failure)
		if ctx.Err() != nil {
			return nil, err
		}
	}
	return nil, err
}

// try asks once. Over UDP anything but the whole and exact reply sends the question over TCP, where a reply cannot be
// forged from aside: there a resolver that does not keep the case is believed, and noted.
func (t *talk) try(ctx context.Context, q question) (*miekg.Msg, error) {
	packet, err := q.pack()
	if err != nil {
		return nil, err
	}
	if t.r.net == "udp" {
		reply, again, err := t.datagram(ctx, q, packet)
		if again == "" {
			return reply, err
		}
		t.note(again)
	}
	raw, err := t.stream(ctx, packet)
	if err != nil {
		return nil, err
	}
	reply, err := q.open(raw)
	if errors.Is(err, errCase) {
		t.note("does not keep the case of names")
		err = nil
	}
	if err == nil && reply.Truncated {
		err = errors.New("its reply is cut short over TCP too")
	}
	return reply, err
}
