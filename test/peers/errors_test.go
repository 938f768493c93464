package peers_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	wire "github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/test/npm/agent"
)

// failing is a go-sdk server of both eras whose tool named like an error is answered as the gateway
// answers with that error.
func failing(t *testing.T, all map[string]*wire.Error) string {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "failing", Version: "1"}, nil)
	fine := func(context.Context, *mcp.CallToolRequest, map[string]any) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "fine"}}}, nil, nil
	}
	mcp.AddTool(server, &mcp.Tool{Name: "fine"}, fine)
	get := func(*http.Request) *mcp.Server { return server }
	legacy := mcp.NewStreamableHTTPHandler(get, nil)
	modern := mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{Stateless: true})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if env, err := wire.Scan(body); err == nil && all[env.Name] != nil {
			wire.WriteAnswer(w, env.Method, all[env.Name], body[env.ID.Start:env.ID.End])
			return
		}
		if wire.EraOf(r.Header.Get(wire.HeaderVersion)) == wire.Modern {
			modern.ServeHTTP(w, r)
			return
		}
		legacy.ServeHTTP(w, r)
	}))
	// Agents' streams stay open until the agents are gone, which is later than this cleanup.
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

// TestErrorsSurface: every client shows its program the code and the message of the gateway's own
// errors, and goes on working.
func TestErrorsSurface(t *testing.T) {
	all := map[string]*wire.Error{
		"outcome-unknown": wire.OutcomeUnknown("node_lost"),
		"no-authority":    wire.NoAuthority("minority", time.Second),
		"nothing-fits":    wire.NothingFits("no_node", time.Second),
		"overloaded":      wire.Overloaded("queue_full", time.Second),
		"too-many":        wire.TooManyRequests("sessions", time.Second),
	}
	for _, c := range []agent.Kind{agent.GoSDK, agent.GoSDKLegacy, agent.TypeScriptV1, agent.TypeScriptV2, agent.TypeScriptV2Auto} {
		t.Run(c.Name, func(t *testing.T) {
			a := c.Dial(t, failing(t, all))
			for name, want := range all {
				_, err := a.Call(t.Context(), name, nil)
				if !surfaces(err, want) {
					t.Errorf("%s: the program sees %v", name, err)
				}
				if _, err := a.Call(t.Context(), "fine", nil); err != nil {
					t.Fatalf("after %s: %v", name, err)
				}
			}
		})
	}
}

// surfaces reports whether the program has the code as a value, and the message.
func surfaces(err error, want *wire.Error) bool {
	var f *agent.Failure
	return errors.As(err, &f) && f.Code == want.Code && strings.Contains(f.Message, want.Message)
}
