package session_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/poll"
)

// TestAgentThatIsGoneAfterTooMuch: an agent that has sent more than its request leaves unnoticed by the server; its stream
// must not stay for good, and with it the session.
func TestAgentThatIsGoneAfterTooMuch(t *testing.T) {
	s := &script{}
	s.get = func(w http.ResponseWriter, r *http.Request) {
		s.events(w, ": open\n\n")
		<-r.Context().Done()
	}
	b := newBed(t, func(c *session.Config) {
		c.KeepAlive, c.IdleTimeout, c.Sweep = 5*time.Millisecond, 20*time.Millisecond, 5*time.Millisecond
	}, s)
	w := dial(t, b)
	c, err := net.Dial("tcp", strings.TrimPrefix(b.front.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nMcp-Session-Id: %s\r\n\r\n", w.id); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	if _, err := c.Write([]byte("\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	_ = resp.Body.Close()
	poll.True(t, time.Millisecond, 5*time.Second, "the session has expired", func() bool { return b.m.Count() == 0 })
}
