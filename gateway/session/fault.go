package session

import (
	"errors"
	"io"
	"net/http"

	"github.com/quorate/quorate/gateway/upstream"
)

// fault is how an attempt ended without its call's answer.
type fault struct {
	progress upstream.Progress
	failure  upstream.Failure // 0 if the node answered as a whole
	answer   *http.Response   // that answer, to be passed on if the walk ends here
	unknown  bool             // it says that the node does not know the session
	closed   bool             // the node ended its event stream in order, without the answer
	err      error
}

// drop gives up the answer, if there is one: what is not read to its end keeps its connection, and counts as in flight.
func (f *fault) drop() {
	if f != nil && f.answer != nil {
		_ = f.answer.Body.Close()
	}
}

// faultOf turns a failed attempt on p into a fault.
func faultOf(p *pin, err error) *fault {
	f := faultOfDo(err)
	if p.dead() && f.failure == upstream.Canceled {
		f.failure = upstream.Dead // the gateway itself let go when the node died
	}
	return f
}

// faultOfDo turns a failed attempt outside a session into a fault.
func faultOfDo(err error) *fault {
	f := &fault{progress: upstream.Sent, failure: upstream.Reset, err: err}
	var e *upstream.Error
	if errors.As(err, &e) {
		f.progress, f.failure = e.Progress, e.Failure
	}
	return f
}

// faultOfBody is faultOf for a response that broke off. A body that ends too early is a broken
// connection, even where the reader only says that it ended.
func faultOfBody(p *pin, err error) *fault {
	f := faultOf(p, err)
	f.progress = upstream.Responding
	f.closed = errors.Is(err, io.EOF)
	return f
}
