package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/regions/identity"
)

const (
	maxEvent      = 1 << 20                // bytes of one event of a feed
	feedBackoff   = 250 * time.Millisecond // first wait before a feed is opened again
	feedBackoffUp = 30 * time.Second       // the longest such wait
)

// feed is where a node announces changes of its tool list; the zero feed is nowhere. It is comparable:
// another session or era is another feed.
type feed struct {
	era              mcp.Era
	version, session string
}

// errNoFeed is a node that has no feed after all, such as a 405 to GET. That is allowed.
var errNoFeed = errors.New("the node offers no event stream")

// feed returns where n announces changes: subscriptions/listen in the modern era, the GET stream of the
// verification session in the legacy one.
func (n *nature) feed() feed {
	switch {
	case n.caps.Tools == nil || !n.caps.Tools.ListChanged:
		return feed{}
	case n.modern != "":
		return feed{era: mcp.Modern, version: n.modern}
	case n.session != "":
		return feed{era: mcp.Legacy, version: n.legacy, session: n.session}
	}
	return feed{}
}

// follow keeps f open until ctx ends or the node proves to have no feed. It calls changed when the list
// may have changed: on the announcement, and when the feed opens (the change may have come before)
// or breaks (the node may have restarted). A feed in trouble is no failure of the node.
func (w *wire) follow(ctx context.Context, f feed, changed func()) {
	for backoff := feedBackoff; ; backoff = min(2*backoff, feedBackoffUp) {
		began := time.Now()
		opened, err := w.stream(ctx, f, changed)
		if ctx.Err() != nil || errors.Is(err, errNoFeed) {
			return
		}
		if opened {
			changed()
		}
		if errors.Is(err, identity.ErrIdentity) {
			w.client.CloseIdleConnections() // the check is to meet who answers now
			changed()
		}
		if opened && time.Since(began) > feedBackoffUp {
			backoff = feedBackoff
		}
		if !sleep(ctx, backoff) {
			return
		}
	}
}

// sleep waits for d and reports whether it was not cut short by ctx.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// stream opens f once and reads it to its end.
func (w *wire) stream(ctx context.Context, f feed, changed func()) (opened bool, err error) {
	resp, err := w.open(ctx, f)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
		return false, fmt.Errorf("event stream: HTTP %d", resp.StatusCode)
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusBadRequest:
		changed() // it may mean a forgotten session; then the check brings another feed
		return false, errNoFeed
	case resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream"):
		return false, errNoFeed
	}
	changed()
	events := mcp.NewEventReader(resp.Body, maxEvent)
	for {
		e, err := events.Next()
		if err != nil {
			return true, err
		}
		w.event(ctx, f, e.Data, changed)
	}
}

func (w *wire) open(ctx context.Context, f feed) (*http.Response, error) {
	if f.era == mcp.Modern {
		return w.post(ctx, request{method: mcp.MethodListen, version: f.version, params: map[string]any{
			"notifications": map[string]any{"toolsListChanged": true},
		}}, w.lastID.Add(1))
	}
	return w.send(ctx, http.MethodGet, request{version: f.version, session: f.session}, nil)
}

// event acts on one event of a feed.
func (w *wire) event(ctx context.Context, f feed, data []byte, changed func()) {
	var m message
	if len(data) == 0 || json.Unmarshal(data, &m) != nil {
		return
	}
	switch {
	case m.Method == mcp.NotificationToolsChanged:
		changed()
	case m.Method != "" && len(m.ID) > 0 && f.era == mcp.Legacy:
		w.respond(ctx, f, &m)
	}
}

// respond answers a request of the node. Some nodes end a session that leaves their ping unanswered.
func (w *wire) respond(ctx context.Context, f feed, m *message) {
	body := map[string]any{"jsonrpc": "2.0", "id": m.ID}
	if m.Method == mcp.MethodPing {
		body["result"] = map[string]any{}
	} else {
		body["error"] = map[string]any{"code": -32601, "message": "a verification session offers nothing"}
	}
	resp, err := w.send(ctx, http.MethodPost, request{version: f.version, session: f.session}, body)
	if err == nil { // else the stream or the next check will show it
		_ = resp.Body.Close()
	}
}
