package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/chaos/history"
)

func TestSeen(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"level= subscribed=":           {"level": ""},
		"level=info subscribed=u/a,u":  {"level": "info", "u/a": "yes", "u": "yes"},
		"done 7 on n1":                 nil,
		"level=info":                   nil,
		"the level=info subscribed=u ": nil,
	} {
		got, err := seen(text)
		if diff := cmp.Diff(want, got); diff != "" || (err != nil) != (want == nil) {
			t.Errorf("%q: %v\n%s", text, err, diff)
		}
	}
}

// world is a fleet of gateways without any: one session that all of them serve, which is gone once.
type world struct {
	mu     sync.Mutex
	opened int
	asked  int
	level  string
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	raw, _ := io.ReadAll(r.Body)
	body := string(raw)
	answer := "{}"
	switch w.asked++; {
	case strings.Contains(body, `"initialize"`):
		w.opened++
		rw.Header().Set("Mcp-Session-Id", fmt.Sprintf("q1-%d", w.opened))
		w.level = ""
	case w.asked == 20:
		http.Error(rw, "gone", http.StatusNotFound)
		return
	case strings.Contains(body, "setLevel"):
		_, rest, _ := strings.Cut(body, `"level":"`)
		w.level, _, _ = strings.Cut(rest, `"`)
	case strings.Contains(body, "settings"):
		answer = fmt.Sprintf(`{"content":[{"type":"text","text":"level=%s subscribed="}]}`, w.level)
	}
	rw.Header().Set("Content-Type", "application/json")
	_, rest, _ := strings.Cut(body, `"id":`)
	n, _, _ := strings.Cut(rest, ",")
	if n == "" {
		n = "null"
	}
	fmt.Fprintf(rw, `{"jsonrpc":"2.0","id":%s,"result":%s}`, n, answer)
}

// An agent of a session goes on with it at every gateway, sees what it has set, and opens another one when it is gone.
func TestRover(t *testing.T) {
	w := &world{}
	srv := httptest.NewServer(w)
	defer srv.Close()
	began := time.Now()
	place := func(name string) Place {
		return Place{Gateway: name, URLs: []string{srv.URL}, Transport: func() http.RoundTripper { return &http.Transport{} }}
	}
	l := Start(context.Background(), Config{Sessions: 1, Think: time.Millisecond, Seed: 1, Places: []Place{place("a"), place("b")},
		Clock: func() time.Duration { return time.Since(began) }})
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for asked := 0; asked < 100; <-tick.C {
		w.mu.Lock()
		asked = w.asked
		w.mu.Unlock()
	}
	calls, gateways, level, gone := l.Stop(), map[string]bool{}, "", 0
	for _, o := range l.Ops() {
		gateways[o.Gateway] = true
		switch {
		case o.Gone:
			gone++
		case o.Outcome != history.OK || o.Minority:
			t.Errorf("%+v", o)
		case o.Kind == history.Open:
			level = ""
		case o.Kind == history.Set && o.Item == "level":
			level = o.Value
		case o.Kind == history.Look && o.Seen["level"] != level:
			t.Errorf("set %q, and saw %+v", level, o)
		}
	}
	if len(gateways) != 2 || gone != 1 || w.opened != 2 || l.Roving() != 1 {
		t.Errorf("gateways %v, gone %d times, %d sessions opened", gateways, gone, w.opened)
	}
	for _, c := range calls {
		if c.Session == "" || l.Gateway(c.ID) != c.Gateway {
			t.Errorf("call %+v", c)
		}
	}
}
