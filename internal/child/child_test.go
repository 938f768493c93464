package child

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sh(script string, ready Stream, log *Tail) Spec {
	return Spec{Path: "/bin/sh", Args: []string{"-c", script}, Ready: ready, ReadyMsg: "up", Log: log}
}

func TestStartReturnsReadyLineAndLogsTheRest(t *testing.T) {
	g := NewGroup()
	defer g.Close()
	log := new(Tail)
	p, line, err := g.Start(t.Context(), sh(`echo noise; echo '{"msg":"up","address":"x"}'; echo more`, Stdout, log))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Err(); err != nil {
		t.Errorf("exit: %v", err)
	}
	if !strings.Contains(string(line), `"address":"x"`) || log.String() != "noise\nmore\n" {
		t.Errorf("line %q, log %q", line, log)
	}
}

func TestStartFailsWhenTheChildEndsFirst(t *testing.T) {
	g := NewGroup()
	defer g.Close()
	log := new(Tail)
	_, _, err := g.Start(t.Context(), sh(`echo broken >&2; exit 3`, Stderr, log))
	if !errors.Is(err, ErrEnded) || log.String() != "broken\n" {
		t.Errorf("err %v, log %q", err, log)
	}
}

func TestCloseKillsEvenAStoppedChild(t *testing.T) {
	g := NewGroup()
	p, _, err := g.Start(t.Context(), sh(`echo '{"msg":"up"}'; exec sleep 60`, Stdout, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	g.Close()
	if err := syscall.Kill(p.PID(), 0); err == nil {
		t.Errorf("process %d still there", p.PID())
	}
	if _, _, err := g.Start(t.Context(), sh(`true`, None, nil)); err == nil {
		t.Error("a closed group started a process")
	}
}

func TestTerminateKillsAfterGrace(t *testing.T) {
	g := NewGroup()
	defer g.Close()
	p, _, err := g.Start(t.Context(), sh(`trap '' TERM; echo '{"msg":"up"}'; while :; do sleep 0.05; done`, Stdout, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Terminate(20 * time.Millisecond); err == nil {
		t.Error("exit status 0 for a killed process")
	}
	if err := p.Signal(os.Kill.(syscall.Signal)); err != nil {
		t.Errorf("signal after the end: %v", err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	tail := new(Tail)
	for range 3000 {
		_, _ = tail.Write([]byte("line\n"))
	}
	if s := tail.String(); len(s) > maxTail || !strings.HasPrefix(s, "line\n") {
		t.Errorf("kept %d bytes, start %q", len(s), s[:8])
	}
}
