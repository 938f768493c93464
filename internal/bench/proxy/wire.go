// Package proxy measures what proxies cost per MCP request: requests per second, latency, processor time
// and memory of HAProxy, a bare httputil.ReverseProxy and Quorate, in front of one upstream and under
// one load. It must not know how any of them works inside.
package proxy

import (
	"fmt"
	"strings"
)

// Kind is how the upstream answers a call.
type Kind string

const (
	// JSON answers application/json.
	JSON Kind = "json"
	// SSE answers an event stream with one event, flushed before the stream ends.
	SSE Kind = "sse"
)

// Kinds are measured in this order.
var Kinds = [...]Kind{JSON, SSE}

// tool is the name of the tool that answers in this kind.
func (k Kind) tool() string { return "echo_" + string(k) }

// Path is where the upstream serves MCP, and so every proxy.
const Path = "/mcp"

const (
	version = "2026-07-28"
	meta    = `"_meta":{"io.modelcontextprotocol/protocolVersion":"` + version +
		`","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"}}`
	// idDigits is the fixed width of request ids, so that a request is changed in place.
	idDigits = 10
	firstID  = 1_000_000_000
	// resultBytes is the size of a call's result.
	resultBytes = 200
	bodyStart   = `{"jsonrpc":"2.0","id":`
)

// result is a tools/call result of exactly resultBytes bytes.
func result() string {
	const before, after = `{"content":[{"type":"text","text":"`, `"}],"resultType":"complete"}`
	return before + strings.Repeat("x", resultBytes-len(before)-len(after)) + after
}

// answer is the JSON-RPC message around result, without its id.
func answer() (before, after string) { return bodyStart, `,"result":` + result() + `}` }

// wrap is what stands around the message in a response of the kind.
func (k Kind) wrap() (before, after string) {
	if k == SSE {
		return "event: message\ndata: ", "\n\n"
	}
	return "", ""
}

func (k Kind) contentType() string {
	if k == SSE {
		return "text/event-stream"
	}
	return "application/json"
}

// request is a whole HTTP request; idAt is where its id is.
func request(host string, k Kind) (raw []byte, idAt int) {
	body := fmt.Sprintf(bodyStart+`%d,"method":"tools/call","params":{"name":%q,"arguments":{"text":"hello"},`+meta+`}}`,
		firstID, k.tool())
	head := "POST " + Path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: bench\r\n" +
		"Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n" +
		"MCP-Protocol-Version: " + version + "\r\nMcp-Method: tools/call\r\nMcp-Name: " + k.tool() + "\r\n" +
		fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body))
	return []byte(head + body), len(head) + len(bodyStart)
}
