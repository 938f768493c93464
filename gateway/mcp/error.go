package mcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// JSON-RPC error codes: the standard's, the protocol's (2026-07-28) and the gateway's own.
const (
	CodeParse              = -32700
	CodeInvalidRequest     = -32600
	CodeMethodNotFound     = -32601
	CodeInvalidParams      = -32602
	CodeInternal           = -32603
	CodeSession            = -32000 // what some servers answer, with HTTP 400, to an unknown session
	CodeHeaderMismatch     = -32020
	CodeMissingCapability  = -32021
	CodeUnsupportedVersion = -32022
	CodeOutcomeUnknown     = -32070
	CodeNoAuthority        = -32071
	CodeNothingFits        = -32072
	CodeOverloaded         = -32073
)

// Error is a JSON-RPC error that the gateway itself answers with.
type Error struct {
	Code       int
	Message    string        // for people; never internals or argument values
	Reason     string        // data.reason, a stable word for programs; "" leaves it out
	RetryAfter time.Duration // data.retry_after_ms and the Retry-After header; 0 leaves them out
	HTTPStatus int           // 400..599; see WriteAnswer for when it is not used
	Data       any           // when not nil, the whole of data, in place of Reason and RetryAfter
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("mcp: error %d: %s", e.Code, e.Message)
}

// OutcomeUnknown is for a request that may have run on a node that was lost before it answered.
func OutcomeUnknown(reason string) *Error {
	return &Error{Code: CodeOutcomeUnknown, Message: "outcome unknown: the node was lost after it may have received the request",
		Reason: reason, HTTPStatus: http.StatusBadGateway}
}

// The reasons of NoAuthority.
const (
	// ReasonMinority: too few voters answer this gateway, or another one on the way.
	ReasonMinority = "minority"
	// ReasonFenced: the node, or another gateway, has seen a later epoch.
	ReasonFenced = "fenced"
	// ReasonNoQuorum: what has to be agreed on first cannot be now.
	ReasonNoQuorum = "no_quorum"
	// ReasonOwner: the gateway that owns the session cannot be asked, and may still be serving it.
	ReasonOwner = "owner_unreachable"
	// ReasonCopies: a gateway that may hold the session does not answer.
	ReasonCopies = "copies_unreachable"
)

// NoAuthority is for a write that this gateway may not let through now. No node has acted on it.
func NoAuthority(reason string, retryAfter time.Duration) *Error {
	return &Error{Code: CodeNoAuthority,
		Message: "no authority: this side may not write now; nothing was done, so send it again later, or through another region's gateway",
		Reason:  reason, RetryAfter: retryAfter, HTTPStatus: http.StatusServiceUnavailable}
}

// NothingFits is for a request that no node, class or region can take.
func NothingFits(reason string, retryAfter time.Duration) *Error {
	return &Error{Code: CodeNothingFits, Message: "no node can take the request",
		Reason: reason, RetryAfter: retryAfter, HTTPStatus: http.StatusServiceUnavailable}
}

// Overloaded is for a request that is shed because the service or the gateway has too much to do (503).
func Overloaded(reason string, retryAfter time.Duration) *Error {
	return &Error{Code: CodeOverloaded, Message: "overloaded",
		Reason: reason, RetryAfter: retryAfter, HTTPStatus: http.StatusServiceUnavailable}
}

// TooManyRequests is Overloaded where the caller itself sends too much (429).
func TooManyRequests(reason string, retryAfter time.Duration) *Error {
	e := Overloaded(reason, retryAfter)
	e.HTTPStatus = http.StatusTooManyRequests
	return e
}

// HeaderMismatch is for headers that contradict the body or lack what the body needs.
func HeaderMismatch(message string) *Error {
	return &Error{Code: CodeHeaderMismatch, Message: message, Reason: "header_mismatch", HTTPStatus: http.StatusBadRequest}
}

// InvalidRequest is for well-formed JSON that is no acceptable message.
func InvalidRequest(message string) *Error {
	return &Error{Code: CodeInvalidRequest, Message: message, Reason: "invalid_request", HTTPStatus: http.StatusBadRequest}
}

// InvalidParams is for a request whose params lack what the protocol requires.
func InvalidParams(message string) *Error {
	return &Error{Code: CodeInvalidParams, Message: message, Reason: "invalid_params", HTTPStatus: http.StatusBadRequest}
}

// ParseError is for a body that is no JSON.
func ParseError(message string) *Error {
	return &Error{Code: CodeParse, Message: message, Reason: "parse_error", HTTPStatus: http.StatusBadRequest}
}

// MethodNotFound is for a method that the protocol version does not have (HTTP 404, as modern nodes answer).
func MethodNotFound(method string) *Error {
	return &Error{Code: CodeMethodNotFound, Message: "method not found: " + clip(method),
		Reason: "method_not_found", HTTPStatus: http.StatusNotFound}
}

// UnsupportedVersion carries data.supported, from which a client chooses, and data.requested.
func UnsupportedVersion(requested string, supported []string) *Error {
	return &Error{Code: CodeUnsupportedVersion, Message: "unsupported protocol version", HTTPStatus: http.StatusBadRequest,
		Data: map[string]any{"supported": append([]string{}, supported...), "requested": clip(requested)}}
}

// ScanError turns an error of Scan or ScanBatch into the answer for it.
func ScanError(err error) *Error {
	switch {
	case errors.Is(err, ErrSyntax):
		return ParseError("the body is not well-formed JSON")
	case errors.Is(err, ErrTooDeep):
		return InvalidRequest("the message is nested too deeply")
	case errors.Is(err, ErrDuplicate):
		return InvalidRequest("the message has a member twice")
	case errors.Is(err, ErrBadID):
		return InvalidRequest("the id must be a string or a number")
	case errors.Is(err, ErrBatch):
		return InvalidRequest("the batch is empty or too long")
	}
	return InvalidRequest("the body is not a JSON-RPC 2.0 message")
}

// data returns the error object's data member, nil when there is none.
func (e *Error) data() any {
	if e.Data != nil || (e.Reason == "" && e.RetryAfter <= 0) {
		return e.Data
	}
	return struct {
		Reason       string `json:"reason,omitempty"`
		RetryAfterMS int64  `json:"retry_after_ms,omitempty"`
	}{e.Reason, e.retryMS()}
}

// retryMS rounds up: a caller that comes back early comes back for nothing.
func (e *Error) retryMS() int64 {
	return int64((max(e.RetryAfter, 0) + time.Millisecond - 1) / time.Millisecond)
}

// Body returns the whole JSON-RPC error message. id is the request's id as written in JSON; nil
// gives null. Data that cannot be encoded is left out.
func (e *Error) Body(id []byte) []byte {
	if id == nil {
		id = []byte("null")
	}
	message, err := json.Marshal(e.Message)
	if err != nil { // a string always encodes
		message = []byte(`""`)
	}
	out := append([]byte(`{"jsonrpc":"2.0","id":`), id...)
	out = append(out, `,"error":{"code":`...)
	out = strconv.AppendInt(out, int64(e.Code), 10)
	out = append(append(out, `,"message":`...), message...)
	if d := e.data(); d != nil {
		if data, err := json.Marshal(d); err == nil {
			out = append(append(out, `,"data":`...), data...)
		}
	}
	return append(out, "}}"...)
}

// WriteError answers the request with e: status, Content-Type, Retry-After in whole seconds, body.
// It must be called before anything was written. A failed write is the client's loss and not reported.
func WriteError(w http.ResponseWriter, e *Error, id []byte) { write(w, e, id, true) }

func write(w http.ResponseWriter, e *Error, id []byte, retryAfter bool) {
	body := e.Body(id)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if ms := e.retryMS(); ms > 0 && retryAfter {
		h.Set("Retry-After", strconv.FormatInt((ms+999)/1000, 10))
	}
	if word := e.refusedWord(); word != "" {
		h.Set(HeaderRefused, word)
	}
	w.WriteHeader(e.HTTPStatus)
	_, _ = w.Write(body)
}

// WriteAnswer answers a request of the given method and id with one of the gateway's own errors
// (-32070 to -32073). It must be called before anything was written.
//
// The answer is in band, with HTTP 200: go-sdk replaces the body of a 429 and of most 5xx answers by the
// status text, and the TypeScript clients report the status as the error's code, so that an agent
// would never learn whether its call may have run. Where the status is what a client acts on, it is
// e.HTTPStatus: for the probes that tell eras apart (discover, initialize), where anything but a 5xx would
// make a client take an outage for an old server, and for messages without an id.
func WriteAnswer(w http.ResponseWriter, method string, e *Error, id []byte) {
	if id == nil || method == MethodDiscover || method == MethodInitialize {
		WriteError(w, e, id)
		return
	}
	inBand := *e
	inBand.HTTPStatus = http.StatusOK
	write(w, &inBand, id, false)
}

// clip bounds a value of the caller's that is quoted back.
func clip(s string) string {
	const limit = 128
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
