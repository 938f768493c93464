package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/regions"
)

// reply is one scripted answer.
type reply = struct {
	status int
	kind   string
	body   string
	header http.Header
}

func result(s string) reply {
	return reply{status: 200, body: `{"jsonrpc":"2.0","id":#ID#,"result":` + s + `}`}
}

func rpcError(status, code int, data string) reply {
	return reply{status: status, body: fmt.Sprintf(`{"jsonrpc":"2.0","id":#ID#,"error":{"code":%d,"message":"no","data":%s}}`, code, data)}
}

func events(data ...string) reply {
	return reply{status: 200, kind: "text/event-stream", body: "data: " + strings.Join(data, "\n\ndata: ") + "\n\n"}
}

const (
	toolCaps   = `"capabilities":{"tools":{}}`
	initResult = `{"protocolVersion":"2025-06-18",` + toolCaps + `}`
	twoTools   = `{"tools":[{"name":"x","annotations":{"readOnlyHint":true}},{"name":"x","annotations":{"idempotentHint":true}},{"name":"y"}]}`
)

func checkOf(t *testing.T, h http.Handler) (*report, error) {
	t.Helper()
	cfg := Config{Interval: 5 * time.Second}
	p := &probe{wire: wire{client: cfg.newClient(nil), url: serve(t, h)}}
	t.Cleanup(func() { p.close(context.Background()) })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return p.check(ctx)
}

func TestErasAreDetectedExactly(t *testing.T) {
	accepted := reply{status: 202}
	withSession := result(initResult)
	withSession.header = http.Header{"Mcp-Session-Id": {"s"}}
	const both, modern, legacy = regions.Legacy | regions.Modern, regions.Modern, regions.Legacy
	tests := []struct {
		name     string
		node     script
		eras     regions.Eras
		stateful bool
		versions string
	}{
		{"modern only", script{
			"server/discover": result(`{"supportedVersions":["2026-07-28"],` + toolCaps + `}`),
			"initialize":      rpcError(404, -32601, "null"), "tools/list": result(twoTools),
		}, modern, false, "2026-07-28"},
		{"modern only, but initialize is in trouble", script{
			"server/discover": result(`{"supportedVersions":["2026-07-28"],` + toolCaps + `}`),
			"initialize":      {status: 500}, "tools/list": result(twoTools),
		}, modern, false, "2026-07-28"},
		{"both, but legacy is not named", script{
			"server/discover": result(`{"supportedVersions":["2026-07-28"],` + toolCaps + `}`),
			"initialize":      withSession, "notifications/initialized": accepted, "tools/list": result(twoTools),
		}, both, true, "2026-07-28 2025-06-18"},
		{"legacy is named but refused", script{
			"server/discover": result(`{"supportedVersions":["2026-07-28","2025-11-25"],` + toolCaps + `}`),
			"initialize":      rpcError(400, -32600, "null"), "tools/list": result(twoTools),
		}, modern, false, "2026-07-28 2025-11-25"},
		{"a newer modern version", script{
			"server/discover": result(`{"supportedVersions":["2027-01-01"],` + toolCaps + `}`),
			"initialize":      rpcError(404, -32601, "null"), "tools/list": result(twoTools),
		}, modern, false, "2027-01-01"},
		{"legacy by error -32022", script{
			"server/discover": rpcError(400, -32022, `{"supported":["2025-11-25","2025-06-18"],"requested":"2026-07-28"}`),
			"initialize":      result(initResult), "notifications/initialized": accepted, "tools/list": result(twoTools),
		}, legacy, false, "2025-11-25 2025-06-18"},
		{"legacy by 404", script{
			"server/discover": {status: 404, kind: "text/html", body: "<html>"},
			"initialize":      withSession, "notifications/initialized": accepted, "tools/list": result(twoTools),
		}, legacy, true, "2025-06-18"},
		{"legacy by method not found in a 200", script{
			"server/discover": rpcError(200, -32601, "null"),
			"initialize":      withSession, "notifications/initialized": accepted, "tools/list": result(twoTools),
		}, legacy, true, "2025-06-18"},
		{"legacy by method not found in a 500", script{
			"server/discover": rpcError(500, -32601, "null"),
			"initialize":      withSession, "notifications/initialized": accepted, "tools/list": result(twoTools),
		}, legacy, true, "2025-06-18"},
		{"answers among events", script{
			"initialize":                events(`{"jsonrpc":"2.0","method":"notifications/message","params":{}}`, `{"jsonrpc":"2.0","id":#ID#,"result":`+initResult+`}`),
			"notifications/initialized": accepted,
			"tools/list":                events(`{"jsonrpc":"2.0","id":#ID#,"result":` + twoTools + `}`),
		}, legacy, false, "2025-06-18"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := checkOf(t, tt.node)
			if err != nil {
				t.Fatal(err)
			}
			if r.facts.Eras != tt.eras || r.facts.Stateful != tt.stateful || strings.Join(r.facts.Versions, " ") != tt.versions {
				t.Errorf("facts %+v", r.facts)
			}
			if diff := cmp.Diff(map[string]regions.Tool{"x": {}, "y": {}}, r.facts.Tools); diff != "" {
				t.Errorf("tools (-want +got):\n%s", diff)
			}
		})
	}
}

// A newer node that refuses our version by name is asked at a version of its own.
func TestNewerNodeIsAskedAgain(t *testing.T) {
	node := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := script{"server/discover": rpcError(400, -32022, `{"supported":["2027-05-01"]}`)}
		if r.Header.Get("MCP-Protocol-Version") == "2027-05-01" {
			s = script{"server/discover": result(`{"supportedVersions":["2027-05-01"],` + toolCaps + `}`), "tools/list": result(twoTools)}
		}
		s.ServeHTTP(w, r)
	})
	r, err := checkOf(t, node)
	if err != nil {
		t.Fatal(err)
	}
	if r.facts.Eras != regions.Modern {
		t.Errorf("facts %+v", r.facts)
	}
}

func TestWhatFailsACheck(t *testing.T) {
	accepted := reply{status: 202}
	legacyBut := func(list reply) script {
		return script{"initialize": result(initResult), "notifications/initialized": accepted, "tools/list": list}
	}
	everything := func(r reply) script {
		return script{"server/discover": r, "initialize": r, "notifications/initialized": r, "tools/list": r, "ping": r}
	}
	tests := []struct {
		name string
		node http.Handler
		want string
	}{
		{"200 OK while dead: a page", everything(reply{status: 200, kind: "text/html", body: "<h1>OK</h1>"}), "not MCP"},
		{"200 OK while dead: some JSON", everything(reply{status: 200, body: `{"status":"ok"}`}), "not JSON-RPC"},
		{"200 OK while dead: nothing", everything(reply{status: 200}), "not JSON-RPC"},
		{"200 OK while dead: no result", legacyBut(reply{status: 200, body: `{"jsonrpc":"2.0","id":#ID#}`}), "no result"},
		{"200 OK while dead: an error", legacyBut(rpcError(200, -32603, "null")), "-32603"},
		{"200 OK while dead: an empty result", legacyBut(result(`{}`)), "holds no tools"},
		{"somebody else's answer", legacyBut(reply{status: 200, body: `{"jsonrpc":"2.0","id":"other","result":{"tools":[]}}`}), "not the response"},
		{"a stream that ends early", legacyBut(events(`{"jsonrpc":"2.0","method":"notifications/message"}`)), "ended before its answer"},
		{"trouble is not an era", script{"server/discover": {status: 503}, "initialize": result(initResult)}, "HTTP 503"},
		{"credentials wanted", status(http.StatusUnauthorized), "HTTP 401"},
		{"redirect", http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect), "HTTP 307"},
		{"an answer without end", legacyBut(reply{status: 200, body: strings.Repeat(" ", maxBody+1)}), "larger than"},
		{"a version that breaks headers", script{"initialize": result(`{"protocolVersion":"2025\r\nX: y"}`)}, "names no version"},
		{"not HTTP at all", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = c.Write([]byte("hello\r\n"))
				_ = c.Close()
			}
		}), "malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := checkOf(t, tt.node)
			if err == nil {
				t.Fatalf("passes with %+v", r.facts)
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want %q in one line without the URL", err, tt.want)
			}
		})
	}
}

// What a node has decides what a check asks for; ping alone is the last resort.
func TestWhatIsAskedFor(t *testing.T) {
	accepted := reply{status: 202}
	tests := []struct{ caps, method, answer, groups string }{
		{`{"tools":{},"resources":{},"prompts":{}}`, "tools/list", `{"tools":[]}`, "tool_servers resource_servers prompt_servers"},
		{`{"resources":{},"prompts":{}}`, "resources/list", `{"resources":[]}`, "resource_servers prompt_servers"},
		{`{"prompts":{"listChanged":true}}`, "prompts/list", `{"prompts":[]}`, "prompt_servers"},
		{`{}`, "ping", `{}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.method, func(t *testing.T) {
			rec := &recorder{Handler: script{
				"initialize":                result(`{"protocolVersion":"2025-11-25","capabilities":` + tt.caps + `}`),
				"notifications/initialized": accepted, tt.method: result(tt.answer),
			}}
			r, err := checkOf(t, rec)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(r.facts.Groups, " "); got != tt.groups {
				t.Errorf("groups %q, want %q", got, tt.groups)
			}
			if rec.count("POST "+tt.method) != 1 {
				t.Errorf("asked %v", rec.seen)
			}
		})
	}
}

// A list that never ends is cut, and the node is not blamed.
func TestPagesAreBounded(t *testing.T) {
	pages := 0
	node := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var m message
		_ = json.Unmarshal(body, &m)
		list := reply{}
		if m.Method == "tools/list" {
			pages++
			list = result(fmt.Sprintf(`{"tools":[{"name":"t%d"}],"nextCursor":"on"}`, pages))
		}
		r.Body = io.NopCloser(newReader(body))
		script{
			"initialize": result(initResult), "notifications/initialized": reply{status: 202}, "tools/list": list,
		}.ServeHTTP(w, r)
	})
	r, err := checkOf(t, node)
	if err != nil {
		t.Fatal(err)
	}
	if pages != maxPages || len(r.facts.Tools) != maxPages {
		t.Errorf("%d pages, %d tools", pages, len(r.facts.Tools))
	}
}

// The modern request is what the specification asks for, to the header.
func TestModernRequestIsComplete(t *testing.T) {
	node := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Method string
			Params struct {
				Meta map[string]any `json:"_meta"`
			}
		}
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &q)
		r.Body = io.NopCloser(newReader(body))
		_, caps := q.Params.Meta["io.modelcontextprotocol/clientCapabilities"].(map[string]any)
		_, info := q.Params.Meta["io.modelcontextprotocol/clientInfo"].(map[string]any)
		version := q.Params.Meta["io.modelcontextprotocol/protocolVersion"]
		whole := caps && info && version == "2026-07-28" && r.Header.Get("MCP-Protocol-Version") == "2026-07-28" &&
			r.Header.Get("Mcp-Method") == q.Method && r.Header.Get("Mcp-Session-Id") == "" && r.Header.Get("Authorization") == "Bearer x"
		if q.Method != "initialize" && !whole {
			t.Errorf("%s is not whole: %v %s", q.Method, r.Header, body)
		}
		script{"server/discover": result(`{"supportedVersions":["2026-07-28"],` + toolCaps + `}`), "tools/list": result(twoTools)}.ServeHTTP(w, r)
	})
	cfg := Config{Interval: 5 * time.Second}
	p := &probe{wire: wire{client: cfg.newClient(nil), url: serve(t, node), header: http.Header{"Authorization": {"Bearer x"}}}}
	defer p.close(context.Background())
	if _, err := p.check(t.Context()); err != nil {
		t.Fatal(err)
	}
}
