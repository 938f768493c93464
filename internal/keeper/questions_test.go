package keeper

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// older is a fleet whose other gateway runs a release that does not know the question.
type older struct{}

func (older) Up(string) bool { return true }

func (o older) Transport(string) http.RoundTripper { return o }

func (older) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusBadRequest, Status: "400 Bad Request", Body: io.NopCloser(strings.NewReader("no such question in this release\n"))}, nil
}

// Operators read what a gateway answered that could not be compared with.
func TestRefusedQuestionsSayWhy(t *testing.T) {
	k := &Keeper{cfg: Config{Links: older{}, Label: func() string { return "" }}}
	err := k.question(t.Context(), "gw-2", "verify", struct{}{}, &struct{}{})
	if want := "keeper: verify at gw-2: 400 Bad Request: no such question in this release"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
