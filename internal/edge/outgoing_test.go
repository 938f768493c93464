package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// hanging answers nothing, or with a body that does not end, until its request is cut.
type hanging struct {
	answers bool
	on      chan struct{}
}

func (h hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	if h.answers {
		body, end := io.Pipe()
		context.AfterFunc(r.Context(), func() { _ = end.CloseWithError(context.Cause(r.Context())) })
		return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
	}
	if h.on != nil {
		close(h.on)
	}
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

// TestOutgoing: nothing waits for a gateway whose life has ended, whether it ended before the request was on its way,
// meanwhile, or while the answer came.
func TestOutgoing(t *testing.T) {
	var over atomic.Bool
	out := &outgoing{lives: func(string) bool { return !over.Load() }}
	ask := func(h hanging) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://b/", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		return out.over("b", h).RoundTrip(r)
	}
	on := make(chan struct{})
	go func() {
		<-on
		out.cut("b")
	}()
	if _, err := ask(hanging{on: on}); !errors.Is(err, errEnded) {
		t.Errorf("meanwhile: %v", err)
	}
	resp, err := ask(hanging{answers: true})
	if err != nil {
		t.Fatal(err)
	}
	out.cut("a")
	out.cut("b")
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, errEnded) {
		t.Errorf("while the answer came: %v", err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	over.Store(true)
	if _, err := ask(hanging{}); !errors.Is(err, errEnded) {
		t.Errorf("before: %v", err)
	}
	if len(out.all) != 0 {
		t.Errorf("%d are remembered", len(out.all))
	}
}
