package session

import (
	"errors"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

// NotFound is how an agent learns that its session is over: a body that is not JSON-RPC, because
// go-sdk takes a JSON-RPC 404 with the request's id for an answer to the request.
func NotFound(w http.ResponseWriter) {
	http.Error(w, "session not found", http.StatusNotFound)
}

// writeFailure tells the agent why its request has no answer. Nothing must have been written yet.
func writeFailure(w http.ResponseWriter, method string, err error, id []byte) {
	var no *refusal
	if errors.As(err, &no) {
		copyHeader(w.Header(), no.header)
		w.WriteHeader(no.status)
		_, _ = w.Write(no.body) // a failed write is the agent's loss
		return
	}
	if errors.Is(err, errLost) || errors.Is(err, errDeleted) || errors.Is(err, errExpired) {
		NotFound(w)
		return
	}
	mcp.WriteAnswer(w, method, asError(err), id)
}

// asError puts a failure into the gateway's own errors, for streams that are open already.
func asError(err error) *mcp.Error {
	var own *mcp.Error
	var no *refusal
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &no):
		return mcp.NothingFits("credentials_refused", 0)
	case errors.Is(err, ErrTaken):
		return mcp.NothingFits("session_moved", time.Second)
	case errors.Is(err, errShutdown):
		return mcp.NothingFits("shutdown", time.Second)
	case errors.Is(err, errLost), errors.Is(err, errDeleted), errors.Is(err, errExpired):
		return &mcp.Error{Code: mcp.CodeNothingFits, Message: "the session is over; begin a new one",
			Reason: "session_lost", HTTPStatus: http.StatusNotFound}
	}
	return mcp.NothingFits("no_node", time.Second)
}
