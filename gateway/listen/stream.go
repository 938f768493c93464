package listen

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
)

// frameSize is about what a resource's notification takes beside its uri, in bytes.
const frameSize = 512

// maxURIs bounds the resources of one stream: after a gap its agent is told of each of them, in many times the bytes that
// it took to ask.
const maxURIs = 8192

// Request is an agent's subscriptions/listen request, validated.
type Request struct {
	Query  string      // raw query, without the question mark
	Header http.Header // of the agent's request; read, not changed
	Body   []byte      // the JSON-RPC message; not kept after Serve
	ID     []byte      // its id as written in JSON
}

// answer is a whole answer of a node, or the first event of a stream.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// stream is one agent's stream.
type stream struct {
	hub     *Hub
	id      []byte
	request upstream.Request
	ctx     context.Context
	rc      *http.ResponseController

	changed chan struct{} // the pool may have changed
	closing chan struct{} // the hub closes
	wake    chan struct{} // something below has changed
	cut     func()        // ends everything at once
	feeds   map[Node]*feed
	wg      sync.WaitGroup

	mu     sync.Mutex
	queue  queue
	opened bool      // the agent has its acknowledgement: from here on a gap is one
	agreed agreement // what the nodes together acknowledged; nil before the first
	merged bool      // agreed is more than the first acknowledgement said
	ack    answer    // the first acknowledgement
	answer *answer   // the first answer that was none
}

// Serve listens to every node of the pool for one agent and returns when the stream has ended: the
// agent is gone, the hub closes, or no node has anything to tell.
//
// The agent gets one acknowledgement, then the notifications of all nodes, each a whole event. A node
// that breaks off is listened to again, also nodes that join; as the agent may have missed something
// meanwhile, it is then told that everything it listens for on that node has changed. If no node
// acknowledges, the agent gets the first answer that there was, or -32072 (503) if there was none.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, req Request) {
	ctx, cancel := context.WithCancel(r.Context())
	s := &stream{
		hub: h, id: slices.Clone(req.ID),
		request: upstream.Request{Method: http.MethodPost, Query: req.Query, Header: req.Header, Body: req.Body, Standing: true},
		ctx:     ctx, rc: http.NewResponseController(w),
		changed: make(chan struct{}, 1), closing: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		feeds: make(map[Node]*feed),
	}
	uris := len(agreementIn(req.Body).list(resourceURIs))
	if uris > maxURIs {
		cancel()
		mcp.WriteAnswer(w, mcp.MethodListen, tooManyURIs(), s.id)
		return
	}
	s.queue.maxItems = h.cfg.MaxQueue + uris
	s.queue.maxBytes = 4*h.cfg.MaxEvent + len(req.Body) + uris*frameSize
	s.cut = func() {
		cancel()
		_ = s.rc.SetWriteDeadline(time.Unix(1, 0)) // frees a write that the agent does not read
	}
	defer cancel()
	if e := h.add(s); e != nil {
		mcp.WriteAnswer(w, mcp.MethodListen, e, s.id)
		return
	}
	defer func() {
		cancel()
		s.wg.Wait()
		h.remove(s)
	}()
	s.follow()
	if s.open(w) {
		s.pump(w)
	}
}

func tooManyURIs() *mcp.Error {
	e := mcp.InvalidParams(fmt.Sprintf("more than %d resources in one subscriptions/listen", maxURIs))
	e.Reason = "too_many_resources"
	return e
}

// follow makes the feeds the pool's: new nodes are listened to, those that are gone no more, and the
// pauses of the others end, since what has changed may be that they are back.
func (s *stream) follow() {
	pool := s.hub.cfg.Pool()
	for node, f := range s.feeds {
		if !slices.Contains(pool, node) {
			f.cancel()
			delete(s.feeds, node)
			continue
		}
		signal(f.kick)
	}
	for _, node := range pool {
		if s.feeds[node] == nil {
			s.feed(node)
		}
	}
}

func (s *stream) feed(node Node) {
	ctx, cancel := context.WithCancel(s.ctx)
	f := &feed{s: s, node: node, cancel: cancel, kick: make(chan struct{}, 1)}
	s.feeds[node] = f
	s.wg.Go(func() {
		defer cancel()
		f.run(ctx)
	})
}

// open waits for the first acknowledgement and starts the agent's stream with it. It returns false if
// that did not come to be and the agent has its answer.
func (s *stream) open(w http.ResponseWriter) bool {
	settle := time.NewTimer(s.hub.cfg.Settle)
	settle.Stop()
	defer settle.Stop()
	settled := false
	for waiting := false; ; {
		acked, all := s.settled()
		switch {
		case acked && (all || settled):
			return s.begin(w)
		case acked && !waiting:
			waiting = true
			settle.Reset(s.hub.cfg.Settle)
		case !acked && all:
			s.refuse(w)
			return false
		}
		select {
		case <-s.wake:
		case <-settle.C:
			settled = true
		case <-s.changed:
			s.follow()
		case <-s.closing:
			mcp.WriteAnswer(w, mcp.MethodListen, mcp.NothingFits("shutting_down", time.Second), s.id)
			return false
		case <-s.ctx.Done():
			return false
		}
	}
}

// settled reports whether any node has acknowledged, and whether all have had their first try.
func (s *stream) settled() (acked, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all = true
	for _, f := range s.feeds {
		all = all && f.first != pending
	}
	return s.agreed != nil, all
}

// begin sends the headers and the acknowledgement.
func (s *stream) begin(w http.ResponseWriter) bool {
	s.mu.Lock()
	s.opened = true
	first := item{raw: s.ack.body}
	if s.merged {
		first = acknowledgement(s.agreed, s.id)
	}
	s.mu.Unlock()
	copyHeader(w.Header(), s.ack.header)
	w.WriteHeader(s.ack.status)
	return s.write(w, first)
}

// refuse passes on the first answer of a node, or says that there was none.
func (s *stream) refuse(w http.ResponseWriter) {
	s.mu.Lock()
	a := s.answer
	s.mu.Unlock()
	if a == nil {
		mcp.WriteAnswer(w, mcp.MethodListen, mcp.NothingFits("no_node_reached", time.Second), s.id)
		return
	}
	copyHeader(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // an agent that is gone needs no answer
}

// pump writes what the feeds bring until the stream ends.
func (s *stream) pump(w http.ResponseWriter) {
	defer func() { _ = s.rc.SetWriteDeadline(time.Time{}) }() // the connection may serve other requests
	alive := time.NewTicker(s.hub.cfg.KeepAlive)
	defer alive.Stop()
	var batch []item
	for {
		batch = s.take(batch)
		if len(batch) > 0 && !s.write(w, batch...) {
			return
		}
		if s.finished() {
			s.write(w, result(s.id))
			return
		}
		select {
		case <-s.wake:
		case <-alive.C:
			if !s.write(w, item{raw: []byte(":\n\n")}) {
				return
			}
		case <-s.changed:
			s.follow()
		case <-s.closing:
			s.write(w, append(s.take(batch), result(s.id))...)
			return
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *stream) take(into []item) []item {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.take(into)
}

// finished reports whether there are nodes, and each of them said that it has nothing to tell.
func (s *stream) finished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.feeds {
		if f.last != finished {
			return false
		}
	}
	return len(s.feeds) > 0
}

// write sends whole events and flushes them.
func (s *stream) write(w http.ResponseWriter, items ...item) bool {
	_ = s.rc.SetWriteDeadline(time.Now().Add(s.hub.cfg.WriteTimeout)) // not every writer has deadlines
	if s.ctx.Err() != nil {
		return false // looked at after the deadline is set, so that cut's own deadline stays
	}
	for _, it := range items {
		if _, err := w.Write(it.raw); err != nil {
			return false
		}
	}
	return s.rc.Flush() == nil
}

// The rest is called by feeds.

// push queues an event for the agent.
func (s *stream) push(items ...item) {
	s.mu.Lock()
	for _, it := range items {
		coalesced, dropped := s.queue.push(it)
		s.hub.coalesced.Add(uint64(coalesced))
		s.hub.dropped.Add(uint64(dropped))
	}
	s.mu.Unlock()
	signal(s.wake)
}

// acked takes a node's acknowledgement. Once the agent has its own, that node was not listened to for
// a while, whether it was lost, joined late or was just slow.
func (s *stream) acked(f *feed, agreed agreement, a answer) {
	s.mu.Lock()
	opened := s.opened
	switch {
	case opened:
	case s.agreed == nil:
		s.agreed, s.ack = agreement{}, a
		s.agreed.join(agreed)
	case s.agreed.join(agreed):
		s.merged = true
	}
	f.first, f.last = live, live
	s.mu.Unlock()
	if opened {
		s.hub.relistens.Add(1)
		s.push(agreed.changes(s.id)...)
		return
	}
	signal(s.wake)
}

// answered keeps the first answer that was no acknowledgement.
func (s *stream) answered(a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer == nil && !s.opened {
		s.answer = &a
	}
}

// tried takes the end of a try and reports whether the node had acknowledged in it.
func (s *stream) tried(f *feed, v verdict) (acked bool) {
	s.mu.Lock()
	acked = f.last == live
	if f.first == pending {
		f.first = v
	}
	f.last = v
	s.mu.Unlock()
	signal(s.wake)
	return acked
}
