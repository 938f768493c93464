// Package cutlinks cuts links between gateways that run in one process, for tests: signals, streams and requests alike,
// both ways. It must not know what goes over them.
package cutlinks

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"

	"github.com/quorate/quorate/internal/peer"
)

var errCut = errors.New("the test has cut this link")

// Net is the links of some gateways. Its methods may be called concurrently.
type Net struct {
	mu      sync.Mutex
	address map[string]string // where others dial, by name
	cut     func(a, b string) bool
	stopped func(a, b string) bool // streams alone
	streams map[net.Conn][2]string
}

func nothing(string, string) bool { return false }

// New returns a net in which nothing is cut.
func New() *Net {
	return &Net{address: map[string]string{}, cut: nothing, stopped: nothing, streams: map[net.Conn][2]string{}}
}

// Cut cuts the links of which apart says so, whatever the order of their ends, and heals the others. Streams that are
// cut end. apart must not change its mind, nor call the net; nil heals all.
func (n *Net) Cut(apart func(a, b string) bool) {
	if apart == nil {
		apart = nothing
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = apart
	n.end(apart)
}

// CutStreams cuts nothing but the streams of which apart says so, from the one that dials to the other; nil heals all.
func (n *Net) CutStreams(apart func(a, b string) bool) {
	if apart == nil {
		apart = nothing
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopped = apart
	n.end(apart)
}

// end ends the streams that are there; n.mu is held.
func (n *Net) end(apart func(a, b string) bool) {
	for c, ends := range n.streams {
		if apart(ends[0], ends[1]) {
			_ = c.Close()
			delete(n.streams, c)
		}
	}
}

func (n *Net) parted(a, b string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut(a, b)
}

// Streamed reports whether one of two gateways has dialed a stream to the other that nobody has cut.
func (n *Net) Streamed(a, b string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, ends := range n.streams {
		if ends == [2]string{a, b} || ends == [2]string{b, a} {
			return true
		}
	}
	return false
}

// Links are those of a gateway that others dial at an address. They have to be made before it serves.
func (n *Net) Links(name, address string, p *peer.Peers) *Links {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.address[name] = address
	return &Links{Peers: p, net: n, name: name}
}

// Links is a gateway's links, less those that are cut.
type Links struct {
	*peer.Peers
	net  *Net
	name string
}

// Signal sends nothing over a cut.
func (l *Links) Signal(gateway string, payload []byte) bool {
	return !l.net.parted(l.name, gateway) && l.Peers.Signal(gateway, payload)
}

// Stream dials, and hangs up where there is a cut.
func (l *Links) Stream(ctx context.Context, address string) (net.Conn, error) {
	c, err := l.Peers.Stream(ctx, address)
	if err != nil {
		return nil, err
	}
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	for name, at := range l.net.address {
		if at != address {
			continue
		}
		if l.net.cut(l.name, name) || l.net.stopped(l.name, name) {
			return nil, errors.Join(errCut, c.Close())
		}
		l.net.streams[c] = [2]string{l.name, name}
	}
	return c, nil
}

// Links says that those over a cut are down.
func (l *Links) Links() []peer.Link {
	all := l.Peers.Links()
	for i := range all {
		all[i].Up = all[i].Up && !l.net.parted(l.name, all[i].Gateway)
	}
	return all
}

// TransportTo carries requests, and loses answers that come during a cut.
func (l *Links) TransportTo(gateway string) http.RoundTripper {
	return transport{l, gateway, l.Peers.TransportTo(gateway)}
}

type transport struct {
	l  *Links
	to string
	http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.l.net.parted(t.l.name, t.to) {
		return nil, errCut
	}
	resp, err := t.RoundTripper.RoundTrip(r)
	if err == nil && t.l.net.parted(t.l.name, t.to) {
		return nil, errors.Join(errCut, resp.Body.Close())
	}
	return resp, err
}
