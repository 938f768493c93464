// Package mcpagent is an agent that speaks MCP over one keep-alive connection without a client library's own
// recovery: what it reports is what came over the wire. It must not know what is at the other end, and never sends a
// call again.
package mcpagent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// The protocol versions that the two eras are spoken in.
const (
	VersionModern = "2026-07-28"
	VersionLegacy = "2025-11-25"
)

// ModernMeta is the _meta of every modern request.
const ModernMeta = `{"io.modelcontextprotocol/protocolVersion":"` + VersionModern +
	`","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":` + clientInfo + `}`

const (
	clientInfo = `{"name":"raw","version":"1"}`
	// maxAnswer bounds what is read of one answer, in bytes.
	maxAnswer = 1 << 20
)

// CallError is a call without a result.
type CallError struct {
	Code        int  // JSON-RPC error code, 0 when there was none
	Status      int  // HTTP status, 0 when there was none
	SessionLost bool // the agent has to open a new session
	Unsent      bool // no session could be opened for the call, which was not sent
	Err         error
}

// Error implements error.
func (e *CallError) Error() string {
	return fmt.Sprintf("code %d, status %d, session lost %v: %v", e.Code, e.Status, e.SessionLost, e.Err)
}

// Unwrap returns what was behind it.
func (e *CallError) Unwrap() error { return e.Err }

// Agent is one agent. It is for one goroutine.
type Agent struct {
	url     string
	legacy  bool
	http    *http.Client
	id      int
	session string // legacy only; "" means that a session has to be opened
}

// New returns an agent of one era at a URL. It sends through the transport, which should keep one connection.
func New(url string, legacy bool, transport http.RoundTripper) *Agent {
	return &Agent{url: url, legacy: legacy, http: &http.Client{Transport: transport}}
}

// Close frees the connection.
func (r *Agent) Close() { r.http.CloseIdleConnections() }

// Call calls a tool with arguments that encode as a JSON object. In the legacy era it opens a session when it has
// none. It returns nil when the tool answered, else a *CallError.
func (r *Agent) Call(ctx context.Context, tool string, a any) error {
	if r.legacy && r.session == "" {
		if err := r.open(ctx); err != nil {
			var ce *CallError
			if errors.As(err, &ce) {
				ce.Unsent = true
			}
			return err
		}
	}
	args, err := json.Marshal(a)
	if err != nil {
		return &CallError{Err: err}
	}
	meta := ""
	if !r.legacy {
		meta = `,"_meta":` + ModernMeta
	}
	_, err = r.request(ctx, "tools/call", tool, fmt.Sprintf(`{"name":%q,"arguments":%s%s}`, tool, args, meta))
	return r.lost(err)
}

// lost takes note of a session that is not known any more.
func (r *Agent) lost(err error) error {
	var ce *CallError
	if r.legacy && errors.As(err, &ce) && ce.Status == http.StatusNotFound {
		r.session, ce.SessionLost = "", true
	}
	return err
}

// open makes a legacy session.
func (r *Agent) open(ctx context.Context) error {
	_, err := r.begin(ctx)
	if err != nil {
		return err
	}
	_, err = r.post(ctx, "notifications/initialized", "", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "")
	return err
}

// begin sends initialize.
func (r *Agent) begin(ctx context.Context) (Answer, error) {
	a, err := r.request(ctx, "initialize", "",
		`{"protocolVersion":"`+VersionLegacy+`","capabilities":{},"clientInfo":`+clientInfo+`}`)
	if err != nil {
		return a, err
	}
	if r.session = a.Header.Get("Mcp-Session-Id"); r.session == "" {
		return a, &CallError{Err: errors.New("initialize was answered without a session")}
	}
	return a, nil
}

func (r *Agent) request(ctx context.Context, method, name, params string) (Answer, error) {
	r.id++
	id := fmt.Sprint(r.id)
	body := `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":` + params + `}`
	return r.post(ctx, method, name, body, id)
}

// post sends one message; with an id it returns nil only for a result with that id.
func (r *Agent) post(ctx context.Context, method, name, body, id string) (a Answer, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, strings.NewReader(body))
	if err != nil {
		return a, &CallError{Err: err}
	}
	r.headers(req.Header, method, name)
	resp, err := r.http.Do(req)
	if err != nil {
		return a, &CallError{Err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	a.Header = resp.Header
	in := io.LimitReader(resp.Body, maxAnswer)
	if id != "" && resp.StatusCode == http.StatusOK && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		a.content, err = streamed(id, in)
		return a, err
	}
	a.content, err = whole(resp.StatusCode, id, in)
	return a, err
}

func (r *Agent) headers(h http.Header, method, name string) {
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json, text/event-stream")
	if r.legacy {
		if r.session != "" {
			h.Set("Mcp-Session-Id", r.session)
			h.Set("MCP-Protocol-Version", VersionLegacy)
		}
		return
	}
	h.Set("MCP-Protocol-Version", VersionModern)
	h.Set("Mcp-Method", method)
	if name != "" {
		h.Set("Mcp-Name", name)
	}
}

// message is what a raw agent reads of a JSON-RPC message.
type message struct {
	ID     json.RawMessage `json:"id"`
	Result *struct {
		IsError bool            `json:"isError"`
		Content json.RawMessage `json:"content"`
	} `json:"result"`
	Error *struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	} `json:"error"`
}

// verdict says what a message with the call's id means.
func (m *message) verdict(status int) (json.RawMessage, error) {
	switch {
	case m.Error != nil:
		return nil, &CallError{Code: m.Error.Code, Status: status, Err: fmt.Errorf("%s %s", m.Error.Message, m.Error.Data)}
	case m.Result == nil:
		return nil, &CallError{Status: status, Err: errors.New("neither result nor error")}
	case m.Result.IsError:
		return nil, &CallError{Code: 1, Status: status, Err: fmt.Errorf("tool failed: %s", m.Result.Content)}
	default:
		return m.Result.Content, nil
	}
}

// whole reads an answer that is not a stream.
func whole(status int, id string, in io.Reader) (json.RawMessage, error) {
	raw, err := io.ReadAll(in)
	if err != nil {
		return nil, &CallError{Err: err}
	}
	if id == "" && status < 300 {
		return nil, nil
	}
	var m message
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, &CallError{Status: status, Err: fmt.Errorf("%.200q", raw)}
	}
	if status == http.StatusOK && string(m.ID) != id {
		return nil, &CallError{Err: fmt.Errorf("answer to id %s, want %s", m.ID, id)}
	}
	return m.verdict(status)
}

// streamed reads events until the answer to id, then the end of the stream.
func streamed(id string, in io.Reader) (json.RawMessage, error) {
	br := bufio.NewReader(in)
	for {
		line, err := br.ReadBytes('\n')
		if err != nil {
			return nil, &CallError{Err: fmt.Errorf("stream ended without an answer: %w", err)}
		}
		data, ok := bytes.CutPrefix(line, []byte("data:"))
		var m message
		if !ok || json.Unmarshal(data, &m) != nil || string(m.ID) != id {
			continue // another field, a notification or an empty priming event
		}
		if _, err := io.Copy(io.Discard, br); err != nil {
			return nil, &CallError{Err: fmt.Errorf("stream broken after its answer: %w", err)}
		}
		return m.verdict(http.StatusOK)
	}
}
