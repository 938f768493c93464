package mcp

import (
	"encoding/base64"
	"net/http"
	"net/textproto"
	"strings"
)

// The headers of Streamable HTTP. Reading is case-insensitive; these are the specification's spelling.
const (
	HeaderSession     = "Mcp-Session-Id"
	HeaderVersion     = "MCP-Protocol-Version"
	HeaderMethod      = "Mcp-Method"
	HeaderName        = "Mcp-Name"
	HeaderLastEventID = "Last-Event-ID"
	// HeaderParamPrefix starts the headers that mirror tool arguments. Only the tool's schema says
	// which arguments those are, so a gateway leaves checking them to the node.
	HeaderParamPrefix = "Mcp-Param-"
)

// The longest header values that are read, in bytes as sent; longer ones are refused.
const (
	MaxHeader     = 1 << 10 // version, method, session, Last-Event-ID
	MaxHeaderName = 8 << 10 // Mcp-Name carries a URI
)

// Headers is what a gateway reads of a request's MCP headers. "" means absent.
type Headers struct {
	Version     string
	Method      string
	Name        string // decoded when it came as =?base64?…?=
	Session     string
	LastEventID string

	// Bad names the first header that cannot be trusted: sent twice with different values, too
	// long, or of broken base64. Its field is "". Two parsers may disagree about such a header, and
	// a disagreement between gateway and node is a way around the gateway. "" when all are well.
	Bad string
}

// The keys as net/http stores them, so that reading needs no canonicalization.
const (
	keySession     = "Mcp-Session-Id"
	keyVersion     = "Mcp-Protocol-Version"
	keyMethod      = "Mcp-Method"
	keyName        = "Mcp-Name"
	keyLastEventID = "Last-Event-Id"
)

// ReadHeaders reads the MCP headers of h, whose keys must be canonical as net/http makes them.
func ReadHeaders(h http.Header) Headers {
	var r Headers
	r.Version = r.read(h, keyVersion, HeaderVersion, MaxHeader)
	r.Method = r.read(h, keyMethod, HeaderMethod, MaxHeader)
	r.Session = r.read(h, keySession, HeaderSession, MaxHeader)
	r.LastEventID = r.read(h, keyLastEventID, HeaderLastEventID, MaxHeader)
	name, ok := DecodeHeaderValue(r.read(h, keyName, HeaderName, MaxHeaderName))
	if !ok {
		r.bad(HeaderName)
	}
	r.Name = name
	return r
}

func (r *Headers) bad(name string) {
	if r.Bad == "" {
		r.Bad = name
	}
}

func (r *Headers) read(h http.Header, key, name string, limit int) string {
	values := h[key]
	if len(values) == 0 {
		return ""
	}
	v := values[0]
	for _, other := range values[1:] {
		if other != v {
			r.bad(name)
			return ""
		}
	}
	if len(v) > limit {
		r.bad(name)
		return ""
	}
	return textproto.TrimString(v)
}

const (
	base64Prefix = "=?base64?"
	base64Suffix = "?="
)

// DecodeHeaderValue returns the text that a header value stands for: the decoded bytes of
// =?base64?…?= (standard alphabet, padded), any other value as it is. It reports false for broken base64.
func DecodeHeaderValue(v string) (string, bool) {
	inner, ok := strings.CutPrefix(v, base64Prefix)
	if !ok {
		return v, true
	}
	inner, ok = strings.CutSuffix(inner, base64Suffix)
	if !ok {
		return v, true
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(inner)
	if err != nil {
		return "", false
	}
	return string(decoded), true
}

// EncodeHeaderValue is the inverse of DecodeHeaderValue: values with bytes outside printable ASCII,
// with outer blanks, or that look encoded themselves come out as =?base64?…?=.
func EncodeHeaderValue(v string) string {
	if headerSafe(v) {
		return v
	}
	return base64Prefix + base64.StdEncoding.EncodeToString([]byte(v)) + base64Suffix
}

func headerSafe(v string) bool {
	for i := range len(v) {
		if v[i] < 0x20 || v[i] > 0x7e {
			return false
		}
	}
	if v != strings.Trim(v, " ") {
		return false
	}
	return !strings.HasPrefix(v, base64Prefix) || !strings.HasSuffix(v, base64Suffix)
}
