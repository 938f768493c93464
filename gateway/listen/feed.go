package listen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

// feed is the stream from one node into an agent's stream. It listens, and listens again, until its
// context ends or the node has nothing to tell.
type feed struct {
	s      *stream
	node   Node
	cancel context.CancelFunc
	kick   chan struct{} // cuts a pause short
	first  verdict       // how the first try went; guarded by stream.mu
	last   verdict       // how things stand; guarded by stream.mu
}

// verdict is how a try to listen went.
type verdict uint8

const (
	pending  verdict = iota
	live             // acknowledged
	lost             // not reached, or broken after it was acknowledged
	refused          // answered, but not by a stream
	finished         // acknowledged that there is nothing to tell, and ended
)

// run tries until ctx ends or the node is finished.
func (f *feed) run(ctx context.Context) {
	cfg, pause := &f.s.hub.cfg, time.Duration(0)
	for {
		v, err := f.try(ctx)
		if ctx.Err() != nil {
			return
		}
		acked := f.s.tried(f, v)
		if v == finished {
			return
		}
		if pause *= 2; acked || pause == 0 {
			pause = cfg.MinBackoff
		}
		pause = min(pause, cfg.MaxBackoff)
		cfg.Logger.LogAttrs(ctx, levelOf(acked), "listen stream of a node ended", attrs(f.node, err, pause)...)
		if !f.rest(ctx, pause) {
			return
		}
	}
}

// rest waits for the pause, with up to a half of it as jitter, or until something changed.
func (f *feed) rest(ctx context.Context, pause time.Duration) bool {
	t := time.NewTimer(pause + rand.N(pause/2+1))
	defer t.Stop()
	select {
	case <-t.C:
	case <-f.kick:
	case <-ctx.Done():
		return false
	}
	return true
}

// try makes one request and reads its answer to the end. The error says why it ended.
func (f *feed) try(ctx context.Context) (verdict, error) {
	resp, err := f.node.Do(ctx, &f.s.request)
	if err != nil {
		return lost, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return f.refusal(resp)
	}
	events := mcp.NewEventReader(resp.Body, f.s.hub.cfg.MaxEvent)
	var agreed agreement
	for acked := false; ; {
		e, err := events.Next()
		if err != nil {
			return lost, err
		}
		switch m, kind := f.read(&e); {
		case kind == mcp.KindResponse && !acked:
			f.s.answered(answer{resp.StatusCode, resp.Header, clone(&e)})
			return refused, errors.New("answered instead of listening")
		case kind == mcp.KindResponse && m.HasResult && agreed.empty():
			return finished, nil
		case kind == mcp.KindResponse:
			return lost, errors.New("node ended the stream")
		case m.Method == mcp.NotificationListenAck && !acked:
			if agreed = agreementIn(e.Data); agreed == nil {
				return lost, errors.New("acknowledgement without notifications")
			}
			acked = true
			f.s.acked(f, agreed, answer{resp.StatusCode, resp.Header, clone(&e)})
		case kind == mcp.KindNotification && acked && m.Method != mcp.NotificationListenAck:
			f.s.push(item{raw: clone(&e), key: key(m.Method, m.URI)})
		case e.Comment && e.Data != nil:
			f.s.push(item{raw: clone(&e), key: ":"})
		case len(e.Data) > 0:
			f.s.hub.dropped.Add(1)
		}
	}
}

// read scans the message in an event; an event that holds none has the kind invalid.
func (f *feed) read(e *mcp.Event) (mcp.Envelope, mcp.Kind) {
	if e.Comment || len(e.Data) == 0 {
		return mcp.Envelope{}, mcp.KindInvalid
	}
	m, err := mcp.Scan(e.Data)
	if err != nil {
		return mcp.Envelope{}, mcp.KindInvalid
	}
	return m, m.Kind
}

// clone copies an event out of the reader's buffer. Ids and reconnection times are a node's own and
// would send the agent back to a stream that does not exist; this era has none.
func clone(e *mcp.Event) []byte {
	if e.HasID || e.Retry != "" {
		return mcp.AppendEvent(nil, mcp.Event{Name: e.Name, Data: e.Data})
	}
	return append([]byte(nil), e.Raw...)
}

// refusal reads an answer that is no stream.
func (f *feed) refusal(resp *http.Response) (verdict, error) {
	limit := f.s.hub.cfg.MaxEvent
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	if err != nil {
		return lost, err
	}
	if len(body) > limit {
		return lost, errors.New("answer too large")
	}
	f.s.answered(answer{resp.StatusCode, resp.Header, body})
	return refused, fmt.Errorf("answered with status %d", resp.StatusCode)
}
