package upstream

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/quorate/quorate/gateway/mcp"
)

// Request is one message for a node. Its header is the agent's, read but never changed: what belongs
// to the agent's own connection is left out while it is written.
type Request struct {
	Method string
	Query  string      // raw query, without the question mark
	Header http.Header // canonical keys
	Set    []Field     // written instead of the header's fields of the same name; an empty value removes
	Body   []byte      // nil for none
	// Standing marks a request whose answer is a stream that stays open. It is no work for its node, so it
	// does not count as in flight once it is answered. Every GET is one.
	Standing bool
	// Permit is asked just before the first byte of an attempt leaves; nil: it may.
	Permit Permit
	// Via names the gateways that the request has passed, this one included. Other gateways are told, and nodes with
	// a request that needs a permit; "" tells nobody.
	Via string
}

// Field is one header field the gateway sets itself.
type Field struct{ Name, Value string }

// hop reports whether a field belongs to one connection (RFC 9110 section 7.6.1), is written by this
// package itself, or would stop the gateway from reading the answer (compressed events).
// Fields of the gateways' own are theirs to set: an agent's would be believed by nodes and other gateways.
// Origin and the fetch metadata were checked at the gateway; a node would compare them with its own name.
func hop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Host", "Content-Length", "Expect",
		"Accept-Encoding", "Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest":
		return true
	}
	return strings.HasPrefix(name, mcp.OwnPrefix)
}

func (r *Request) overridden(name string) bool {
	for i := range r.Set {
		if strings.EqualFold(r.Set[i].Name, name) {
			return true
		}
	}
	return false
}

// writeHead writes the request line and the header section. fence is the epoch to name; 0: none.
func (r *Request) writeHead(w *bufio.Writer, target, host string, fence uint64) {
	w.WriteString(r.Method)
	w.WriteByte(' ')
	w.WriteString(target)
	if r.Query != "" {
		if strings.IndexByte(target, '?') < 0 {
			w.WriteByte('?')
		} else {
			w.WriteByte('&')
		}
		w.WriteString(escapeQuery(r.Query))
	}
	w.WriteString(" HTTP/1.1\r\nHost: ")
	w.WriteString(host)
	w.WriteString("\r\n")
	for name, values := range r.Header {
		if hop(name) || r.overridden(name) {
			continue
		}
		for _, v := range values {
			writeField(w, name, v)
		}
	}
	for _, f := range r.Set {
		if f.Value != "" {
			writeField(w, f.Name, f.Value)
		}
	}
	if r.Permit != nil && r.Via != "" {
		writeField(w, mcp.HeaderVia, r.Via)
	}
	if fence != 0 {
		w.WriteString(mcp.HeaderFence + ": ")
		w.Write(strconv.AppendUint(w.AvailableBuffer(), fence, 10))
		w.WriteString("\r\n")
	}
	if r.Body != nil {
		w.WriteString("Content-Length: ")
		w.Write(strconv.AppendInt(w.AvailableBuffer(), int64(len(r.Body)), 10))
		w.WriteString("\r\n")
	}
	w.WriteString("\r\n") // errors of a bufio.Writer stick and are seen at its Flush
}

// escapeQuery encodes what would end the request line: HTTP/2 lets blanks into a query.
func escapeQuery(q string) string {
	bad := func(c rune) bool { return c <= ' ' || c == 0x7f }
	if strings.IndexFunc(q, bad) < 0 {
		return q
	}
	var b strings.Builder
	for i := range len(q) {
		if bad(rune(q[i])) {
			fmt.Fprintf(&b, "%%%02X", q[i])
		} else {
			b.WriteByte(q[i])
		}
	}
	return b.String()
}

// writeField leaves out a value that would end its line: it could smuggle a field of its own.
func writeField(w *bufio.Writer, name, value string) {
	for i := 0; i < len(value); i++ {
		if value[i] == '\r' || value[i] == '\n' {
			return
		}
	}
	w.WriteString(name)
	w.WriteString(": ")
	w.WriteString(value)
	w.WriteString("\r\n")
}
