package sessions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/internal/mcpagent"
	"github.com/quorate/quorate/internal/mcpnode"
)

// Codes of errors that agents get.
const (
	codeUnknown     = -32070
	codeNoAuthority = -32071
	codeNothingFits = -32072
	codeOverloaded  = -32073
)

// monotonic is the clock of the journals.
func monotonic() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // it fails for clocks that do not exist
	return time.Duration(t.Nano())
}

// answer is what an agent got.
type answer struct {
	status   int
	header   http.Header
	code     int    // of a JSON-RPC error
	text     string // of the body
	said     string // of the result's first content
	failed   bool   // a result that says isError
	err      error  // there is no answer
	sent, at time.Duration
}

func (a *answer) good() bool {
	return a.err == nil && a.status >= 200 && a.status < 300 && a.code == 0 && !a.failed
}
func (a *answer) gone() bool { return a.err == nil && a.status == http.StatusNotFound }

// later says that nothing was done, and that asking again may help.
func (a *answer) later() bool {
	return a.err == nil && !a.good() && (retriable(a.code) || a.status == http.StatusServiceUnavailable)
}

func retriable(code int) bool {
	return code == codeNoAuthority || code == codeNothingFits || code == codeOverloaded
}

func (a *answer) took() time.Duration { return a.at - a.sent }

func (a *answer) String() string {
	return fmt.Sprintf("status %d, code %d, isError %v, after %s, %.300s %v", a.status, a.code, a.failed, a.took().Round(time.Millisecond), a.text, a.err)
}

// raw is an agent that speaks for itself, so that it can name any session anywhere. It may be used concurrently.
type raw struct {
	w       *world
	url     string
	session string
	client  *http.Client
	header  [][2]string // more of every request
}

// raw returns an agent without a session at a URL, which dials from the agents' place.
func (w *world) raw(url string) *raw { return w.rawFrom(url, w.edge, nil) }

func (w *world) rawFrom(url string, at *place, from net.IP) *raw {
	return &raw{w: w, url: url, client: &http.Client{Transport: at.transport(from), Timeout: 60 * time.Second}}
}

// at returns an agent of the same session at another gateway, on connections of its own.
func (r *raw) at(m *member) *raw { return r.to(m.url()) }

func (r *raw) to(url string) *raw {
	o := r.w.raw(url)
	o.session, o.header = r.session, r.header
	return o
}

func (r *raw) close() { r.client.CloseIdleConnections() }

// begin opens a session and answers how.
func (r *raw) begin() *answer {
	a := r.post(r.w.t.Context(), `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`)
	if !a.good() {
		return a
	}
	r.session = a.header.Get("Mcp-Session-Id")
	return r.post(r.w.t.Context(), `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

// open opens a session or fails the test.
func (r *raw) open() *raw {
	r.w.t.Helper()
	if a := r.begin(); !a.good() || r.session == "" {
		r.w.t.Fatalf("initialize: %s, session %q", a, r.session)
	}
	return r
}

// request sends a request within the session.
func (r *raw) request(ctx context.Context, method, params string) *answer {
	return r.post(ctx, fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":%q,"params":%s}`, method, params))
}

// call calls a tool. meta is the _meta of the call, "" for none.
func (r *raw) call(ctx context.Context, tool, arguments, meta string) *answer {
	if meta != "" {
		meta = `,"_meta":` + meta
	}
	return r.request(ctx, "tools/call", fmt.Sprintf(`{"name":%q,"arguments":%s%s}`, tool, arguments, meta))
}

// read makes one safe call: within the session, or in the modern era when there is none.
func (r *raw) read() *answer {
	if r.session != "" {
		return r.call(r.w.t.Context(), mcpnode.ToolLookup, `{"key":"k"}`, "")
	}
	return r.post(r.w.t.Context(), `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"lookup","arguments":{"key":"k"},"_meta":`+mcpagent.ModernMeta+`}}`,
		mcp.HeaderVersion, mcpagent.VersionModern, mcp.HeaderMethod, "tools/call", mcp.HeaderName, mcpnode.ToolLookup)
}

// write makes a call that must not run twice. Its name in the journals is id.
func (r *raw) write(ctx context.Context, id string) *answer {
	return r.call(ctx, mcpnode.ToolCharge, fmt.Sprintf(`{"call":%q}`, id), "")
}

func (r *raw) setLevel(level string) *answer {
	return r.request(r.w.t.Context(), "logging/setLevel", fmt.Sprintf(`{"level":%q}`, level))
}

// subscribe subscribes to a resource that never changes; each n is another one.
func (r *raw) subscribe(ctx context.Context, n int) *answer {
	return r.request(ctx, "resources/subscribe", fmt.Sprintf(`{"uri":"%s/%d"}`, mcpnode.UpdatesURI, n))
}

// settings is what the node of the session holds of it.
func (r *raw) settings() *answer {
	return r.call(r.w.t.Context(), mcpnode.ToolSettings, `{}`, "")
}

// subscribed is how many subscriptions settings tells of.
func (a *answer) subscribed() int { return strings.Count(a.said, mcpnode.UpdatesURI) }

// end deletes the session.
func (r *raw) end() *answer { return r.do(r.w.t.Context(), http.MethodDelete, "") }

func (r *raw) post(ctx context.Context, body string, header ...string) *answer {
	return r.do(ctx, http.MethodPost, body, header...)
}

func (r *raw) do(ctx context.Context, method, body string, header ...string) *answer {
	a := &answer{sent: monotonic()}
	defer func() { a.at = monotonic() }()
	q, err := http.NewRequestWithContext(ctx, method, r.url, strings.NewReader(body))
	if err != nil {
		a.err = err
		return a
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Accept", "application/json, text/event-stream")
	if r.session != "" {
		q.Header.Set("Mcp-Session-Id", r.session)
		q.Header.Set(mcp.HeaderVersion, mcpagent.VersionLegacy)
	}
	for _, h := range r.header {
		q.Header.Set(h[0], h[1])
	}
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	resp, err := r.client.Do(q)
	if err != nil {
		a.err = err
		return a
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		a.err = err
		return a
	}
	a.decode(b)
	return a
}

// decode reads a JSON-RPC answer, alone or as the last event of a stream.
func (a *answer) decode(b []byte) {
	a.text = string(b)
	var message struct {
		Error  *struct{ Code int }
		Result struct {
			IsError bool
			Content []struct{ Text string }
		}
	}
	text := a.text
	if i := strings.LastIndex(text, "data: "); i >= 0 && strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream") {
		text = text[i+len("data: "):]
	}
	if err := json.Unmarshal([]byte(text), &message); err != nil {
		return // no JSON-RPC: the status says what it is
	}
	if e := message.Error; e != nil {
		a.code = e.Code
	}
	a.failed = message.Result.IsError
	if c := message.Result.Content; len(c) > 0 {
		a.said = c[0].Text
	}
}
