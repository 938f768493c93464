package authority_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/internal/mcpnode"
)

// noAuthority is the code of a refused write.
const noAuthority = -32071

// answer is what an agent got.
type answer struct {
	status   int
	header   http.Header
	code     int    // of a JSON-RPC error
	text     string // of the error, or of the result
	failed   bool   // a result that says isError
	err      error  // there is no answer
	id       string // of the call, for the journal
	via      *member
	sent, at time.Duration
}

func (a *answer) good() bool {
	return a.err == nil && a.status == http.StatusOK && a.code == 0 && !a.failed
}
func (a *answer) refused() bool { return a.err == nil && a.code == noAuthority }
func (a *answer) marked() bool {
	return a.err == nil && a.header.Get(mcp.HeaderAuthority) == mcp.Minority
}

func (a *answer) String() string {
	return fmt.Sprintf("%s: %d, code %d, isError %v, %.200s %v", a.id, a.status, a.code, a.failed, a.text, a.err)
}

// agentClient is an agent's connections.
func agentClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 60 * time.Second}
}

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// write makes one call that must not run twice, from a connection of its own. more is put before its arguments' end.
func (m *member) write(more string) *answer {
	return m.call(m.f.t.Context(), agentClient(), mcpnode.ToolCharge, rand.Text(), more)
}

// read makes one safe call.
func (m *member) read() *answer {
	return m.call(m.f.t.Context(), agentClient(), mcpnode.ToolLookup, "", `,"key":"k"`)
}

// call makes one call of the modern era.
func (m *member) call(ctx context.Context, client *http.Client, tool, id, more string) *answer {
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"call":%q%s},%s}}`, tool, id, more, meta)
	if id == "" {
		body = strings.Replace(body, `"call":"",`, "", 1)
	}
	a := m.post(ctx, client, body, mcp.HeaderVersion, "2026-07-28", mcp.HeaderMethod, "tools/call", mcp.HeaderName, tool)
	a.id, a.via = id, m
	return a
}

// initialize begins a session of the legacy era.
func (m *member) initialize() *answer {
	return m.post(m.f.t.Context(), agentClient(), `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"agent","version":"1"}}}`)
}

func (m *member) post(ctx context.Context, client *http.Client, body string, header ...string) *answer {
	return post(ctx, client, "http://"+m.listen+"/mcp", body, header...)
}

func post(ctx context.Context, client *http.Client, url, body string, header ...string) *answer {
	a := &answer{sent: monotonic()}
	defer func() { a.at = monotonic() }()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		a.err = err
		return a
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(r)
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
		Error *struct {
			Code    int
			Message string
		}
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
}
