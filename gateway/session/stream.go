package session

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

// stream is one SSE stream towards the agent: the standalone one, or the answer to one POST. It may
// be fed by several nodes in turn and read over several connections in turn.
type stream struct {
	buffer
	num    uint64
	prefix string // of its event ids
	suffix string // of them: the requests it answers
	alone  bool   // no other gateway can go on with it
	beat   time.Duration

	// Of the pump alone:
	from   *pin          // whose events come now
	nodeID string        // the last event id it gave on this stream, for resuming there
	retry  time.Duration // the last reconnection delay it asked for

	// Guarded by the session's streams:
	parked  *call     // the call whose node closed the stream, to be resumed by the agent (SSE polling)
	endedAt time.Time // zero while a pump runs or the call is parked
}

// event forwards an upstream event under an id of the gateway's own. One that carries neither data
// nor an id names no position to resume from and stays as it is.
func (st *stream) event(ctx context.Context, ev mcp.Event) error {
	if len(ev.Data) == 0 && !ev.HasID {
		raw := append([]byte(nil), ev.Raw...)
		return st.append(ctx, func(uint64) []byte { return raw })
	}
	return st.append(ctx, func(seq uint64) []byte {
		ev.ID, ev.HasID = st.prefix+strconv.FormatUint(seq, 10)+st.suffix, true
		return mcp.AppendEvent(make([]byte, 0, len(ev.ID)+len(ev.Data)+len(ev.Name)+32), ev)
	})
}

// message sends a message that did not come as an event.
func (st *stream) message(ctx context.Context, data []byte) error {
	return st.event(ctx, mcp.Event{Name: "message", Data: data})
}

// last sends the gateway's own final message. Nothing follows that could be resumed, and its id says so: TypeScript
// clients come back behind an error, and without an id they would open the standalone stream a second time.
func (st *stream) last(data []byte) {
	if st.alone { // as a node alone would
		st.appendNow(mcp.AppendEvent(nil, mcp.Event{Name: "message", Data: data}))
		return
	}
	id := st.prefix + strconv.FormatUint(st.position(), 10) + "-" + lastName
	st.appendNow(mcp.AppendEvent(nil, mcp.Event{Name: "message", Data: data, ID: id, HasID: true}))
}

// prime names a position at once, as 2025-11-25 asks for: agents whose gateway is lost before the first event come back
// for the rest, where some would wait for it without end.
func (st *stream) prime() {
	_ = st.event(context.Background(), mcp.Event{HasID: true, Data: []byte{}}) // an empty stream has room
}

// beats says when the agent is to be sent a sign of life.
func (st *stream) beats() (<-chan time.Time, func()) {
	if st.beat <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(st.beat)
	return t.C, t.Stop
}

// follow writes the stream to one HTTP response until it ends, the agent leaves or another reader
// takes its place. What is there at once is flushed at once.
func (st *stream) follow(ctx context.Context, w http.ResponseWriter, rd *reader) {
	defer st.detach(rd)
	control := http.NewResponseController(w)
	alive, stop := st.beats()
	defer stop()
	for {
		frame, at := st.take(rd)
		switch at {
		case ready:
			if _, err := w.Write(frame); err != nil {
				return
			}
		case over:
			return
		case waiting:
			if err := control.Flush(); err != nil {
				return
			}
			select {
			case <-rd.wake:
			case <-alive: // the server does not notice the end of a connection on which more than the request has come
				if _, err := io.WriteString(w, ":\n\n"); err != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}
