package listen

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/regions"
)

// pipeNode is a node without sockets, for tests of time: each listen request asks answer, and nil
// means that it is not reached.
type pipeNode struct {
	began  time.Time
	asked  []time.Duration // when, since began
	answer func(n int) io.ReadCloser
}

func (p *pipeNode) ID() regions.NodeID { return "pipe" }

func (p *pipeNode) Do(context.Context, *upstream.Request) (*http.Response, error) {
	p.asked = append(p.asked, time.Since(p.began))
	body := p.answer(len(p.asked))
	if body == nil {
		return nil, errors.New("not reached")
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: body}, nil
}

// pipeWriter is an agent's connection without sockets: a write ends when the agent has read it.
type pipeWriter struct {
	conn   net.Conn
	header http.Header
}

func (w *pipeWriter) Header() http.Header                { return w.header }
func (w *pipeWriter) WriteHeader(int)                    {}
func (w *pipeWriter) Write(b []byte) (int, error)        { return w.conn.Write(b) }
func (w *pipeWriter) Flush()                             {}
func (w *pipeWriter) SetWriteDeadline(t time.Time) error { return w.conn.SetWriteDeadline(t) }

const ackEvent = `data: {"jsonrpc":"2.0","method":"` + mcp.NotificationListenAck + `","params":{"notifications":` + tools + `}}` + "\n\n"

// body is a stream that sends events and then stays open until the feed is cancelled or cut is closed.
func body(events string, cut <-chan struct{}) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, events)
		<-cut
		_ = w.Close()
	}()
	return r
}

// serve runs one stream against nodes; the agent's end of it is returned, and what ends it.
func serve(t *testing.T, cfg Config, nodes ...Node) (hub *Hub, agent net.Conn, stop func()) {
	t.Helper()
	cfg.Pool = func() []Node { return nodes }
	cfg.Logger = slog.New(slog.DiscardHandler)
	hub, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://x", nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		hub.Serve(&pipeWriter{near, http.Header{}}, r, Request{ID: []byte("1"), Body: []byte(listenBody("1", `,"notifications":`+tools))})
	}()
	return hub, far, func() {
		cancel()
		_ = far.Close()
		<-done
	}
}

// A lost node is asked again after pauses that double, with up to half as much jitter, and start
// afresh once it was listened to. A change of the pool cuts a pause short.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never, now := make(chan struct{}), make(chan struct{})
		close(now)
		p := &pipeNode{began: time.Now()}
		p.answer = func(n int) io.ReadCloser {
			switch n {
			case 1, 8:
				return body(ackEvent, now) // acknowledged, then lost
			case 10:
				return body(ackEvent, never)
			}
			return nil
		}
		hub, agent, stop := serve(t, Config{MinBackoff: 100 * time.Millisecond, MaxBackoff: time.Second}, p)
		go io.Copy(io.Discard, agent)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if len(p.asked) != 10 {
			t.Fatalf("asked at %v", p.asked)
		}
		for i, ms := range []time.Duration{100, 200, 400, 800, 1000, 1000, 1000, 100, 200} {
			least := ms * time.Millisecond
			if pause := p.asked[i+1] - p.asked[i]; pause < least || pause > least*3/2 {
				t.Errorf("pause %d is %v, want %v to %v", i, pause, least, least*3/2)
			}
		}
		if s := hub.Stats(); s.Relistens != 2 {
			t.Errorf("stats %+v", s)
		}
		close(never)
		stop()
	})
}

func TestChangeCutsPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never, now := make(chan struct{}), make(chan struct{})
		close(now)
		p := &pipeNode{began: time.Now()}
		p.answer = func(n int) io.ReadCloser {
			if n == 1 {
				return body(ackEvent, now)
			}
			return body(ackEvent, never)
		}
		hub, agent, stop := serve(t, Config{MinBackoff: time.Minute, MaxBackoff: time.Minute}, p)
		go io.Copy(io.Discard, agent)
		time.Sleep(time.Second)
		hub.Changed()
		synctest.Wait()
		if len(p.asked) != 2 || p.asked[1] != time.Second {
			t.Errorf("asked at %v", p.asked)
		}
		close(never)
		stop()
	})
}

// While the agent does not read, a hundred changes become one; then it is told the newest.
func TestSlowAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		change := func(n string) string {
			return `data: {"jsonrpc":"2.0","method":"` + mcp.NotificationToolsChanged + `","params":{"n":"` + n + `"}}` + "\n\n"
		}
		updated := `data: {"jsonrpc":"2.0","method":"` + mcp.NotificationResourceUpdated + `","params":{"uri":"a"}}` + "\n\n"
		p := &pipeNode{answer: func(int) io.ReadCloser {
			return body(ackEvent+strings.Repeat(change("old"), 99)+updated+change("new"), never)
		}}
		hub, agent, stop := serve(t, Config{}, p)
		synctest.Wait() // the acknowledgement is being written, everything else waits
		want := ackEvent + change("new") + updated
		got := make([]byte, len(want))
		if _, err := io.ReadFull(agent, got); err != nil || string(got) != want {
			t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
		}
		if s := hub.Stats(); s.Coalesced != 99 || s.Dropped != 0 {
			t.Errorf("stats %+v", s)
		}
		close(never)
		stop()
	})
}

func TestConfig(t *testing.T) {
	good := Config{Pool: func() []Node { return nil }, Logger: slog.New(slog.DiscardHandler)}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
	for name, edit := range map[string]func(*Config){
		"no pool":         func(c *Config) { c.Pool = nil },
		"no logger":       func(c *Config) { c.Logger = nil },
		"settle":          func(c *Config) { c.Settle = time.Minute },
		"backoff":         func(c *Config) { c.MinBackoff = -1 },
		"backoff, order":  func(c *Config) { c.MinBackoff = 10 * time.Second },
		"write timeout":   func(c *Config) { c.WriteTimeout = time.Microsecond },
		"streams":         func(c *Config) { c.MaxStreams = -1 },
		"event too small": func(c *Config) { c.MaxEvent = 1 },
		"queue":           func(c *Config) { c.MaxQueue = 1 },
	} {
		c := good
		edit(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: %+v is accepted", name, c)
		}
	}
}

// endless is a node's stream of one event over and over, counted down.
type endless struct {
	event []byte
	left  int
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, e.event[e.at:])
	if e.at += n; e.at == len(e.event) {
		e.at, e.left = 0, e.left-1
	}
	return n, nil
}
func (e *endless) Close() error { return nil }

// BenchmarkEvent is the whole way of one notification: framed, scanned, queued, written.
func BenchmarkEvent(b *testing.B) {
	event := []byte("event: message\ndata: " + `{"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"1"}}}` + "\n\n")
	s := &stream{hub: &Hub{cfg: Config{MaxEvent: 1 << 20}}, wake: make(chan struct{}, 1), queue: queue{maxItems: 256, maxBytes: 4 << 20}}
	b.ReportAllocs()
	first := true
	p := benchNode{func() io.ReadCloser {
		if !first {
			return nil
		}
		first = false
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(strings.NewReader(ackEvent), &endless{event: event, left: b.N}), io.NopCloser(nil)}
	}}
	f := &feed{s: s, node: p}
	done := make(chan struct{})
	go func() { defer close(done); _, _ = f.try(context.Background()) }()
	var batch []item
	for {
		select {
		case <-s.wake:
			batch = s.take(batch)
			for _, it := range batch {
				_, _ = io.Discard.Write(it.raw)
			}
			continue
		case <-done:
		}
		return
	}
}

type benchNode struct{ answer func() io.ReadCloser }

func (n benchNode) ID() regions.NodeID { return "bench" }
func (n benchNode) Do(context.Context, *upstream.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: n.answer()}, nil
}
