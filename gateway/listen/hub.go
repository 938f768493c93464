// Package listen merges modern subscriptions/listen streams: one stream of an agent is fed by one
// stream from every node of a pool, and lost nodes are listened to again.
// It must not know routing tables, health, sessions or where nodes come from.
package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/regions"
)

// Node is a node to listen to; *upstream.Node is one. Nodes are compared with ==, so that a node that
// was replaced under its old id is another node. A response body's reads must fail once the node is
// declared dead or ctx ends.
type Node interface {
	ID() regions.NodeID
	Do(ctx context.Context, r *upstream.Request) (*http.Response, error)
}

// Config is what a Hub needs. Zero values take the defaults.
type Config struct {
	// Pool returns the nodes that speak the modern era and are not known to be down. Required. It is
	// called at the start of every stream and after Changed, and must not block.
	Pool func() []Node
	// Logger is required.
	Logger *slog.Logger

	// Settle is how long the first node's acknowledgement waits for the others', so that the agent does
	// not act before all of them listen. 1 ms to 10 s, default 100 ms; usually all answer sooner.
	Settle time.Duration
	// MinBackoff and MaxBackoff bound the pause before a lost node is listened to again, which doubles
	// from one to the other, with jitter. From 1 ms, defaults 50 ms and 5 s.
	MinBackoff, MaxBackoff time.Duration
	// WriteTimeout is how long an agent may leave written bytes unread before it counts as gone. From
	// 1 ms, default 30 s.
	WriteTimeout time.Duration
	// KeepAlive is how often an agent is sent a comment: one that is gone shows in nothing else, as the server does not
	// read on when more than the request has come. From 1 ms, default 1 min.
	KeepAlive time.Duration
	// MaxStreams bounds the agents' streams; beyond it they get -32073. From 1, default 10000.
	MaxStreams int
	// MaxEvent bounds one event of a node in bytes, 1 KiB to 16 MiB, default 1 MiB.
	MaxEvent int
	// MaxQueue bounds the events that wait for a slow agent, beside one per subscribed resource. 16 to
	// 65536, default 256. Their bytes are bounded by four times MaxEvent, beside the subscribed resources'.
	MaxQueue int
}

func (c Config) withDefaults() (Config, error) {
	if c.Pool == nil || c.Logger == nil {
		return c, errors.New("listen: pool and logger are required")
	}
	for _, d := range []struct {
		name     string
		value    *time.Duration
		def, max time.Duration
	}{
		{"settle", &c.Settle, 100 * time.Millisecond, 10 * time.Second},
		{"minimum backoff", &c.MinBackoff, 50 * time.Millisecond, time.Hour},
		{"maximum backoff", &c.MaxBackoff, 5 * time.Second, time.Hour},
		{"write timeout", &c.WriteTimeout, 30 * time.Second, time.Hour},
		{"keep-alive", &c.KeepAlive, time.Minute, time.Hour},
	} {
		if *d.value == 0 {
			*d.value = d.def
		}
		if *d.value < time.Millisecond || *d.value > d.max {
			return c, fmt.Errorf("listen: %s %v is outside 1ms..%v", d.name, *d.value, d.max)
		}
	}
	if c.MinBackoff > c.MaxBackoff {
		return c, fmt.Errorf("listen: minimum backoff %v is over the maximum %v", c.MinBackoff, c.MaxBackoff)
	}
	for _, n := range []struct {
		name          string
		value         *int
		def, min, max int
	}{
		{"streams", &c.MaxStreams, 10_000, 1, 1 << 20},
		{"event size", &c.MaxEvent, 1 << 20, 1 << 10, 16 << 20},
		{"queue", &c.MaxQueue, 256, 16, 1 << 16},
	} {
		if *n.value == 0 {
			*n.value = n.def
		}
		if *n.value < n.min || *n.value > n.max {
			return c, fmt.Errorf("listen: %s %d is outside %d..%d", n.name, *n.value, n.min, n.max)
		}
	}
	return c, nil
}

// Stats are counts since New, but for Streams.
type Stats struct {
	Streams   int    // agents' streams open now
	Relistens uint64 // streams to nodes opened again after a loss, or to nodes that joined later
	Coalesced uint64 // events replaced by a newer one of the same meaning, for a slow agent
	Dropped   uint64 // events lost to the queue's bounds, or that nobody could read
}

// Hub serves the listen streams of one service. Methods may be called concurrently.
type Hub struct {
	cfg       Config
	relistens atomic.Uint64
	coalesced atomic.Uint64
	dropped   atomic.Uint64

	mu      sync.Mutex
	streams map[*stream]struct{}
	closed  bool
	empty   chan struct{} // closed when closed is set and streams is empty
}

// New returns a Hub, or an error if c is out of range.
func New(c Config) (*Hub, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Hub{cfg: c, streams: make(map[*stream]struct{}), empty: make(chan struct{})}, nil
}

// Stats returns the counts.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{Streams: len(h.streams), Relistens: h.relistens.Load(), Coalesced: h.coalesced.Load(), Dropped: h.dropped.Load()}
}

// Changed tells all streams that Pool may return other nodes, or the same ones recovered. It never
// blocks; several at once count as one.
func (h *Hub) Changed() {
	h.each(func(s *stream) { signal(s.changed) })
}

// Close ends every stream in the protocol's graceful form, a result to the listen request, and refuses
// new ones. It returns when all have ended. Streams left when ctx ends are cut.
func (h *Hub) Close(ctx context.Context) {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		if len(h.streams) == 0 {
			close(h.empty)
		}
	}
	h.mu.Unlock()
	h.each(func(s *stream) { signal(s.closing) })
	select {
	case <-h.empty:
	case <-ctx.Done():
		h.each(func(s *stream) { s.cut() })
		<-h.empty
	}
}

func (h *Hub) each(f func(*stream)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams {
		f(s)
	}
}

// add takes in a stream, or says why not.
func (h *Hub) add(s *stream) *mcp.Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return mcp.NothingFits("shutting_down", time.Second)
	case len(h.streams) >= h.cfg.MaxStreams:
		return mcp.Overloaded("too_many_streams", time.Second)
	}
	h.streams[s] = struct{}{}
	return nil
}

func (h *Hub) remove(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, s)
	if h.closed && len(h.streams) == 0 {
		close(h.empty)
	}
}

// signal marks a channel of capacity one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
