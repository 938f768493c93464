package child

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/poll"
)

// TestMain lets the test binary be a parent that gets killed.
func TestMain(m *testing.M) {
	if os.Getenv("CHILD_TEST_PARENT") != "" {
		parent()
		return
	}
	goleak.VerifyTestMain(m)
}

// parent starts a child, names it and waits to be killed.
func parent() {
	p, _, err := NewGroup().Start(context.Background(), Spec{Path: "/bin/sleep", Args: []string{"60"}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf(`{"msg":"up","pid":%d}`+"\n", p.PID())
	<-p.Done()
}

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

func TestChildDiesWithItsKilledParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("LOUD: no parent-death signal on", runtime.GOOS, "so a killed parent leaves children")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g := NewGroup()
	defer g.Close()
	p, line, err := g.Start(t.Context(), Spec{Path: self, Env: []string{"CHILD_TEST_PARENT=1"}, Ready: Stdout, ReadyMsg: "up"})
	if err != nil {
		t.Fatal(err)
	}
	var ready struct{ PID int }
	if err := json.Unmarshal(line, &ready); err != nil || ready.PID == 0 {
		t.Fatalf("line %q: %v", line, err)
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// The orphan holds no pipe of ours and is reaped by someone else: only polling shows its end.
	poll.True(t, time.Millisecond, 10*time.Second, "a process does not outlive its parent", func() bool { return !Alive(ready.PID) })
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

// A process that is busy stands still once Pause has returned, and goes on afterwards.
func TestPause(t *testing.T) {
	g := NewGroup()
	defer g.Close()
	p, _, err := g.Start(t.Context(), sh(`echo '{"msg":"up"}'; while :; do :; done`, Stdout, new(Tail)))
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if err := p.Pause(); err != nil || !p.stands() {
			t.Fatalf("%v, or it runs", err)
		}
		if err := p.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(5 * time.Second); p.stands() && time.Now().Before(end); {
			runtime.Gosched()
		}
		if p.stands() {
			t.Fatal("it does not go on: this test could not see a process that runs")
		}
	}
}
