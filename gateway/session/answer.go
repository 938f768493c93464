package session

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/quorate/quorate/gateway/mcp"
)

const (
	// maxEvent bounds one event of a node, as go-sdk's clients do.
	maxEvent = 16 << 20
	// maxAnswer bounds an answer that the gateway itself has to understand: to initialize, mostly.
	maxAnswer = 1 << 20
)

var errNoAnswer = errors.New("the node ended without an answer")

func isEventStream(h http.Header) bool { return mediaType(h) == "text/event-stream" }

func mediaType(h http.Header) string {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// message is a node's answer to one request, and the messages that came before it.
type message struct {
	env    mcp.Envelope
	data   []byte
	before []mcp.Event // of an event stream, the answer's own event not included
	event  bool        // it came as an event
}

// readMessage reads a whole answer, JSON or event stream, to the request with that id.
func readMessage(resp *http.Response, id []byte) (*message, error) {
	if isEventStream(resp.Header) {
		return readEvents(resp.Body, id)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxAnswer {
		return nil, fmt.Errorf("answer larger than %d bytes", maxAnswer)
	}
	env, err := mcp.Scan(data)
	if err != nil {
		return nil, err
	}
	return &message{env: env, data: data}, nil
}

func readEvents(body io.Reader, id []byte) (*message, error) {
	m := &message{event: true}
	events, size := mcp.NewEventReader(body, maxAnswer), 0
	for {
		ev, err := events.Next()
		if errors.Is(err, io.EOF) {
			return nil, errNoAnswer
		}
		if err != nil {
			return nil, err
		}
		if size += len(ev.Raw); size > maxAnswer {
			return nil, fmt.Errorf("answer larger than %d bytes", maxAnswer)
		}
		ev.Data, ev.Raw = bytes.Clone(ev.Data), nil
		env, err := mcp.Scan(ev.Data)
		if err == nil && env.Kind == mcp.KindResponse && mcp.SameID(env.ID.Of(ev.Data), id) {
			m.env, m.data = env, ev.Data
			return m, nil
		}
		if !ev.Comment && (len(ev.Data) > 0 || ev.HasID) {
			m.before = append(m.before, ev)
		}
	}
}

// discard reads a small answer to its end, so that its connection can serve again.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxPeek)
	_ = resp.Body.Close()
}
