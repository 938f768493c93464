package mcp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/quorate/quorate/gateway/mcp"
)

func TestWriteError(t *testing.T) {
	for _, tt := range []struct {
		err        *mcp.Error
		id         string
		status     int
		retryAfter string
		body       string
	}{
		{mcp.OutcomeUnknown("node_lost"), "7", 502, "",
			`{"jsonrpc":"2.0","id":7,"error":{"code":-32070,"message":"outcome unknown: the node was lost after it may have received the request","data":{"reason":"node_lost"}}}`},
		{mcp.NoAuthority("minority", 1500*time.Millisecond), `"a"`, 503, "2",
			`{"jsonrpc":"2.0","id":"a","error":{"code":-32071,"message":"no authority: this side may not write now; nothing was done, so send it again later, or through another region's gateway","data":{"reason":"minority","retry_after_ms":1500}}}`},
		{mcp.NothingFits("no_node", 1), "1", 503, "1",
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32072,"message":"no node can take the request","data":{"reason":"no_node","retry_after_ms":1}}}`},
		{mcp.Overloaded("budget", time.Second), "1", 503, "1",
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32073,"message":"overloaded","data":{"reason":"budget","retry_after_ms":1000}}}`},
		{mcp.TooManyRequests("rate", -1), "1", 429, "",
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32073,"message":"overloaded","data":{"reason":"rate"}}}`},
		{mcp.UnsupportedVersion("2030-01-01", nil), "1", 400, "",
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"unsupported protocol version","data":{"requested":"2030-01-01","supported":[]}}}`},
		{mcp.MethodNotFound("a\"b"), "1", 404, "",
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"method not found: a\"b","data":{"reason":"method_not_found"}}}`},
		{mcp.ParseError("bad"), "", 400, "",
			`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"bad","data":{"reason":"parse_error"}}}`},
		{&mcp.Error{Code: -32603, Message: "m", HTTPStatus: 500}, "1", 500, "",
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"m"}}`},
		{&mcp.Error{Code: -32603, Message: "m", HTTPStatus: 500, Data: func() {}}, "1", 500, "",
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"m"}}`},
	} {
		w := httptest.NewRecorder()
		var id []byte
		if tt.id != "" {
			id = []byte(tt.id)
		}
		mcp.WriteError(w, tt.err, id)
		if w.Code != tt.status || w.Body.String() != tt.body || w.Header().Get("Retry-After") != tt.retryAfter {
			t.Errorf("%v: %d, Retry-After %q, %s\nwant %d, %q, %s", tt.err, w.Code, w.Header().Get("Retry-After"), w.Body,
				tt.status, tt.retryAfter, tt.body)
		}
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("%v: Content-Type %q", tt.err, got)
		}
		if got := w.Header().Get("Content-Length"); got != fmt.Sprint(w.Body.Len()) {
			t.Errorf("%v: Content-Length %q", tt.err, got)
		}
		if _, err := jsonrpc.DecodeMessage(w.Body.Bytes()); err != nil && tt.id != "" {
			t.Errorf("%v: go-sdk cannot read it: %v", tt.err, err)
		}
	}
}

func TestScanError(t *testing.T) {
	for err, want := range map[error]int{
		mcp.ErrSyntax: mcp.CodeParse, mcp.ErrTooDeep: mcp.CodeInvalidRequest, mcp.ErrDuplicate: mcp.CodeInvalidRequest,
		mcp.ErrBadID: mcp.CodeInvalidRequest, mcp.ErrBatch: mcp.CodeInvalidRequest, mcp.ErrNotJSONRPC: mcp.CodeInvalidRequest,
	} {
		got := mcp.ScanError(fmt.Errorf("wrapped: %w", err))
		if got.Code != want || got.HTTPStatus != http.StatusBadRequest || strings.Contains(got.Message, "wrapped") {
			t.Errorf("ScanError(%v) = %+v, want code %d", err, got, want)
		}
	}
}
