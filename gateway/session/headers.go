package session

import (
	"net/http"
	"strings"

	"github.com/quorate/quorate/gateway/mcp"
)

// The MCP fields as net/http spells their keys.
const (
	keySession     = "Mcp-Session-Id"
	keyVersion     = "Mcp-Protocol-Version"
	keyLastEventID = "Last-Event-Id"
)

// perRequest reports whether a header field speaks of one request only. Everything else an agent
// sends (Authorization, Cookie, tenant and client fields) belongs to whoever it is, and goes along
// with what the gateway sends in its name.
func perRequest(name string) bool {
	switch name {
	case "Accept", "Accept-Encoding", "Content-Type", "Content-Length", "Content-Encoding",
		"Traceparent", "Tracestate", "Baggage", "Idempotency-Key", "X-Request-Id", "Range", "Digest",
		keySession, keyVersion, keyLastEventID, "Mcp-Method", "Mcp-Name":
		return true
	}
	return strings.HasPrefix(name, "Mcp-Param-") || strings.HasPrefix(name, "If-")
}

// renew returns a request's own fields with the credentials of the agent's latest request.
func renew(own, latest http.Header) http.Header {
	h := make(http.Header, len(own))
	for name, v := range own {
		if perRequest(name) {
			h[name] = v
		}
	}
	for name, v := range latest {
		if !perRequest(name) {
			h[name] = v
		}
	}
	return h
}

// listening returns the header of a GET that the gateway makes itself.
func listening(latest http.Header, version string) http.Header {
	return renew(http.Header{"Accept": {"text/event-stream"}, keyVersion: {version}}, latest)
}

// posting returns the header of a POST that the gateway makes itself. version is empty for initialize.
func posting(latest http.Header, version string) http.Header {
	own := http.Header{
		"Content-Type": {"application/json"},
		"Accept":       {"application/json, text/event-stream"},
	}
	if version != "" {
		own[keyVersion] = []string{version}
	}
	return renew(own, latest)
}

// copyHeader passes a response's end-to-end fields on, without the node's own session id. Which pages may read an answer
// is the gateway's to say: a browser that is told twice lets none.
func copyHeader(dst, src http.Header) {
	for name, v := range src {
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer",
			"Transfer-Encoding", "Upgrade", "Content-Length", keySession:
			continue
		case mcp.HeaderAuthority: // this gateway may have said the same already
			dst[name] = v
			continue
		}
		if strings.HasPrefix(name, "Access-Control-") {
			continue
		}
		dst[name] = append(dst[name], v...)
	}
}
