package edge

import (
	"errors"
	"net"
	"testing"
	"time"
)

// An agent that never reads does not hold its connection for ever. The control is the same without the bound.
func TestAgentThatNeverReadsIsCut(t *testing.T) {
	for _, bound := range []time.Duration{time.Second, 0} {
		t.Run(bound.String(), func(t *testing.T) { neverReads(t, bound) })
	}
}

func neverReads(t *testing.T, bound time.Duration) {
	l, err := listen("127.0.0.1:0", bound)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	agent, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began, wrote := time.Now(), 0
	if err := c.SetWriteDeadline(began.Add(3 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var n int
	for err == nil {
		n, err = c.Write(make([]byte, 1<<20))
		wrote += n
	}
	var timeout net.Error
	cut := !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(began) < 2500*time.Millisecond
	t.Logf("bound %s: %v after %s and %d bytes", bound, err, time.Since(began).Round(time.Millisecond), wrote)
	if cut != (bound > 0) {
		t.Errorf("bound %s: cut %v", bound, cut)
	}
}
