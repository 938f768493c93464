package gateway

import (
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

// refusal is an answer to a request that never comes near a node.
func refusal(status int, reason, message string) *mcp.Error {
	return &mcp.Error{Code: mcp.CodeInvalidRequest, HTTPStatus: status, Reason: reason, Message: message}
}

func bodyError(err error) *mcp.Error {
	switch {
	case errors.Is(err, errBodyTooLarge):
		return refusal(http.StatusRequestEntityTooLarge, "body_too_large", "the request body is larger than this gateway takes")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refusal(http.StatusRequestTimeout, "body_too_slow", "the request body did not arrive in time")
	}
	return refusal(http.StatusBadRequest, "body_cut", "the request body ended too early")
}

// nothingFits says why no node took a request and when asking again may help: a dead node is asked
// for a sign of life again within a fraction of a second.
func nothingFits(reason string) *mcp.Error { return mcp.NothingFits(reason, time.Second) }
