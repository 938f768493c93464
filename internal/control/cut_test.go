package control_test

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/quorate/quorate/internal/peer"
)

// cuttable is a gateway's links, of which the test cuts some: signals, streams and requests alike, both ways.
type cuttable struct {
	*peer.Peers
	f    *fleet
	name string
}

var errCut = errors.New("the test has cut this link")

// pair names two gateways, in order.
func pair(a, b string) [2]string {
	if a > b {
		a, b = b, a
	}
	return [2]string{a, b}
}

// partition lets gateways talk within a side only; those in no side talk to nobody. Without sides it heals.
func (f *fleet) partition(sides ...[]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	together := map[[2]string]bool{}
	for _, side := range sides {
		for _, a := range side {
			for _, b := range side {
				together[pair(a, b)] = true
			}
		}
	}
	f.cut = func(a, b string) bool { return len(sides) > 0 && !together[pair(a, b)] }
	for c, p := range f.streams {
		if f.cut(p[0], p[1]) {
			_ = c.Close()
			delete(f.streams, c)
		}
	}
}

func (f *fleet) parted(a, b string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cut != nil && f.cut(a, b)
}

// Signal implements control.Links.
func (l *cuttable) Signal(gateway string, payload []byte) bool {
	return !l.f.parted(l.name, gateway) && l.Peers.Signal(gateway, payload)
}

// Stream implements control.Links.
func (l *cuttable) Stream(ctx context.Context, address string) (net.Conn, error) {
	c, err := l.Peers.Stream(ctx, address)
	if err != nil {
		return nil, err
	}
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	for name, at := range l.f.address {
		if at != address {
			continue
		}
		if l.f.cut != nil && l.f.cut(l.name, name) {
			return nil, errors.Join(errCut, c.Close())
		}
		l.f.streams[c] = pair(l.name, name)
	}
	return c, nil
}

// Links implements control.Links.
func (l *cuttable) Links() []peer.Link {
	all := l.Peers.Links()
	for i := range all {
		all[i].Up = all[i].Up && !l.f.parted(l.name, all[i].Gateway)
	}
	return all
}

// TransportTo implements control.Links.
func (l *cuttable) TransportTo(gateway string) http.RoundTripper {
	return cutTransport{l, gateway, l.Peers.TransportTo(gateway)}
}

type cutTransport struct {
	l  *cuttable
	to string
	http.RoundTripper
}

// RoundTrip implements http.RoundTripper. An answer that comes during a cut is lost.
func (t cutTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.l.f.parted(t.l.name, t.to) {
		return nil, errCut
	}
	resp, err := t.RoundTripper.RoundTrip(r)
	if err == nil && t.l.f.parted(t.l.name, t.to) {
		return nil, errors.Join(errCut, resp.Body.Close())
	}
	return resp, err
}
