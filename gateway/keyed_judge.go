package gateway

import (
	"net/http"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/internal/ledger"
)

// keyedAnswer is all that the outcome of a call depends on.
type keyedAnswer struct {
	status  int
	refused bool // it is the gateway's own word that no node has acted
	body    []byte
	id      []byte // of the call
	sent    bool   // a byte of the call may have left
	cut     bool   // there is more of the body
}

// refusedHere reports whether an answer is the gateway's own word that no node has acted.
func refusedHere(h http.Header) bool { return len(h[mcp.HeaderRefused]) > 0 }

// judge says what an answer means for the key of its call. Only what certainly has not run frees it.
func judge(a keyedAnswer) ledger.Outcome {
	switch {
	case !a.sent, a.refused, unserved(a.status):
		return ledger.Outcome{Kind: ledger.NotRun}
	case a.cut && a.status == http.StatusOK:
		return ledger.Outcome{Kind: ledger.Unkept}
	}
	e, err := mcp.Scan(a.body)
	if err != nil || e.Kind != mcp.KindResponse || !mcp.SameID(e.ID.Of(a.body), a.id) {
		return ledger.Outcome{}
	}
	if e.HasResult {
		return ledger.Outcome{Kind: ledger.Result, Status: a.status, Value: e.Result.Of(a.body)}
	}
	switch mcp.ErrorCode(e.Error.Of(a.body)) {
	case mcp.CodeOutcomeUnknown:
		return ledger.Outcome{}
	case mcp.CodeNoAuthority: // a node's own word, when a later epoch has overtaken the call on its way to the effect
		return ledger.Outcome{Kind: ledger.NotRun}
	}
	return ledger.Outcome{Kind: ledger.Failed, Status: a.status, Value: e.Error.Of(a.body)}
}

// unserved reports whether a status says that the request was refused before anybody looked at what it asks for (RFC
// 9110 section 15.5, RFC 6585).
func unserved(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusTooManyRequests:
		return true
	}
	return false
}
