package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// errEnded is why what was on its way to a gateway is cut: its life has ended, so that nothing of it counts any more,
// whether it has died or hangs.
var errEnded = errors.New("edge: the gateway's life has ended")

// outgoing are the requests on their way to other gateways, so that none waits for one whose life has ended.
type outgoing struct {
	// lives reports whether a gateway has a life that has not ended, by what is applied here.
	lives func(gateway string) bool

	mu  sync.Mutex
	all map[string]map[*line]struct{} // by gateway
}

type line struct{ cut context.CancelCauseFunc }

// cut ends what is on its way to a gateway.
func (l *outgoing) cut(gateway string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for one := range l.all[gateway] {
		one.cut(errEnded)
	}
}

func (l *outgoing) enter(gateway string, one *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[string]map[*line]struct{}{}
	}
	if l.all[gateway] == nil {
		l.all[gateway] = map[*line]struct{}{}
	}
	l.all[gateway][one] = struct{}{}
}

func (l *outgoing) leave(gateway string, one *line) {
	one.cut(nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all[gateway], one)
	if len(l.all[gateway]) == 0 {
		delete(l.all, gateway)
	}
}

// over returns what carries requests to a gateway as long as its life goes on.
func (l *outgoing) over(gateway string, carries http.RoundTripper) http.RoundTripper {
	return lined{l, gateway, carries}
}

type lined struct {
	*outgoing
	gateway string
	carries http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t lined) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cut := context.WithCancelCause(r.Context())
	one := &line{cut}
	t.enter(t.gateway, one)
	if !t.lives(t.gateway) { // it ended while this request was on its way here, and was not sent anything
		t.leave(t.gateway, one)
		return nil, errEnded
	}
	resp, err := t.carries.RoundTrip(r.WithContext(ctx))
	if err != nil {
		t.leave(t.gateway, one)
		return nil, err
	}
	resp.Body = &linedBody{ReadCloser: resp.Body, leave: func() { t.leave(t.gateway, one) }}
	return resp, nil
}

// linedBody is a body whose end is the end of its line.
type linedBody struct {
	io.ReadCloser
	once  sync.Once
	leave func()
}

// Close implements io.Closer.
func (b *linedBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(b.leave)
	return err
}
