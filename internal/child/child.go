// Package child starts, watches and signals this program's own child processes, always by their
// process id. It must not know what the processes do: nodes, gateways and proxies look the same here.
package child

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// ErrEnded is returned for a process that ended before it said that it was ready.
var ErrEnded = errors.New("ended before it was ready")

// maxLine bounds one line of a child's output; longer lines are cut.
const maxLine = 64 << 10

// Stream names the output of a child that carries its ready line.
type Stream uint8

const (
	// None: the child says nothing when it is ready.
	None Stream = iota
	// Stdout carries the ready line.
	Stdout
	// Stderr carries the ready line.
	Stderr
)

// Spec describes one process.
type Spec struct {
	Path string
	Args []string
	Env  []string // added to this process's own environment
	// Ready is the stream with the JSON line that has "msg" equal to ReadyMsg; None starts without waiting.
	Ready    Stream
	ReadyMsg string
	// Log receives every other line of both streams; nil drops them. It must be safe for concurrent use.
	Log io.Writer
}

// Group starts processes that die with this one. Its zero value is not usable; see NewGroup.
type Group struct {
	starts chan func()
	mu     sync.Mutex
	live   map[*Process]struct{}
	closed bool
}

// NewGroup returns a group with its launcher running; Close must be called.
func NewGroup() *Group {
	g, _ := NewGroupIn(func() error { return nil }) // which cannot fail
	return g
}

// NewGroupIn returns a group whose processes start from a thread on which enter has run: they inherit what
// belongs to a thread, such as its network namespace. The thread ends with the group.
func NewGroupIn(enter func() error) (*Group, error) {
	g := &Group{starts: make(chan func()), live: make(map[*Process]struct{})}
	entered := make(chan error)
	go g.launch(enter, entered)
	if err := <-entered; err != nil {
		return nil, fmt.Errorf("child: group: %w", err)
	}
	return g, nil
}

// launch runs every fork on one thread that lives as long as the group: the kernel sends the
// parent-death signal when the forking thread ends, not when the process does.
func (g *Group) launch(enter func() error, entered chan<- error) {
	runtime.LockOSThread() // for good: nobody else shall get a thread that was changed
	err := enter()
	entered <- err
	if err != nil {
		return
	}
	for f := range g.starts {
		f()
	}
}

// Start starts a process and waits for its ready line, which is returned (nil with None).
// When ctx ends first, the process is killed.
func (g *Group) Start(ctx context.Context, s Spec) (*Process, []byte, error) {
	p, ready, err := g.fork(s)
	if err != nil {
		return nil, nil, fmt.Errorf("child: start %s: %w", s.Path, err)
	}
	if s.Ready == None {
		return p, nil, nil
	}
	select {
	case line, ok := <-ready:
		if ok {
			return p, line, nil
		}
		err = ErrEnded
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.Kill()
	return nil, nil, fmt.Errorf("child: start %s: %w", s.Path, err)
}

func (g *Group) fork(s Spec) (*Process, <-chan []byte, error) {
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.SysProcAttr = dieWithParent()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, nil, errors.New("group is closed")
	}
	started := make(chan error)
	g.starts <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, nil, err
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	g.live[p] = struct{}{}
	ready := make(chan []byte, 1)
	go g.watch(p, s, stdout, stderr, ready)
	return p, ready, nil
}

// watch drains both streams, then reaps the process.
func (g *Group) watch(p *Process, s Spec, stdout, stderr io.Reader, ready chan<- []byte) {
	var drains sync.WaitGroup
	drain := func(r io.Reader, want bool) func() {
		return func() { readLines(r, s, want, ready) }
	}
	drains.Go(drain(stdout, s.Ready == Stdout))
	drains.Go(drain(stderr, s.Ready == Stderr))
	drains.Wait()
	close(ready)
	p.err = p.cmd.Wait()
	g.mu.Lock()
	delete(g.live, p)
	g.mu.Unlock()
	close(p.done)
}

// readLines sends the first ready line and logs the others until the stream ends.
func readLines(r io.Reader, s Spec, want bool, ready chan<- []byte) {
	br := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := br.ReadSlice('\n')
		switch {
		case len(line) == 0:
		case want && isReady(line, s.ReadyMsg):
			ready <- bytes.Clone(line)
			want = false
		case s.Log != nil:
			_, _ = s.Log.Write(line)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func isReady(line []byte, msg string) bool {
	var l struct {
		Msg string `json:"msg"`
	}
	return json.Unmarshal(line, &l) == nil && l.Msg == msg
}

// Close kills what still runs, waits for it and ends the launcher.
func (g *Group) Close() {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	g.closed = true
	live := make([]*Process, 0, len(g.live))
	for p := range g.live {
		live = append(live, p)
	}
	g.mu.Unlock()
	for _, p := range live {
		p.Kill()
	}
	close(g.starts)
}

// Process is one child.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // set before done closes
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended and was reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns how the process ended: nil for exit status 0. It waits for the end.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Signal sends sig; a process that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Kill sends SIGKILL and waits for the end; it works on a stopped process too.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	<-p.done
}

// Terminate sends SIGTERM, waits up to grace, then kills. It returns how the process ended.
func (p *Process) Terminate(grace time.Duration) error {
	_ = p.Signal(syscall.SIGTERM)
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
		p.Kill()
	}
	return p.err
}
