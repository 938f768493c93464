package failover

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

	"github.com/quorate/quorate/internal/mcpnode"
)

const (
	versionModern = "2026-07-28"
	versionLegacy = "2025-11-25"
	clientInfo    = `{"name":"failover","version":"1"}`
	modernMeta    = `{"io.modelcontextprotocol/protocolVersion":"` + versionModern +
		`","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":` + clientInfo + `}`
	// maxAnswer bounds what is read of one answer, in bytes.
	maxAnswer = 1 << 20
)

// rawAgent speaks MCP over one keep-alive connection, without a client library's own recovery: what
// it sees is what came over the wire.
type rawAgent struct {
	url     string
	legacy  bool
	http    *http.Client
	id      int
	session string // legacy only; "" means that a session has to be opened
}

func newRawAgent(url string, legacy bool, t *tally) *rawAgent {
	return &rawAgent{url: url, legacy: legacy, http: &http.Client{Transport: counted{&http.Transport{
		MaxIdleConnsPerHost: 1, DisableCompression: true,
	}, t}}}
}

func (r *rawAgent) close() { r.http.CloseIdleConnections() }

func (r *rawAgent) call(ctx context.Context, tool string, a mcpnode.Args) error {
	if r.legacy && r.session == "" {
		if err := r.open(ctx); err != nil {
			return err
		}
	}
	args, err := json.Marshal(a)
	if err != nil {
		return &callError{Err: err}
	}
	meta := ""
	if !r.legacy {
		meta = `,"_meta":` + modernMeta
	}
	_, err = r.request(ctx, "tools/call", tool, fmt.Sprintf(`{"name":%q,"arguments":%s%s}`, tool, args, meta))
	var ce *callError
	if r.legacy && errors.As(err, &ce) && ce.Status == http.StatusNotFound {
		r.session, ce.SessionLost = "", true
	}
	return err
}

// open makes a legacy session.
func (r *rawAgent) open(ctx context.Context) error {
	h, err := r.request(ctx, "initialize", "",
		`{"protocolVersion":"`+versionLegacy+`","capabilities":{},"clientInfo":`+clientInfo+`}`)
	if err != nil {
		return err
	}
	if r.session = h.Get("Mcp-Session-Id"); r.session == "" {
		return &callError{Err: errors.New("initialize was answered without a session")}
	}
	_, err = r.post(ctx, "notifications/initialized", "", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "")
	return err
}

func (r *rawAgent) request(ctx context.Context, method, name, params string) (http.Header, error) {
	r.id++
	id := fmt.Sprint(r.id)
	body := `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":` + params + `}`
	return r.post(ctx, method, name, body, id)
}

// post sends one message; with an id it returns nil only for a result with that id.
func (r *rawAgent) post(ctx context.Context, method, name, body, id string) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, strings.NewReader(body))
	if err != nil {
		return nil, &callError{Err: err}
	}
	r.headers(req.Header, method, name)
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, &callError{Err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	in := io.LimitReader(resp.Body, maxAnswer)
	if id == "" || resp.StatusCode != http.StatusOK {
		return resp.Header, whole(resp.StatusCode, id, in)
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return resp.Header, streamed(id, in)
	}
	return resp.Header, whole(resp.StatusCode, id, in)
}

func (r *rawAgent) headers(h http.Header, method, name string) {
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json, text/event-stream")
	if r.legacy {
		if r.session != "" {
			h.Set("Mcp-Session-Id", r.session)
			h.Set("MCP-Protocol-Version", versionLegacy)
		}
		return
	}
	h.Set("MCP-Protocol-Version", versionModern)
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
func (m *message) verdict(status int) error {
	switch {
	case m.Error != nil:
		return &callError{Code: m.Error.Code, Status: status, Err: fmt.Errorf("%s %s", m.Error.Message, m.Error.Data)}
	case m.Result == nil:
		return &callError{Status: status, Err: errors.New("neither result nor error")}
	case m.Result.IsError:
		return &callError{Code: 1, Status: status, Err: fmt.Errorf("tool failed: %s", m.Result.Content)}
	default:
		return nil
	}
}

// whole reads an answer that is not a stream.
func whole(status int, id string, in io.Reader) error {
	raw, err := io.ReadAll(in)
	if err != nil {
		return &callError{Err: err}
	}
	if id == "" && status < 300 {
		return nil
	}
	var m message
	if err := json.Unmarshal(raw, &m); err != nil {
		return &callError{Status: status, Err: fmt.Errorf("%.200q", raw)}
	}
	if status == http.StatusOK && string(m.ID) != id {
		return &callError{Err: fmt.Errorf("answer to id %s, want %s", m.ID, id)}
	}
	return m.verdict(status)
}

// streamed reads events until the answer to id, then the end of the stream.
func streamed(id string, in io.Reader) error {
	br := bufio.NewReader(in)
	for {
		line, err := br.ReadBytes('\n')
		if err != nil {
			return &callError{Err: fmt.Errorf("stream ended without an answer: %w", err)}
		}
		data, ok := bytes.CutPrefix(line, []byte("data:"))
		var m message
		if !ok || json.Unmarshal(data, &m) != nil || string(m.ID) != id {
			continue // another field, a notification or an empty priming event
		}
		if _, err := io.Copy(io.Discard, br); err != nil {
			return &callError{Err: fmt.Errorf("stream broken after its answer: %w", err)}
		}
		return m.verdict(http.StatusOK)
	}
}
