package mcp_test

import (
	"fmt"
	"testing"

	"github.com/quorate/quorate/gateway/mcp"
)

func TestClassOfAndIsWrite(t *testing.T) {
	var unknown mcp.ToolHints
	readOnly := mcp.ToolHints{Known: true, ReadOnly: true}
	idempotent := mcp.ToolHints{Known: true, Idempotent: true}
	both := mcp.ToolHints{Known: true, ReadOnly: true, Idempotent: true}
	for _, tt := range []struct {
		method string
		hints  mcp.ToolHints
		class  mcp.RetryClass
		write  bool
	}{
		{"tools/call", unknown, mcp.Once, true},
		{"tools/call", mcp.ToolHints{Known: true}, mcp.Once, true},
		{"tools/call", mcp.ToolHints{ReadOnly: true, Idempotent: true}, mcp.Once, true}, // hints without knowledge
		{"tools/call", readOnly, mcp.Hedge, false},
		{"tools/call", idempotent, mcp.Retry, true},
		{"tools/call", both, mcp.Hedge, false},
		{"server/discover", unknown, mcp.Hedge, false},
		{"initialize", unknown, mcp.Hedge, false},
		{"ping", unknown, mcp.Hedge, false},
		{"tools/list", unknown, mcp.Hedge, false},
		{"prompts/list", unknown, mcp.Hedge, false},
		{"resources/list", unknown, mcp.Hedge, false},
		{"resources/templates/list", unknown, mcp.Hedge, false},
		{"tasks/list", unknown, mcp.Hedge, false},
		{"vendor/things/list", unknown, mcp.Hedge, false},
		{"resources/read", unknown, mcp.Hedge, false},
		{"prompts/get", unknown, mcp.Hedge, false},
		{"completion/complete", unknown, mcp.Hedge, false},
		{"tasks/get", unknown, mcp.Hedge, false},
		{"tasks/result", unknown, mcp.Retry, false},
		{"tasks/cancel", unknown, mcp.Retry, true},
		{"tasks/update", unknown, mcp.Retry, true},
		{"logging/setLevel", unknown, mcp.Retry, false},
		{"resources/subscribe", unknown, mcp.Retry, false},
		{"resources/unsubscribe", unknown, mcp.Retry, false},
		{"subscriptions/listen", unknown, mcp.Retry, false},
		{"notifications/initialized", unknown, mcp.Retry, false},
		{"notifications/cancelled", unknown, mcp.Retry, false},
		{"notifications/vendor", unknown, mcp.Once, false},
		{"vendor/pay", unknown, mcp.Once, true},
		{"vendor/pay", both, mcp.Once, true}, // hints are of tools
		{"Tools/Call", readOnly, mcp.Once, true},
		{"", unknown, mcp.Once, true},
	} {
		if got := mcp.ClassOf(tt.method, tt.hints); got != tt.class {
			t.Errorf("ClassOf(%q, %+v) = %v, want %v", tt.method, tt.hints, got, tt.class)
		}
		if got := mcp.IsWrite(tt.method, tt.hints); got != tt.write {
			t.Errorf("IsWrite(%q, %+v) = %v, want %v", tt.method, tt.hints, got, tt.write)
		}
	}
}

func TestEraOf(t *testing.T) {
	for version, want := range map[string]mcp.Era{
		"": mcp.Legacy, "2024-11-05": mcp.Legacy, "2025-11-25": mcp.Legacy, "2026-07-27": mcp.Legacy,
		"2026-07-28": mcp.Modern, "2027-01-01": mcp.Modern, "DRAFT-2026-v1": mcp.Modern,
	} {
		if got := mcp.EraOf(version); got != want {
			t.Errorf("EraOf(%q) = %v, want %v", version, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, tt := range []struct {
		got  fmt.Stringer
		want string
	}{
		{mcp.Once, "once"}, {mcp.Retry, "retry"}, {mcp.Hedge, "hedge"},
		{mcp.Legacy, "legacy"}, {mcp.Modern, "modern"}, {mcp.Era(0), "unknown"},
		{mcp.KindInvalid, "invalid"}, {mcp.KindRequest, "request"}, {mcp.KindNotification, "notification"},
		{mcp.KindResponse, "response"}, {mcp.KindBatch, "batch"}, {mcp.Kind(99), "invalid"},
	} {
		if tt.got.String() != tt.want {
			t.Errorf("%#v is %q, want %q", tt.got, tt.got, tt.want)
		}
	}
}
