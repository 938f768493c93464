package mcpnode

import (
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// modernVersion is the first stateless protocol version; versions are dates and compare as text.
const modernVersion = "2026-07-28"

// unsupported is what a node of one era answers to the other: the error of the 2026-07-28
// specification for a version that is not spoken. The id is null because the body is not read.
const unsupported = `{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"unsupported protocol version","data":{"supported":["2026-07-28"],"requested":"2025-11-25"}}}`

// handler serves the configured eras on one URL. A stateless go-sdk handler would also answer
// initialize, without a session; a node asked to be modern refuses that instead, so that a test
// knows which node a legacy session can be on.
func (n *node) handler() http.Handler {
	stateful := n.streamable(false)
	stateless := n.streamable(true)
	switch n.cfg.Era {
	case "legacy":
		return stateful
	case "modern":
		return byEra(http.HandlerFunc(refuse), stateless)
	default:
		return byEra(stateful, stateless)
	}
}

func (n *node) streamable(stateless bool) http.Handler {
	return mcp.NewStreamableHTTPHandler(
		func(*http.Request) *mcp.Server { return n.server },
		&mcp.StreamableHTTPOptions{
			Stateless:    stateless,
			JSONResponse: n.cfg.JSON,
			Logger:       n.cfg.Logger,
			// A modern client that goes away cancels its call; without this a node works on for nobody.
			PropagateRequestCancellation: true,
		})
}

func byEra(legacy, modern http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("MCP-Protocol-Version") >= modernVersion {
			modern.ServeHTTP(w, r)
			return
		}
		legacy.ServeHTTP(w, r)
	})
}

func refuse(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write([]byte(unsupported))
}
