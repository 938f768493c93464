package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
)

const (
	// pingBound is how long a node may take to say whether it still has the session. One that takes
	// longer keeps it: slowness proves nothing.
	pingBound = time.Second
	// maxPeek bounds how much of an error answer is read to understand it.
	maxPeek = 64 << 10
)

// examine decides whether the session is lost on p after a fault, and starts its move if so. A move
// costs whatever the node keeps in memory for the session, so one broken connection is not enough.
func (s *session) examine(p *pin, f *fault) {
	switch f.failure {
	case upstream.Canceled, upstream.Closed, upstream.Barred, upstream.Fenced: // the session is where it was
	case upstream.Refused, upstream.Dead, upstream.BreakerOpen, upstream.Unproven:
		s.lose(p, f.failure.String())
	default:
		if !p.lost.Load() && !s.alive(p) {
			s.lose(p, "broken connection")
		}
	}
}

// disowned returns a fault if a whole answer means that the node no longer has the session, or cannot
// serve it; the session then moves. id is the request's. It returns nil for an answer to pass on.
func (s *session) disowned(p *pin, resp *http.Response, id []byte) *fault {
	switch resp.StatusCode {
	case http.StatusNotFound:
		if peek(resp).answers(id) {
			return nil
		}
	case http.StatusBadRequest:
		// Some servers say it so, but they say many other things so too: only a second question tells.
		if peek(resp).Error.Code != mcp.CodeSession || s.alive(p) {
			return nil
		}
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if s.alive(p) {
			return nil
		}
		s.lose(p, http.StatusText(resp.StatusCode))
		return &fault{progress: upstream.Done, answer: resp}
	default:
		return nil
	}
	s.lose(p, "session unknown")
	return &fault{progress: upstream.Done, answer: resp, unknown: true}
}

// alive asks the node for the session itself.
func (s *session) alive(p *pin) bool {
	ctx, cancel := context.WithTimeout(p.ctx, pingBound)
	defer cancel()
	resp, err := p.do(ctx, http.MethodPost, posting(s.credentials(), s.version), s.request(mcp.MethodPing))
	if err != nil {
		return errors.Is(ctx.Err(), context.DeadlineExceeded) && !p.dead()
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxPeek) // for the connection's sake; the status is what counts
	return resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusBadRequest && resp.StatusCode < 500
}

// errorAnswer is what an error answer says.
type errorAnswer struct {
	ID    json.RawMessage `json:"id"`
	Error struct {
		Code int `json:"code"`
	} `json:"error"`
}

// answers reports whether this is a JSON-RPC answer to the request with that id.
func (e errorAnswer) answers(id []byte) bool {
	return id != nil && e.Error.Code != 0 && mcp.SameID(e.ID, id)
}

// peek reads the beginning of a small answer and puts it back.
func peek(resp *http.Response) errorAnswer {
	head, err := io.ReadAll(io.LimitReader(resp.Body, maxPeek))
	rest := io.Reader(resp.Body)
	if err != nil {
		rest = failing{err}
	}
	resp.Body = &prefixed{Reader: io.MultiReader(bytes.NewReader(head), rest), Closer: resp.Body}
	var e errorAnswer
	if json.Unmarshal(head, &e) != nil {
		return errorAnswer{}
	}
	return e
}

type prefixed struct {
	io.Reader
	io.Closer
}

// failing is a reader that ends in err.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
