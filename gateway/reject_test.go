package gateway

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

// Bad input gets a clear answer of the right code, and no node ever sees it.
func TestBadInputIsRefusedAtTheGateway(t *testing.T) {
	modernCall := func(name string) string {
		return `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + name + `",` + modernMeta + `}}`
	}
	v := []string{"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "read"}
	tests := []struct {
		name   string
		body   string
		header []string
		status int
		code   int
		id     string
	}{
		{"no JSON", `{"jsonrpc":`, nil, 400, -32700, "null"},
		{"no JSON-RPC", `{"hello":1}`, nil, 400, -32600, "null"},
		{"a member twice", `{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/call"}`, nil, 400, -32600, "7"},
		{"too large", `{"jsonrpc":"2.0","id":7,"method":"ping","x":"` + strings.Repeat("x", 2<<10) + `"}`, nil, 413, -32600, "null"},
		{"name mismatch", modernCall("charge"), v, 400, -32020, "7"},
		{"method mismatch", modernCall("read"), append([]string{}, "MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/list", "Mcp-Name", "read"), 400, -32020, "7"},
		{"method header missing", modernCall("read"), []string{"MCP-Protocol-Version", "2026-07-28", "Mcp-Name", "read"}, 400, -32020, "7"},
		{"no meta", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read"}}`, v, 400, -32602, "7"},
		{"batch in an era without", `[{"jsonrpc":"2.0","id":7,"method":"ping"}]`, []string{"MCP-Protocol-Version", "2025-06-18"}, 400, -32600, "null"},
		{"unknown session", `{"jsonrpc":"2.0","id":7,"method":"ping"}`, []string{"Mcp-Session-Id", "0123456789abcdef0123456789abcdef"}, 404, 0, ""},
		{"a foreign host", modernCall("read"), append([]string{"Host", "evil.example.com"}, v...), 403, -32600, "null"},
		{"a foreign origin", modernCall("read"), append([]string{"Origin", "http://evil.example.com"}, v...), 403, -32600, "null"},
		{"both foreign", modernCall("read"), append([]string{"Host", "evil.example.com", "Origin", "http://evil.example.com"}, v...), 403, -32600, "null"},
		{"null origin", modernCall("read"), append([]string{"Origin", "null"}, v...), 403, -32600, "null"},
	}
	n := modern("a", ok)
	s := start(t, func(c *Config, _ *Service) { c.MaxBody = 1 << 10 }, n)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			resp := s.post(t, test.body, test.header...)
			if test.code == 0 {
				if resp.StatusCode != test.status {
					t.Errorf("got %d, want %d", resp.StatusCode, test.status)
				}
				return
			}
			wantError(t, resp, test.status, test.code, test.id)
		})
	}
	if n.calls.Load() != 0 {
		t.Errorf("%d requests reached the node", n.calls.Load())
	}
	if body := text(t, s.callTool(t, "read")); body != result {
		t.Errorf("a good request after the bad ones: %s", body)
	}
}

func TestMethodsAndPaths(t *testing.T) {
	s := start(t, nil, modern("a", ok))
	tests := []struct {
		method, url string
		header      []string
		status      int
		allow       string
	}{
		{http.MethodGet, s.url, []string{"MCP-Protocol-Version", "2026-07-28"}, 405, "POST"},
		{http.MethodDelete, s.url, []string{"MCP-Protocol-Version", "2026-07-28"}, 405, "POST"},
		{http.MethodPut, s.url, nil, 405, "POST, GET, DELETE"},
		{http.MethodPost, s.url + "/other", nil, 404, ""},
		{http.MethodOptions, s.url, []string{"Origin", strings.TrimSuffix(s.url, "/mcp")}, 204, ""},
	}
	for _, test := range tests {
		r, err := http.NewRequest(test.method, test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp := s.do(t, r, test.header...)
		if resp.StatusCode != test.status || resp.Header.Get("Allow") != test.allow {
			t.Errorf("%s %s: got %d, Allow %q", test.method, test.url, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
}

// An agent that sends its body too slowly holds no node, and is told.
func TestSlowBodyEnds(t *testing.T) {
	n := modern("a", ok)
	s := start(t, func(c *Config, _ *Service) { c.BodyTimeout = 50 * time.Millisecond }, n)
	body, never := io.Pipe()
	defer never.Close()
	go func() { _, _ = never.Write([]byte(`{"jsonrpc":`)) }()
	r, err := http.NewRequest(http.MethodPost, s.url, body)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, s.do(t, r), 408, -32600, "null")
	if n.calls.Load() != 0 {
		t.Error("it reached the node")
	}
}

func TestAllowedOriginMayReadTheAnswer(t *testing.T) {
	const origin = "https://app.example.com"
	s := start(t, func(c *Config, _ *Service) { c.AllowedOrigins = []string{origin} }, modern("a", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://node.example.com")
		w.Header().Set("Vary", "Accept")
		ok(w, r)
	}))
	preflight, err := http.NewRequest(http.MethodOptions, s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp := s.do(t, preflight, "Origin", origin, "Access-Control-Request-Headers", "mcp-param-region")
	if resp.StatusCode != 204 || resp.Header.Get("Access-Control-Allow-Headers") != "mcp-param-region" {
		t.Errorf("preflight: %d, %v", resp.StatusCode, resp.Header)
	}
	resp = s.post(t, `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{`+modernMeta+`}}`,
		"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/list", "Origin", origin)
	if resp.StatusCode != 200 || resp.Header.Get("Access-Control-Allow-Origin") != origin || len(resp.Header.Values("Vary")) != 2 {
		t.Errorf("answer: %d, %v", resp.StatusCode, resp.Header)
	}
}

// An answer goes through as it came, whatever its size and status.
func TestAnswersAreTransparent(t *testing.T) {
	for _, size := range []int{0, 1, 4 << 10, copyBuffer, copyBuffer + 1, 1 << 20} {
		for _, known := range []bool{true, false} {
			body := strings.Repeat("x", size)
			n := modern("a", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Node", "yes")
				w.Header().Set("WWW-Authenticate", "Bearer")
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusTeapot)
				if !known {
					_ = http.NewResponseController(w).Flush()
				}
				_, _ = io.WriteString(w, body)
			})
			resp := start(t, nil, n).callTool(t, "charge")
			if got := text(t, resp); got != body || resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Node") != "yes" || resp.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("size %d, known %v: got %d bytes, status %d, header %v", size, known, len(got), resp.StatusCode, resp.Header)
			}
		}
	}
}

// its place.
func TestAllowedOriginInSessionsAndStreams(t *testing.T) {
	const origin = "https://app.example.com"
	n := modern("a", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Vary", "Accept")
		if r.Header.Get("Mcp-Method") == mcp.MethodListen {
			events(w, `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true}}}`)
			return
		}
		w.Header().Set("Mcp-Session-Id", "upstream")
		answerJSON(w, `{"jsonrpc":"2.0","id":7,"result":{"protocolVersion":"2025-06-18","capabilities":{}}}`)
	})
	n.stateful = true
	s := start(t, func(c *Config, _ *Service) { c.AllowedOrigins = []string{origin} }, n)
	opened := s.post(t, `{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}`, "Origin", origin)
	for name, resp := range map[string]*http.Response{
		"opening": opened,
		"call": s.post(t, `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`,
			"Mcp-Session-Id", opened.Header.Get("Mcp-Session-Id"), "Origin", origin),
		"listen": s.post(t, `{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+modernMeta+`}}`,
			"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", mcp.MethodListen, "Origin", origin),
	} {
		if resp.StatusCode != 200 || !slices.Equal(resp.Header.Values("Access-Control-Allow-Origin"), []string{origin}) ||
			strings.Join(resp.Header.Values("Vary"), ",") != "Origin,Accept" {
			t.Errorf("%s: %d, %v", name, resp.StatusCode, resp.Header)
		}
	}
}
