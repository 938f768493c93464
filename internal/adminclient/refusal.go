package adminclient

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/quorate/quorate/internal/admin"
)

// Refusal is an answer that is no success.
type Refusal struct {
	Status  int
	Code    string // the listener's word for it, such as in_file; "" where something else answered
	Message string
	// Problems are what is wrong with a document, by attribute.
	Problems []admin.SettingProblem
}

// Error is the gateway's own message.
func (r *Refusal) Error() string { return "the gateway refuses: " + r.Message }

// passing reports whether the same request may be answered otherwise soon.
func (r *Refusal) passing() bool {
	return r.Status == http.StatusServiceUnavailable || r.Status == http.StatusGatewayTimeout
}

// Unknown reports whether the change may have happened all the same: the majority may have been lost while it was asked.
func (r *Refusal) Unknown() bool { return r.passing() }

// NotFound reports whether an error says that there is no such thing.
func NotFound(err error) bool { return statusOf(err) == http.StatusNotFound }

// Conflict reports whether an error says that somebody else was there first.
func Conflict(err error) bool { return statusOf(err) == http.StatusPreconditionFailed }

func statusOf(err error) int {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Status
	}
	return 0
}

func refusalOf(resp *http.Response, body []byte) *Refusal {
	var said struct {
		Error struct {
			Code, Message string
			Problems      []admin.SettingProblem
		}
	}
	r := &Refusal{Status: resp.StatusCode, Message: resp.Status}
	if json.Unmarshal(body, &said) == nil && said.Error.Message != "" {
		r.Code, r.Message, r.Problems = said.Error.Code, said.Error.Message, said.Error.Problems
	}
	return r
}
