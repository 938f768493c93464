package identity_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/internal/mcpnode"
)

// agents use the gateway in every way that dials a node, with calls that may be sent twice.
type agents struct {
	w        *world
	t        *testing.T
	kinds    int
	ctx      context.Context
	stop     context.CancelFunc
	work     sync.WaitGroup
	client   *http.Client
	calls    atomic.Int64 // that ended well
	slow     atomic.Int64 // of these, those that took longer than a suspicion
	sessions atomic.Int64 // of these, those in sessions
	streams  atomic.Int64 // listen streams that were opened
	failed   atomic.Int64
}

// Kinds of agents.
const (
	stateless  = 1 << iota // calls
	slowly                 // calls that take longer than a suspicion
	legacy                 // calls in sessions
	listening              // streams
	everything = stateless | slowly | legacy | listening
)

// release starts agents of some kinds.
func release(t *testing.T, w *world, kinds int) *agents {
	t.Helper()
	a := &agents{w: w, t: t, kinds: kinds, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	a.ctx, a.stop = context.WithCancel(context.Background())
	t.Cleanup(a.end)
	start := func(kind int, agent func()) {
		if kinds&kind != 0 {
			a.work.Go(agent)
		}
	}
	for range 4 {
		start(stateless, func() { a.each(5*time.Millisecond, func() { a.call(mcpnode.ToolEcho, 0, &a.calls) }) })
		start(slowly, func() { a.each(time.Millisecond, func() { a.call(mcpnode.ToolSlow, 400, &a.slow) }) })
		start(legacy, a.session)
		start(listening, a.listen)
	}
	return a
}

func (a *agents) end() {
	a.stop()
	a.work.Wait()
	a.client.CloseIdleConnections()
}

// each does f again and again, with pauses, until the agents are called back.
func (a *agents) each(pause time.Duration, f func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-tick.C:
			f()
		}
	}
}

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

func (a *agents) post(method, name, params string) (*http.Response, error) {
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":%q,"params":{%s,%s}}`, method, params, meta)
	r, err := http.NewRequestWithContext(a.ctx, http.MethodPost, a.w.url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	r.Header.Set(mcp.HeaderVersion, mcp.Version20260728)
	r.Header.Set(mcp.HeaderMethod, method)
	if name != "" {
		r.Header.Set("Mcp-Name", name)
	}
	return a.client.Do(r)
}

// call makes a stateless call and counts it.
func (a *agents) call(tool string, ms int, good *atomic.Int64) {
	resp, err := a.post("tools/call", tool, fmt.Sprintf(`"name":%q,"arguments":{"text":"hello","key":"hello","work_ms":%d}`, tool, ms))
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "hello") {
		a.fail("%s: %v %.300s", tool, err, body)
		return
	}
	good.Add(1)
}

// listen keeps a listen stream open, and opens it again when it ends.
func (a *agents) listen() {
	a.each(10*time.Millisecond, func() {
		resp, err := a.post(mcp.MethodListen, "", `"notifications":{"toolsListChanged":true}`)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			a.streams.Add(1)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	})
}

// session works in one legacy session after another; a call or a session that is lost is a failure.
func (a *agents) session() {
	a.each(time.Millisecond, func() {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		s, err := sdk.NewClient(&sdk.Implementation{Name: "agent", Version: "1"}, nil).Connect(a.ctx,
			&sdk.StreamableClientTransport{Endpoint: a.w.url, HTTPClient: &http.Client{Transport: transport}},
			&sdk.ClientSessionOptions{ProtocolVersion: mcp.Version20251125})
		if err != nil {
			a.fail("no session: %v", err)
			return
		}
		defer s.Close()
		for range 50 {
			r, err := s.CallTool(a.ctx, &sdk.CallToolParams{Name: mcpnode.ToolLookup, Arguments: map[string]any{"key": "hello", "work_ms": 5}})
			if err != nil || r.IsError {
				a.fail("in a session: %v %+v", err, r)
				return
			}
			a.sessions.Add(1)
		}
	})
}

// fail counts a failure, unless it is the test that ends.
func (a *agents) fail(format string, args ...any) {
	if a.ctx.Err() == nil {
		a.failed.Add(1)
		a.t.Errorf(format, args...)
	}
}

// worked returns how much each kind of agent has done, in a fixed order.
func (a *agents) worked() [4]int64 {
	return [4]int64{a.calls.Load(), a.slow.Load(), a.sessions.Load(), a.streams.Load()}
}

// settle waits until every kind of call has been made a few times more.
func (a *agents) settle() {
	a.t.Helper()
	before, wanted := a.worked(), [4]int64{100, 8, 50, 0}
	a.w.await(a.t, "agents get on", func() bool {
		on := a.failed.Load() == 0
		for i, now := range a.worked() {
			on = on && (a.kinds&(1<<i) == 0 || now >= before[i]+wanted[i] && now > 0)
		}
		return on || a.failed.Load() > 0
	})
}
