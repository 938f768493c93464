package peer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// maxFrames bounds the frames per second that are read from a link; it is ended beyond. Signals are the most
// of them: three each 50 ms are 60.
const maxFrames = 4000

var (
	// errSilent: no pong came in time.
	errSilent = errors.New("no pong")
	// errEnded: the other side closed the connection without a goodbye.
	errEnded = errors.New("the other side closed the connection")
	// errRenewed: this gateway has new credentials, and shows them on a new connection.
	errRenewed = errors.New("credentials renewed")
)

// session is one connection of a link, from the hellos to its end. Both sides ping, both answer.
type session struct {
	p *Peers
	meeting
	out   *remote // the remote that was dialed; nil when the other side dialed
	began time.Time
	box   *outbox
	inbox *inbox

	mu     sync.Mutex
	health *health
	asked  []question
	err    error         // why it ended
	ending chan struct{} // closed when it was decided to end
	done   chan struct{} // closed when all of it has ended
}

// question waits for a pong to a ping after one.
type question struct {
	after  uint64
	answer chan struct{}
}

func (p *Peers) newSession(m meeting, out *remote) *session {
	seed := time.Duration(0)
	if out != nil {
		seed = out.seed()
	}
	return &session{
		p: p, meeting: m, out: out, began: time.Now(),
		box: newOutbox(), inbox: newInbox(), health: newHealth(p.cfg.Interval, p.cfg.Floor, seed),
		ending: make(chan struct{}), done: make(chan struct{}),
	}
}

// run carries the link, which is in the directory, until it ends, and returns why.
func (s *session) run(ctx context.Context) error {
	defer s.p.directory.leave(s)
	if s.era != s.p.era.Load() { // Regreet may have missed it
		s.end(errRegreet, byeRenewed)
	}
	var parts sync.WaitGroup
	parts.Go(s.write)
	parts.Go(s.read)
	parts.Go(s.deliver)
	s.watch(ctx)
	parts.Wait()
	_ = s.conn.NetConn().Close() // it has ended; a close_notify could block
	close(s.done)
	return s.failure()
}

func (s *session) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *session) now() time.Duration { return time.Since(s.began) }

// end decides why the link ends, once, and says the word to the other side if there is one. Without
// one there is nobody to hear it.
func (s *session) end(err error, word string) {
	s.mu.Lock()
	first := s.err == nil
	if first {
		s.err = err
	}
	s.mu.Unlock()
	if !first {
		return
	}
	if word == "" {
		_ = s.conn.NetConn().Close() // whoever reads or writes shall notice
	} else {
		_ = s.conn.SetDeadline(time.Now().Add(farewell)) // a write that is stuck ends with it
		s.box.goodbye(byeFrame(word, err))
	}
	close(s.ending)
}

func byeFrame(word string, err error) []byte {
	frame, ferr := jsonFrame(frameGoodbye, goodbye{Reason: word, Text: printable(err.Error())})
	if ferr != nil {
		return appendFrame(nil, frameGoodbye, []byte("{}"))
	}
	return frame
}

// watch sends the pings and judges the silence.
func (s *session) watch(ctx context.Context) {
	next := s.now() // when the next ping is due
	due := next     // when this was to look next
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			s.end(ErrClosed, byeClosing)
			return
		case <-s.ending:
			return
		case <-timer.C:
		}
		now := s.now()
		if now >= next {
			s.box.pingNow()
			next = now + s.p.cfg.Interval
		}
		deadline, word, err := s.judge(now, now-due)
		if err != nil {
			s.end(err, word)
			return
		}
		due = min(next, deadline)
		timer.Reset(max(due-now, time.Millisecond))
	}
}

// judge returns when the link would be down, or why it ends now. This process was late by so much to
// ask: what it did not see while it was not running proves nothing.
func (s *session) judge(now, late time.Duration) (deadline time.Duration, word string, err error) {
	if err := s.trust.check(time.Now()); err != nil {
		return 0, byeTrust, err
	}
	if s.out != nil && s.trust.renewed() {
		return 0, byeRenewed, errRenewed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.health
	if now >= h.deadline() && late > h.bound()/2 {
		h.excuse(now)
	}
	if deadline := h.deadline(); now < deadline {
		return deadline, "", nil
	}
	what := "nothing arrives from there"
	if h.hearing(now) {
		what = "pings arrive from there, but ours do not arrive there"
	}
	return 0, byeSilent, fmt.Errorf("%w for %s: %s", errSilent, h.bound().Round(time.Millisecond), what)
}

// write writes what the outbox has. A write that takes longer than a silence may last ends the link.
func (s *session) write() {
	for {
		frame, last := s.box.next(s.ping)
		if frame == nil {
			select {
			case <-s.box.wake:
				continue
			case <-s.ending:
			}
			if s.box.leaving() {
				continue
			}
			return
		}
		if !last {
			_ = s.conn.SetWriteDeadline(time.Now().Add(s.bound())) // fails on a closed connection, as the write will
		}
		if _, err := s.conn.Write(frame); err != nil {
			s.end(fmt.Errorf("write: %w", err), "")
			return
		}
		if last {
			s.halfClose()
			return
		}
	}
}

// halfClose lets the reader go on until the other side has read the goodbye and closed, or the farewell
// is over: closing with unread bytes resets a connection, and a reset overtakes the goodbye.
func (s *session) halfClose() {
	if tcp, ok := s.conn.NetConn().(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // fails when the other side has already closed
	}
}

func (s *session) bound() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health.bound()
}

// ping makes the next ping at the moment it leaves.
func (s *session) ping() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health.ping(s.now()).frame(framePing)
}

// read takes in frames until the connection ends. How long it may wait is watch's business: a side that
// dribbles sends no pongs.
func (s *session) read() {
	r := bufio.NewReaderSize(s.conn, 4<<10)
	var buf []byte
	var second time.Duration
	frames := 0
	for {
		kind, payload, err := readFrame(r, buf, MaxReport)
		if err != nil {
			s.broken(err)
			return
		}
		buf = payload[:0]
		now := s.now()
		if frames++; now-second >= time.Second {
			second, frames = now, 0
		}
		if frames > maxFrames {
			s.broken(fmt.Errorf("%w: more than %d a second", ErrFrame, maxFrames))
			return
		}
		if err := s.take(kind, payload, now); err != nil {
			s.broken(err)
			return
		}
	}
}

// broken ends the link because of what was read, and tells the other side when it can be told.
func (s *session) broken(err error) {
	switch {
	case errors.Is(err, ErrFrame):
		s.end(err, byeProtocol)
	case errors.Is(err, io.EOF):
		s.end(errEnded, "")
	default:
		s.end(err, "")
	}
}

// take handles one frame. The payload is only valid until it returns.
func (s *session) take(kind byte, payload []byte, now time.Duration) error {
	switch kind {
	case framePing, framePong:
		b, err := parseBeat(payload)
		if err != nil {
			return err
		}
		if kind == framePing {
			s.answer(b, now)
		} else {
			s.answered(b, now)
		}
	case frameReport:
		s.inbox.put(append([]byte(nil), payload...))
	case frameSignal:
		return s.signaled(payload)
	case frameGoodbye:
		return parseGoodbye(payload)
	}
	return nil
}

func (s *session) answer(b beat, now time.Duration) {
	s.mu.Lock()
	pong := s.health.pinged(b, now)
	s.mu.Unlock()
	s.box.pong(pong.frame(framePong))
}

func (s *session) answered(b beat, now time.Duration) {
	s.mu.Lock()
	rtt, ok := s.health.ponged(b, now)
	if ok {
		kept := s.asked[:0]
		for _, q := range s.asked {
			if b.seq > q.after {
				close(q.answer)
			} else {
				kept = append(kept, q)
			}
		}
		s.asked = kept
	}
	s.mu.Unlock()
	if rtt > 0 && s.out != nil {
		s.out.measured(rtt)
	}
}

// ask pings at once and returns what is closed when a pong to that ping, or to a later one, arrives.
func (s *session) ask() <-chan struct{} {
	q := question{answer: make(chan struct{})}
	s.mu.Lock()
	q.after = s.health.seq
	s.asked = append(s.asked, q)
	s.mu.Unlock()
	s.box.pingNow()
	return q.answer
}

// deliver hands reports over, and answers those of links that the other side dialed: it may be one that
// this gateway cannot reach by itself.
func (s *session) deliver() {
	for {
		select {
		case <-s.ending:
			return
		case <-s.inbox.wake:
		}
		payload := s.inbox.take()
		if payload == nil {
			continue
		}
		if s.p.cfg.Received != nil {
			s.p.cfg.Received(s.trust.identity, payload)
		}
		if s.out == nil {
			s.offer(s.p.report())
		}
	}
}

// offer sends a report, instead of one that has not left yet.
func (s *session) offer(report []byte) {
	if report != nil {
		s.box.offer(report)
	}
}
