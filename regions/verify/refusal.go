package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// codeUnsupportedVersion is JSON-RPC's UnsupportedProtocolVersion of 2026-07-28.
const codeUnsupportedVersion = -32022

// refusal is a whole HTTP answer that is not the MCP result asked for.
type refusal struct {
	Method    string
	Status    int
	Code      int      // JSON-RPC error code; 0 when the answer was not JSON-RPC
	Text      string   // at most 200 bytes of what it said
	Supported []string // protocol versions that the node names with codeUnsupportedVersion
}

func (r *refusal) Error() string {
	s := fmt.Sprintf("answered HTTP %d", r.Status)
	if r.Method != "" {
		s = r.Method + ": " + s
	}
	if r.Code != 0 {
		s += fmt.Sprintf(", JSON-RPC error %d", r.Code)
	}
	if r.Text != "" {
		s += ": " + r.Text
	}
	return s
}

// final reports whether the refusal says what the node is, rather than how it feels: trouble (5xx, 408,
// 429) and missing credentials say nothing of the eras it speaks. Some servers put JSON-RPC's own
// "no such method" and "invalid request" into a 500; those are final.
func (r *refusal) final() bool {
	switch r.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	case http.StatusNotImplemented:
		return true
	}
	return r.Status < 500 || r.Code == -32601 || r.Code == -32600
}

// isFinal reports whether err is a refusal that says what the node is.
func isFinal(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.final()
}

// isRefusal reports whether the node answered at all.
func isRefusal(err error) bool {
	_, ok := errors.AsType[*refusal](err)
	return ok
}

// refused reads why resp, which is not 200, is no result.
func refused(method string, resp *http.Response) error {
	r := &refusal{Method: method, Status: resp.StatusCode}
	body, err := bounded(resp.Body, maxError)
	if err != nil {
		return r
	}
	var m message
	if json.Unmarshal(body, &m) == nil && m.Error != nil {
		r.fill(&m)
	}
	return r
}

// refusal returns nil if m carries a result object.
func (m *message) refusal(method string, status int) error {
	if m.Error == nil && len(m.Result) > 0 && m.Result[0] == '{' {
		return nil
	}
	r := &refusal{Method: method, Status: status, Text: "the answer has no result"}
	if m.Error != nil {
		r.fill(m)
	}
	return r
}

func (r *refusal) fill(m *message) {
	r.Code, r.Text = m.Error.Code, cut(m.Error.Message, 200)
	if r.Code != codeUnsupportedVersion {
		return
	}
	var data struct {
		Supported []string `json:"supported"`
	}
	if json.Unmarshal(m.Error.Data, &data) == nil {
		r.Supported = tidyVersions(data.Supported)
	}
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
