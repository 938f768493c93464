package authority_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/mcpnode"
)

// previous is the binary of the commit before this one, or the one that TEST_OLD_BINARY names.
func previous(t *testing.T) string {
	t.Helper()
	if old := os.Getenv("TEST_OLD_BINARY"); old != "" {
		return old
	}
	dir := t.TempDir()
	root := filepath.Join("..", "..")
	archive := exec.CommandContext(t.Context(), "git", "archive", "HEAD~1")
	archive.Dir = root
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "-C", dir)
	var err error
	if unpack.Stdin, err = archive.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err = archive.Start(); err != nil {
		t.Skipf("NOT TESTED, an upgrade from the previous commit: %v", err)
	}
	if err = errors.Join(unpack.Run(), archive.Wait()); err != nil {
		t.Skipf("NOT TESTED, an upgrade from the previous commit, which is not here: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "internal", "control")); err != nil {
		t.Skipf("NOT TESTED, an upgrade from the previous commit, which has no control group: %v", err)
	}
	out := filepath.Join(dir, "quorate-old")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", out, "./cmd/quorate")
	build.Dir = dir
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return out
}

// TestRollingUpgrade replaces the previous commit's gateways and witness one at a time under load. Agents go to another
// gateway when theirs is down, as behind a load balancer that follows /readyz.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	old := previous(t)
	f := newFleet(t)
	a, b, w := f.add("gw-1", "us", "voter"), f.add("gw-2", "eu", "voter"), f.add("gw-3", "ap", "witness")
	for _, m := range f.members {
		m.binary = old
	}
	f.expect("gw-1", "gw-2", "gw-3")
	f.start(a, b, w)
	f.writable(a, b)
	l := f.begin(2, 1, a, b)
	safe := f.balance(8, a, b)
	f.await(formed, "calls are under way", func() bool { return l.good(0) > 50 })
	for _, m := range []*member{w, a, b} {
		if err := m.process.Terminate(20 * time.Second); err != nil {
			t.Errorf("%s of the old release ended badly: %v", m.name, err)
		}
		m.binary = binary
		f.start(m)
		f.await(healed, m.name+" is ready", func() bool { return m.status("/readyz") == 200 })
		f.writable(a, b)
		seen := monotonic()
		f.await(healed, "writes go on", func() bool { return l.good(seen) > 50 })
	}
	calls, failed := safe()
	l.end()
	if len(failed) > 0 {
		t.Errorf("of %d safe calls %d failed, such as %v", calls, len(failed), bad(failed))
	}
	j := f.hold(l.writes)
	if s := a.cluster(); s.NodesUp != 3 || !s.Gate.Open {
		t.Errorf("after the upgrade: %+v", s)
	}
	good, refused, unknown := count(l.writes)
	t.Logf("N=%d safe calls, %d failed; %d writes done, %d refused, %d cut or unknown while their gateway was replaced; %d effects",
		calls, len(failed), good, refused, unknown, j.effects)
}

// balance makes safe calls until what it returns is called, which says how many there were and which failed. A call
// whose gateway cannot be reached goes to the next one: nobody has got it then.
func (f *fleet) balance(agents int, members ...*member) func() (int, []*answer) {
	ctx, stop := context.WithCancel(context.WithoutCancel(f.t.Context()))
	results := make(chan *answer, 1024)
	ended := make(chan struct{})
	for i := range agents {
		go func() {
			defer func() { ended <- struct{}{} }()
			client := agentClient()
			defer client.CloseIdleConnections()
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for at := i; ; at++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				x := members[at%len(members)].call(context.WithoutCancel(ctx), client, mcpnode.ToolLookup, "", `,"key":"k"`)
				for range 2 * len(members) {
					if !unreached(x) {
						break
					}
					at++
					x = members[at%len(members)].call(context.WithoutCancel(ctx), client, mcpnode.ToolLookup, "", `,"key":"k"`)
				}
				results <- x
			}
		}()
	}
	var failed []*answer
	calls := 0
	gathered := make(chan struct{})
	go func() {
		defer close(gathered)
		for x := range results {
			calls++
			if !x.good() {
				failed = append(failed, x)
			}
		}
	}()
	return func() (int, []*answer) {
		stop()
		for range agents {
			<-ended
		}
		close(results)
		<-gathered
		return calls, failed
	}
}

// unreached reports whether a safe call is made again elsewhere: nobody listens, the connection ended before an
// answer, or the gateway says that it goes.
func unreached(a *answer) bool {
	return a.err != nil && (strings.Contains(a.err.Error(), "connection refused") || strings.Contains(a.err.Error(), "reset") || errors.Is(a.err, io.EOF)) ||
		a.status == 503 && a.code == 0
}
