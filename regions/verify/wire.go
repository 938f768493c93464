package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

// Bounds of what a node may answer to one request, in bytes.
const (
	maxHeader = 64 << 10
	maxBody   = 8 << 20  // a page of a list, also when it comes as an event
	maxError  = 64 << 10 // the body of an answer that is not 2xx
)

// wire is the HTTP side of one node. It is safe for concurrent use.
type wire struct {
	client *http.Client
	url    string
	host   string // of the Host field; "": url's
	header http.Header
	lastID atomic.Int64
}

// request is one JSON-RPC request as an era sends it.
type request struct {
	method  string
	version string         // protocol version; "" before it is negotiated
	session string         // legacy session id, if any
	params  map[string]any // without _meta
}

// answer is a JSON-RPC result with what its HTTP frame told.
type answer struct {
	result  json.RawMessage
	session string
	sent    time.Time
	took    time.Duration // request sent to result read
}

// message is the JSON-RPC frame of everything that comes from a node.
type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	} `json:"error"`
}

// call sends q and waits for its result. An answer that is not one is a *refusal, also when its
// status is 200: a front may say OK for a node that is dead.
func (w *wire) call(ctx context.Context, q request) (*answer, error) {
	id := w.lastID.Add(1)
	sent := time.Now()
	resp, err := w.post(ctx, q, id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.method, bare(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, refused(q.method, resp)
	}
	m, err := readAnswer(resp, id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.method, err)
	}
	if err := m.refusal(q.method, resp.StatusCode); err != nil {
		return nil, err
	}
	return &answer{result: m.Result, session: resp.Header.Get(mcp.HeaderSession), sent: sent, took: time.Since(sent)}, nil
}

// notify sends a notification and wants any 2xx.
func (w *wire) notify(ctx context.Context, q request) error {
	resp, err := w.post(ctx, q, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", q.method, bare(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return refused(q.method, resp)
	}
	return nil
}

// post sends q; id 0 makes it a notification.
func (w *wire) post(ctx context.Context, q request, id int64) (*http.Response, error) {
	body := map[string]any{"jsonrpc": "2.0", "method": q.method}
	if id != 0 {
		body["id"] = id
	}
	params := q.params
	if mcp.EraOf(q.version) == mcp.Modern {
		params = withMeta(params, q.version)
	}
	if params != nil {
		body["params"] = params
	}
	return w.send(ctx, http.MethodPost, q, body)
}

func withMeta(params map[string]any, version string) map[string]any {
	out := map[string]any{"_meta": map[string]any{
		mcp.MetaProtocolVersion:              version,
		mcp.MetaClientCapabilities:           map[string]any{},
		"io.modelcontextprotocol/clientInfo": clientInfo(),
	}}
	for k, v := range params {
		out[k] = v
	}
	return out
}

func clientInfo() map[string]any { return map[string]any{"name": "quorate-verify", "version": "1"} }

// send makes one HTTP request with the headers that q's era wants; body nil sends none.
func (w *wire) send(ctx context.Context, verb string, q request, body any) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, verb, w.url, reader)
	if err != nil {
		return nil, err
	}
	w.setHeaders(req, q)
	return w.client.Do(req)
}

func (w *wire) setHeaders(req *http.Request, q request) {
	req.Host = w.host
	for k, v := range w.header {
		req.Header[k] = v
	}
	req.Header.Set("Accept", "application/json, text/event-stream")
	if req.Method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if q.version != "" {
		req.Header.Set(mcp.HeaderVersion, q.version)
	}
	if q.session != "" {
		req.Header.Set(mcp.HeaderSession, q.session)
	}
	if q.method != "" && mcp.EraOf(q.version) == mcp.Modern {
		req.Header.Set(mcp.HeaderMethod, q.method)
	}
}

// readAnswer returns the response with our id, whether it comes as a body or among events.
func readAnswer(resp *http.Response, id int64) (*message, error) {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		body, err := bounded(resp.Body, maxBody)
		if err != nil {
			return nil, err
		}
		return parseAnswer(body, id)
	case "text/event-stream":
		return readEvents(resp.Body, id)
	}
	return nil, &refusal{Status: resp.StatusCode, Text: fmt.Sprintf("content type %.40q is not MCP", kind)}
}

func readEvents(r io.Reader, id int64) (*message, error) {
	budget := &io.LimitedReader{R: r, N: maxBody}
	events := mcp.NewEventReader(budget, maxBody)
	for {
		e, err := events.Next()
		if err != nil {
			return nil, fmt.Errorf("event stream ended before its answer: %w", bare(err))
		}
		if m, err := parseAnswer(e.Data, id); err == nil {
			return m, nil
		}
	}
}

// parseAnswer refuses whatever is not the JSON-RPC response to id.
func parseAnswer(body []byte, id int64) (*message, error) {
	var m message
	if err := json.Unmarshal(body, &m); err != nil || m.Version != "2.0" {
		return nil, &refusal{Status: http.StatusOK, Text: "the answer is not JSON-RPC"}
	}
	if m.Method != "" || (string(m.ID) != strconv.FormatInt(id, 10) && m.Error == nil) {
		return nil, &refusal{Status: http.StatusOK, Text: "the answer is not the response to this request"}
	}
	return &m, nil
}

// bounded reads all of r, or fails if that is more than max bytes.
func bounded(r io.Reader, max int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, max+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", bare(err))
	}
	if int64(len(body)) > max {
		return nil, fmt.Errorf("the answer is larger than %d bytes", max)
	}
	return body, nil
}

// bare strips the URL that net/http puts into its errors: a query may hold a secret.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
