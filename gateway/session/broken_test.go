package session_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/poll"
)

// breakOff sends the beginning of a JSON answer that is too large to be read whole first, and breaks the connection.
func breakOff(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":"`+strings.Repeat("x", 100<<10))
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// TestCallWhoseAnswerBreaksOffEnds: it can only be cut towards the agent; it must not count as under way from then on.
func TestCallWhoseAnswerBreaksOffEnds(t *testing.T) {
	s := &script{json: true}
	s.on = map[string]func(http.ResponseWriter, *http.Request, string){
		"resources/read": func(w http.ResponseWriter, _ *http.Request, _ string) { breakOff(w) },
	}
	b := newBed(t, nil, s)
	w := dial(t, b)
	for range 300 { // more than may be under way
		resp := w.do(http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"u"}}`, "")
		_, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil {
			t.Fatalf("%s: the part was passed off as the whole", resp.Status)
		}
	}
	if resp, body := w.call(2, "read"); !strings.Contains(body, `"result"`) {
		t.Errorf("afterwards: %s %s", resp.Status, body)
	}
	closed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		closed <- b.m.Close(ctx)
	}()
	select {
	case err := <-closed:
		if err != nil {
			t.Errorf("close: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("close waits for calls that are over")
	}
}

// TestOpeningWhoseAnswerBreaksOffTakesNoPlace: of a session that there never was.
func TestOpeningWhoseAnswerBreaksOffTakesNoPlace(t *testing.T) {
	b := newBed(t, func(c *session.Config) { c.MaxSessions = 1 }, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { breakOff(w) }))
	w := &wire{t: t, url: b.front.URL, client: b.front.Client()}
	for range 2 {
		resp := w.do(http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`, "")
		_, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || err == nil {
			t.Fatalf("%s, %v", resp.Status, err)
		}
	}
	if n := b.m.Count(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// TestAnswerThatNobodyGetsIsGivenUp: it would keep its connection, and count as in flight, for good.
func TestAnswerThatNobodyGetsIsGivenUp(t *testing.T) {
	begun, cancelled := make(chan struct{}), make(chan struct{})
	busy := func(w http.ResponseWriter, _ *http.Request, _ string) {
		http.Error(w, "busy", http.StatusServiceUnavailable)
	}
	s := &script{json: true}
	s.on = map[string]func(http.ResponseWriter, *http.Request, string){
		"ping": busy,
		"tools/call": func(w http.ResponseWriter, r *http.Request, id string) {
			close(begun)
			<-cancelled
			busy(w, r, id)
		},
	}
	b := newBed(t, nil, s)
	w := dial(t, b)
	done := make(chan string)
	go func() {
		_, body := w.call(1, "read")
		done <- body
	}()
	<-begun
	w.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	close(cancelled)
	if body := soon(t, done); !strings.Contains(body, "-32070") {
		t.Errorf("answered %s", body)
	}
	poll.True(t, time.Millisecond, 5*time.Second, "nothing is in flight", func() bool { return b.places[0].node.InFlight() == 0 })
}

// TestCloseCutsOpenings: a node that never answers an initialize does not keep its gateway from stopping.
func TestCloseCutsOpenings(t *testing.T) {
	asked := make(chan struct{})
	b := newBed(t, nil, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(asked)
		<-r.Context().Done()
	}))
	w := &wire{t: t, url: b.front.URL, client: b.front.Client()}
	answered := make(chan string, 1)
	go func() {
		_, body := w.post(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`)
		answered <- body
	}()
	<-asked
	closed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		closed <- b.m.Close(ctx)
	}()
	if err := soon(t, closed); err == nil {
		t.Error("it was not cut")
	}
	if body := soon(t, answered); !strings.Contains(body, "-32072") {
		t.Errorf("answered %s", body)
	}
}

// TestCloseWaitsForNoSlowReader: nor does an agent that leaves its answer unread.
func TestCloseWaitsForNoSlowReader(t *testing.T) {
	s := &script{json: true}
	s.on = map[string]func(http.ResponseWriter, *http.Request, string){
		"resources/read": func(w http.ResponseWriter, _ *http.Request, id string) {
			s.answer(w, id, `"`+strings.Repeat("x", 64<<20)+`"`)
		},
	}
	b := newBed(t, nil, s)
	w := dial(t, b)
	resp := w.do(http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"u"}}`, "")
	defer resp.Body.Close()
	closed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		closed <- b.m.Close(ctx)
	}()
	if err := soon(t, closed); err == nil {
		t.Error("it was not cut")
	}
}
