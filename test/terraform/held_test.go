package terraform_test

import (
	"bufio"
	"errors"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// held is a demo that somebody else changes: a process, and what it says.
type held struct {
	t    *testing.T
	cmd  *exec.Cmd
	over chan struct{} // closed when it says no more

	mu   sync.Mutex
	said strings.Builder
	now  status
}

// status is the last of a demo's lines about its agents.
type status struct {
	calls, failed, refused, unknown, lost int64
	added                                 int64  // answers of sa-east to all agents
	by                                    string // who answers sa-east's agents now
}

var statusLine = regexp.MustCompile(`calls (\d+), safe ones failed (\d+), writes refused (\d+), outcome unknown (\d+) of \d+ once calls, sessions lost (\d+), updates \d+, sa-east answered (\d+); .*sa-east ← (.*)$`)

// hold runs a command that begins a demo, in the workspace, and waits until it invites to change the fleet.
func (w *workspace) hold(command string) *held {
	w.t.Helper()
	h := &held{t: w.t, cmd: w.shell("exec " + command), over: make(chan struct{})}
	h.cmd.Env = append(h.cmd.Env, "TMPDIR="+w.t.TempDir())
	out, err := h.cmd.StdoutPipe()
	if err == nil {
		h.cmd.Stderr = h.cmd.Stdout
		err = h.cmd.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(h.over)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			h.heard(lines.Text())
		}
	}()
	w.t.Cleanup(func() {
		_ = h.cmd.Process.Kill() // one that has ended is none
		<-h.over
		_ = h.cmd.Wait()
		if w.t.Failed() {
			w.t.Logf("the demo:\n%s", h.text())
		}
	})
	h.await("it invites to change the fleet", func() bool { return strings.Contains(h.text(), "In another shell") })
	return h
}

func (h *held) heard(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said.WriteString(line + "\n")
	m := statusLine.FindStringSubmatch(line)
	if m == nil {
		return
	}
	s := status{by: m[7]}
	for i, n := range []*int64{&s.calls, &s.failed, &s.refused, &s.unknown, &s.lost, &s.added} {
		*n, _ = strconv.ParseInt(m[i+1], 10, 64) // digits
	}
	h.now = s
}

func (h *held) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.said.String()
}

func (h *held) status() status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// await polls what the demo has said.
func (h *held) await(what string, ok func() bool) {
	h.t.Helper()
	tick, end := time.NewTicker(50*time.Millisecond), time.NewTimer(formed)
	defer tick.Stop()
	defer end.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-h.over:
			if !ok() {
				h.t.Fatalf("the demo ended before this: %s", what)
			}
		case <-end.C:
			h.t.Fatalf("not within %s: %s", formed, what)
		}
	}
}

// until waits for a status.
func (h *held) until(what string, ok func(status) bool) status {
	h.t.Helper()
	var s status
	h.await(what, func() bool { s = h.status(); return ok(s) })
	return s
}

// find returns what the groups of an expression match in the last line of the demo's that it fits.
func (h *held) find(expression string) []string {
	h.t.Helper()
	all := regexp.MustCompile(expression).FindAllStringSubmatch(h.text(), -1)
	if len(all) == 0 {
		h.t.Fatalf("the demo said nothing like %s", expression)
	}
	return all[len(all)-1][1:]
}

// interrupt ends the demo as Ctrl-C does and returns its exit code.
func (h *held) interrupt() int {
	h.t.Helper()
	if err := h.cmd.Process.Signal(syscall.SIGINT); err != nil {
		h.t.Fatal(err)
	}
	<-h.over
	var ended *exec.ExitError
	if err := h.cmd.Wait(); err != nil && !errors.As(err, &ended) {
		h.t.Fatal(err)
	}
	return h.cmd.ProcessState.ExitCode()
}
