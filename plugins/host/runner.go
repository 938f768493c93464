package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin"
)

// drain is how long output is still read after a process has ended. A child of its that left the group may hold the
// pipe open for ever.
const drain = 100 * time.Millisecond

// parting is how long a process that failed to start has to end by itself.
const parting = 100 * time.Millisecond

// runner is one process in a group of its own, as go-plugin wants it. go-plugin itself would start it from any thread,
// ask it to end before killing it (30 s with a stopped one) and leave its children.
type runner struct {
	cfg    Config
	launch func(func() error) error // runs a fork where the parent-death signal works

	cmd            *exec.Cmd
	stdout, stderr *os.File
	done           chan struct{}

	mu      sync.Mutex // guards what follows
	started bool
	killed  bool // before or after the start
	reaped  bool
	err     error
}

func newRunner(cfg Config, launch func(func() error) error) *runner {
	return &runner{cfg: cfg, launch: launch, done: make(chan struct{})}
}

// use takes the environment that go-plugin made, the one thing that the process gets, but for the folder of the
// socket: go-plugin's has a name too long for one.
func (r *runner) use(env []string, dir string) {
	env = append(slices.Clone(env), plugin.EnvUnixSocketDir+"="+dir) // the last one counts
	r.cmd = exec.Command(r.cfg.Path, r.cfg.Args...)
	if r.cfg.Own {
		r.cmd.Args[0] = filepath.Base(os.Args[0]) // for process lists: the path is that of a link
	}
	r.cmd.Env, r.cmd.Dir, r.cmd.SysProcAttr = env, dir, ownGroup()
}

// Start implements runner.Runner.
func (r *runner) Start(context.Context) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.killed {
		return errors.New("killed before it started")
	}
	var out, log *os.File
	if r.stdout, out, err = os.Pipe(); err != nil {
		return err
	}
	defer out.Close()
	if r.stderr, log, err = os.Pipe(); err != nil {
		r.stdout.Close()
		return err
	}
	defer log.Close()
	r.cmd.Stdout, r.cmd.Stderr = out, log
	if err := r.launch(r.cmd.Start); err != nil {
		r.stdout.Close()
		r.stderr.Close()
		return err
	}
	r.started = true
	go r.watch()
	return nil
}

// watch waits for the end, kills what the process leaves in its group, and reaps. The group is killed before the
// reaping, while its number cannot be another's.
func (r *runner) watch() {
	if awaitExit(r.cmd.Process.Pid) {
		r.mu.Lock()
		r.signal()
		r.mu.Unlock()
	}
	err := r.cmd.Wait()
	r.mu.Lock()
	r.reaped, r.err = true, err
	r.mu.Unlock()
	limit := time.Now().Add(drain)
	_ = r.stdout.SetReadDeadline(limit)
	_ = r.stderr.SetReadDeadline(limit)
	close(r.done)
}

// signal kills the group; mu is held.
func (r *runner) signal() {
	if r.started && !r.reaped {
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// kill sends SIGKILL to the group and waits for its end. A stopped process dies of it too.
func (r *runner) kill() {
	r.mu.Lock()
	r.killed = true
	r.signal()
	started := r.started
	r.mu.Unlock()
	if started {
		<-r.done
	}
}

// Kill implements runner.Runner. go-plugin kills what fails to shake hands; often that is ending by itself, and its exit
// status says why.
func (r *runner) Kill(context.Context) error {
	select {
	case <-r.done:
	case <-time.After(parting):
		r.kill()
	}
	return nil
}

// Wait implements runner.Runner.
func (r *runner) Wait(context.Context) error {
	<-r.done
	r.stdout.Close()
	r.stderr.Close()
	return r.err
}

// ID implements runner.Runner; it is the process id.
func (r *runner) ID() string {
	if pid := r.pid(); pid != 0 {
		return strconv.Itoa(pid)
	}
	return ""
}

// pid is the process id, 0 before the start.
func (r *runner) pid() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.started {
		return 0
	}
	return r.cmd.Process.Pid
}

// exit says how the process ended by itself; nil if it was killed from here, or has not ended.
func (r *runner) exit() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.killed || !r.reaped:
		return nil
	case r.err == nil:
		return errors.New("exit status 0")
	}
	return r.err
}

// Name implements runner.Runner.
func (r *runner) Name() string { return r.cfg.Name }

// Stdout implements runner.Runner.
func (r *runner) Stdout() io.ReadCloser { return r.stdout }

// Stderr implements runner.Runner.
func (r *runner) Stderr() io.ReadCloser { return r.stderr }

// Diagnose implements runner.Runner; see life.startError.
func (r *runner) Diagnose(context.Context) string { return "" }

// PluginToHost implements runner.Runner. A plugin may listen on a socket or on loopback: whatever it names is
// connected to.
func (r *runner) PluginToHost(network, address string) (string, string, error) {
	switch network {
	case "unix":
		if filepath.IsAbs(address) {
			return network, address, nil
		}
	case "tcp":
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err == nil && ip.IsLoopback() {
			return network, address, nil
		}
	}
	return "", "", fmt.Errorf("%.16q %.128q is neither a socket nor a port on loopback", network, address)
}

// HostToPlugin implements runner.Runner.
func (r *runner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
