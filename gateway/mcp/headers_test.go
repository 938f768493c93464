package mcp_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/gateway/mcp"
)

func TestReadHeaders(t *testing.T) {
	long := strings.Repeat("x", mcp.MaxHeader)
	for _, tt := range []struct {
		name string
		in   [][2]string
		want mcp.Headers
	}{
		{"none", nil, mcp.Headers{}},
		{"all", [][2]string{{"mcp-protocol-version", "2026-07-28"}, {"MCP-METHOD", "tools/call"}, {"Mcp-Name", "echo"},
			{"mcp-session-id", "s"}, {"last-event-id", "7"}},
			mcp.Headers{Version: "2026-07-28", Method: "tools/call", Name: "echo", Session: "s", LastEventID: "7"}},
		{"outer blanks", [][2]string{{"Mcp-Method", " ping\t"}}, mcp.Headers{Method: "ping"}},
		{"base64", [][2]string{{"Mcp-Name", "=?base64?Y2Fmw6k=?="}}, mcp.Headers{Name: "café"}},
		{"base64 keeps outer blanks", [][2]string{{"Mcp-Name", "=?base64?IGEg?="}}, mcp.Headers{Name: " a "}},
		{"half a marker is text", [][2]string{{"Mcp-Name", "=?base64?Y2Fm"}}, mcp.Headers{Name: "=?base64?Y2Fm"}},
		{"the marker's case counts", [][2]string{{"Mcp-Name", "=?BASE64?Y2Fm?="}}, mcp.Headers{Name: "=?BASE64?Y2Fm?="}},
		{"markers that overlap are text", [][2]string{{"Mcp-Name", "=?base64?="}}, mcp.Headers{Name: "=?base64?="}},
		{"broken base64", [][2]string{{"Mcp-Name", "=?base64?!?="}}, mcp.Headers{Bad: mcp.HeaderName}},
		{"base64 with stray bits", [][2]string{{"Mcp-Name", "=?base64?YR==?="}}, mcp.Headers{Bad: mcp.HeaderName}},
		{"twice the same", [][2]string{{"Mcp-Method", "ping"}, {"Mcp-Method", "ping"}}, mcp.Headers{Method: "ping"}},
		{"twice, different", [][2]string{{"Mcp-Method", "ping"}, {"Mcp-Method", "tools/call"}}, mcp.Headers{Bad: mcp.HeaderMethod}},
		{"longest", [][2]string{{"Mcp-Session-Id", long}}, mcp.Headers{Session: long}},
		{"too long", [][2]string{{"Mcp-Session-Id", long + "x"}}, mcp.Headers{Bad: mcp.HeaderSession}},
		{"the first bad one is named", [][2]string{{"Mcp-Name", "=?base64?!?="}, {"Mcp-Protocol-Version", long + "x"}}, mcp.Headers{Bad: mcp.HeaderVersion}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			for _, kv := range tt.in {
				h.Add(kv[0], kv[1])
			}
			if diff := cmp.Diff(tt.want, mcp.ReadHeaders(h)); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEncodeHeaderValue(t *testing.T) {
	for in, want := range map[string]string{
		"":                  "",
		"echo":              "echo",
		"two words":         "two words",
		" a":                "=?base64?IGE=?=",
		"café":              "=?base64?Y2Fmw6k=?=",
		"a\nb":              "=?base64?YQpi?=",
		"=?base64?Y2Fm?=":   "=?base64?PT9iYXNlNjQ/WTJGbT89?=",
		"=?base64?Y2Fm":     "=?base64?Y2Fm",
		"file:///tmp/a?b=c": "file:///tmp/a?b=c",
	} {
		got := mcp.EncodeHeaderValue(in)
		if got != want {
			t.Errorf("EncodeHeaderValue(%q) = %q, want %q", in, got, want)
		}
		if back, ok := mcp.DecodeHeaderValue(got); !ok || back != in {
			t.Errorf("DecodeHeaderValue(%q) = %q, %v", got, back, ok)
		}
	}
}
