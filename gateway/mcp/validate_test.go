package mcp_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/quorate/quorate/gateway/mcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	goodMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	noMeta   = `"x":1`
)

func meta(version string, capabilities string) string {
	return `"_meta":{"io.modelcontextprotocol/protocolVersion":` + version + `,"io.modelcontextprotocol/clientCapabilities":` + capabilities + `}`
}

func request(method, params string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{` + params + `}}`
}

func notification(method, params string) string {
	return `{"jsonrpc":"2.0","method":"` + method + `","params":{` + params + `}}`
}

// validateCase says what Validate answers, and whether a go-sdk node is known to answer otherwise.
type validateCase struct {
	name                    string
	version, method, naming string // headers
	body                    string
	code                    int    // 0: pass
	node                    string // why the node differs; "" when it must answer the same
}

func validateCases() []validateCase {
	const v = mcp.Version20260728
	call := request("tools/call", `"name":"echo",`+goodMeta)
	return []validateCase{
		{"good call", v, "tools/call", "echo", call, 0, ""},
		{"good list", v, "tools/list", "", request("tools/list", goodMeta), 0, ""},
		{"good list with a needless name", v, "tools/list", "x", request("tools/list", goodMeta), 0, ""},
		{"discover", v, "server/discover", "", request("server/discover", goodMeta), 0, ""},
		{"no method header", v, "", "echo", call, mcp.CodeHeaderMismatch, ""},
		{"other method header", v, "tools/list", "echo", call, mcp.CodeHeaderMismatch, ""},
		{"method header in another case", v, "Tools/Call", "echo", call, mcp.CodeHeaderMismatch, ""},
		{"no name header", v, "tools/call", "", call, mcp.CodeHeaderMismatch, ""},
		{"other name header", v, "tools/call", "other", call, mcp.CodeHeaderMismatch, ""},
		{"name in the header only", v, "tools/call", "echo", request("tools/call", goodMeta), mcp.CodeHeaderMismatch, ""},
		{"name is a number", v, "tools/call", "1", request("tools/call", `"name":1,`+goodMeta), mcp.CodeHeaderMismatch, ""},
		{"name as base64", v, "tools/call", "=?base64?ZWNobw==?=", call, 0,
			"go-sdk v1.8 compares Mcp-Name undecoded"},
		{"name as broken base64", v, "tools/call", "=?base64?!?=", call, mcp.CodeHeaderMismatch, ""},
		{"name in UTF-8", v, "tools/call", "größe", request("tools/call", `"name":"größe",`+goodMeta), 0, ""},
		{"prompt without name header", v, "prompts/get", "", request("prompts/get", `"name":"p",`+goodMeta), mcp.CodeHeaderMismatch, ""},
		{"resource by uri", v, "resources/read", "file:///a", request("resources/read", `"uri":"file:///a",`+goodMeta), 0, ""},
		{"resource by another uri", v, "resources/read", "file:///b", request("resources/read", `"uri":"file:///a",`+goodMeta), mcp.CodeHeaderMismatch, ""},
		{"no meta", v, "tools/list", "", request("tools/list", noMeta), mcp.CodeInvalidParams, ""},
		{"no params", v, "tools/list", "", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, mcp.CodeInvalidParams, ""},
		{"meta is null", v, "tools/list", "", request("tools/list", `"_meta":null`), mcp.CodeInvalidParams, ""},
		{"meta version is a number", v, "tools/list", "", request("tools/list", meta("1", "{}")), mcp.CodeInvalidParams, ""},
		{"meta version is empty", v, "tools/list", "", request("tools/list", meta(`""`, "{}")), mcp.CodeInvalidParams, ""},
		{"no capabilities", v, "tools/list", "", request("tools/list", `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`), mcp.CodeInvalidParams, ""},
		{"capabilities are a string", v, "tools/list", "", request("tools/list", meta(`"2026-07-28"`, `"x"`)), mcp.CodeInvalidParams, ""},
		{"capabilities are an array", v, "tools/list", "", request("tools/list", meta(`"2026-07-28"`, `[]`)), mcp.CodeInvalidParams, ""},
		{"meta names another version", v, "tools/list", "", request("tools/list", meta(`"2026-07-29"`, "{}")), mcp.CodeHeaderMismatch, ""},
		{"meta names a legacy version", v, "tools/list", "", request("tools/list", meta(`"2025-11-25"`, "{}")), mcp.CodeHeaderMismatch, ""},
		{"meta without version header", "", "tools/list", "", request("tools/list", goodMeta), mcp.CodeHeaderMismatch, ""},
		{"meta with legacy version header", "2025-11-25", "tools/list", "", request("tools/list", goodMeta), mcp.CodeHeaderMismatch, ""},
		{"wrong version and missing method header", v, "", "", request("tools/list", meta(`"2026-07-29"`, "{}")), mcp.CodeHeaderMismatch, ""},
		{"missing capabilities and missing method header", v, "", "", request("tools/list", `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`), mcp.CodeHeaderMismatch, ""},
		{"notification without meta", v, "notifications/cancelled", "", notification("notifications/cancelled", `"requestId":1`), 0, ""},
		{"notification without method header", v, "", "", notification("notifications/cancelled", `"requestId":1`), mcp.CodeHeaderMismatch, ""},
		{"notification with another version", v, "notifications/cancelled", "", notification("notifications/cancelled", meta(`"2026-07-29"`, "{}")), mcp.CodeHeaderMismatch, ""},
		{"legacy without mirrors", "2025-11-25", "", "", request("tools/list", noMeta), 0, ""},
		{"legacy mirrors are not trusted", "2025-11-25", "tools/call", "x", request("tools/list", noMeta), 0, ""},
		{"legacy without version header", "", "", "", request("tools/list", noMeta), 0, ""},
		{"legacy initialize", "", "", "", request("initialize", `"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}`), 0, ""},
		{"tasks/get with another name", v, "tasks/get", "b", request("tasks/get", `"taskId":"a",`+goodMeta), mcp.CodeHeaderMismatch,
			"go-sdk v1.8 has no tasks"},
		{"tasks/get without name", v, "tasks/get", "", request("tasks/get", `"taskId":"a",`+goodMeta), 0, "go-sdk v1.8 has no tasks"},
	}
}

// verdict is an answer as far as it must agree: the status counts for refusals only.
type verdict struct{ status, code int }

// The node says what is right: Validate and a go-sdk node must agree on refusing, code and status.
func TestValidateAsGoSDKNode(t *testing.T) {
	url := startNode(t)
	for _, tt := range validateCases() {
		t.Run(tt.name, func(t *testing.T) {
			want := verdict{code: tt.code}
			if tt.code != 0 {
				want.status = http.StatusBadRequest
			}
			header := tt.header()
			if got := validate(t, header, tt.body); got != want {
				t.Errorf("Validate gives %+v, want %+v", got, want)
			}
			if node := askNode(t, url, header, tt.body); (node == want) == (tt.node != "") {
				t.Errorf("the node gives %+v, want %+v (%s)", node, want, tt.node)
			}
		})
	}
}

func (c validateCase) header() http.Header {
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	for name, value := range map[string]string{mcp.HeaderVersion: c.version, mcp.HeaderMethod: c.method, mcp.HeaderName: c.naming} {
		if value != "" {
			h.Set(name, value)
		}
	}
	return h
}

func validate(t *testing.T, h http.Header, body string) verdict {
	t.Helper()
	e, err := mcp.Scan([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := mcp.Validate(mcp.ReadHeaders(h), e); err != nil {
		return verdict{err.HTTPStatus, err.Code}
	}
	return verdict{}
}

// startNode serves everything that the good cases ask for, in both eras.
func startNode(t *testing.T) string {
	t.Helper()
	server := sdk.NewServer(&sdk.Implementation{Name: "node", Version: "1"}, nil)
	schema := json.RawMessage(`{"type":"object"}`)
	for _, name := range []string{"echo", "größe"} {
		server.AddTool(&sdk.Tool{Name: name, InputSchema: schema}, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			return &sdk.CallToolResult{Content: []sdk.Content{}}, nil
		})
	}
	server.AddResource(&sdk.Resource{Name: "a", URI: "file:///a"}, func(context.Context, *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
		return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: "file:///a", Text: "a"}}}, nil
	})
	handler := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server },
		&sdk.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	ts := httptest.NewServer(handler)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ts.Close()
	})
	return ts.URL
}

func askNode(t *testing.T, url string, h http.Header, body string) verdict {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = h
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var message struct {
		Error struct{ Code int }
	}
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &message); err != nil {
			t.Fatalf("%d %s: %v", resp.StatusCode, answer, err)
		}
	}
	if message.Error.Code == 0 && resp.StatusCode < 300 {
		return verdict{}
	}
	return verdict{resp.StatusCode, message.Error.Code}
}

// What cannot be trusted is refused in either era; what is no request or notification is not looked at.
func TestValidateBeyondTheNode(t *testing.T) {
	twice := validateCase{version: mcp.Version20260728, method: "tools/list"}.header()
	twice.Add(mcp.HeaderMethod, "tools/call")
	good := request("tools/list", goodMeta)
	if got := validate(t, twice, good); got.code != mcp.CodeHeaderMismatch {
		t.Errorf("a header sent twice: %+v", got)
	}
	session := http.Header{}
	session.Set(mcp.HeaderSession, strings.Repeat("x", mcp.MaxHeader+1))
	if got := validate(t, session, request("tools/list", noMeta)); got.code != mcp.CodeHeaderMismatch {
		t.Errorf("a session id beyond the bound: %+v", got)
	}
	answer := validateCase{version: mcp.Version20260728}.header()
	if got := validate(t, answer, `{"jsonrpc":"2.0","id":1,"result":{}}`); got.code != 0 {
		t.Errorf("a response: %+v", got)
	}
	initialize := request("initialize", `"protocolVersion":"2025-11-25",`+goodMeta)
	if got := validate(t, validateCase{version: mcp.Version20260728, method: "initialize"}.header(), initialize); got.code != 0 {
		t.Errorf("initialize in the modern era, which has a node to refuse it: %+v", got)
	}
}
