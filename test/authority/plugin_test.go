package authority_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/plugins/host"
)

// foreign is the section split_brain for a strategy that is not built in. Gates are to close for no other reason than
// the strategy, so they have 2 s.
func foreign(t *testing.T, path string, args ...string) string {
	t.Helper()
	sum, err := host.Checksum(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		args[i] = strconv.Quote(a)
	}
	return fmt.Sprintf("split_brain: {strategy: mine, plugin: {path: %q, sha256: %q, args: [%s]}}\n", path, sum, strings.Join(args, ", "))
}

// strategyGo builds the strategy of examples/strategy-go as an outsider does.
func strategyGo(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "my-strategy")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", out, ".")
	cmd.Dir = filepath.Join("..", "..", "examples", "strategy-go")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return out
}

// TestForeignStrategy has a fleet run by somebody else's strategy, which is killed and stopped, and whose gateway is
// killed: writes go on, it is started again, and it never outlives its gateway.
func TestForeignStrategy(t *testing.T) {
	t.Parallel()
	f, a, b, _ := three(t, foreign(t, strategyGo(t)))
	if s := a.cluster(); s.Rule.Strategy != "mine" || !strings.Contains(s.Rule.Words, "gw-3") {
		t.Fatalf("rule: %+v", s.Rule)
	}
	leader := f.leading(a, b, true)
	other := a
	if leader == a {
		other = b
	}
	before := leader.cluster().Rule.Words
	l := f.begin(2, 1, a, b)
	for _, s := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		pid := leader.plugin()
		place := leader.log.size()
		if err := syscall.Kill(pid, s); err != nil {
			t.Fatal(err)
		}
		down := leader.says(place, "strategy plugin is down")
		leader.says(place, "strategy plugin is up")
		if now := leader.plugin(); now == pid {
			t.Errorf("%s: the plugin was not started again", s)
		}
		t.Logf("%s: %s", s, cause(down))
	}
	if now := leader.cluster().Rule.Words; now != before {
		t.Errorf("the rule was %s and is %s", before, now)
	}
	pid := leader.plugin()
	if !child.Alive(pid) {
		t.Fatal("control: the plugin does not run")
	}
	leader.kill()
	f.await(healed, "the plugin is gone with its gateway", func() bool { return !child.Alive(pid) })
	f.await(healed, "writes go on", func() bool { return other.write("").good() })
	l.end()
	j := f.hold(l.writes)
	t.Logf("N=%d writes, %d effects; no plugin left behind", len(l.writes), j.effects)
}

// plugin is the process id of the strategy that a member started last.
func (m *member) plugin() int {
	m.f.t.Helper()
	pid := 0
	m.f.await(healed, m.name+" runs its strategy", func() bool {
		all := upLine.FindAllStringSubmatch(m.log.since(0), -1)
		if len(all) == 0 {
			return false
		}
		pid, _ = strconv.Atoi(all[len(all)-1][1]) // digits, as the expression says
		return true
	})
	return pid
}

var upLine = regexp.MustCompile(`"msg":"strategy plugin is up".*"pid":(\d+)`)

// cause is what a log line gives as the cause.
func cause(line string) string {
	_, rest, _ := strings.Cut(line, `"cause":`)
	return rest
}

// TestMisbehavingStrategies has the leader's strategy lie, hang, crash and be another program: the committed rule and
// its version stay, no write is refused, and the log says what is wrong.
func TestMisbehavingStrategies(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "strategy")
	self, err := os.Executable()
	if err == nil {
		err = copyFile(path, self)
	}
	if err != nil {
		t.Fatal(err)
	}
	mood := filepath.Join(t.TempDir(), "mood")
	if err := os.WriteFile(mood, []byte("good"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, a, b, _ := three(t, foreign(t, path, pluginWord, mood))
	began := a.cluster().Rule.Words
	l := f.begin(2, 1, a, b)
	var meanwhile [][2]time.Duration
	for _, tt := range []struct{ mood, says string }{
		{"two sides", "intersect|two sides|both"},
		{"strangers", "mallory"},
		{"1 GiB", "failed"},
		{"nonsense", "rule"},
		{"hangs", "late"},
		{"crashes", "failed|down"},
		{"version 99", "version"},
		{"another program", "checksum"},
	} {
		leader := f.changeMood(a, b, mood, path, tt.mood)
		line := leader.says(leader.place, "strategy ")
		f.await(healed, "the log says "+tt.says, func() bool {
			for l := range strings.Lines(leader.log.since(leader.place)) {
				if strings.Contains(l, `"level":"WARN"`) && strings.Contains(l, "strategy") && regexp.MustCompile(tt.says).MatchString(cause(l)) {
					line = l
					return true
				}
			}
			return false
		})
		version, from := leader.cluster().Rule.Version, monotonic()
		f.pass(time.Second)
		if s := leader.cluster(); s.Rule.Version != version || s.Rule.Words != began || s.Rule.Changing || s.Plugin.State == "running" && s.Plugin.Cause == "" {
			t.Errorf("%s: rule %+v, plugin %+v, it was version %d: %s", tt.mood, s.Rule, s.Plugin, version, began)
		}
		meanwhile = append(meanwhile, [2]time.Duration{from, monotonic()})
		t.Logf("%s: %s", tt.mood, strings.TrimSpace(cause(line)))
	}
	l.end()
	// Whoever leads anew may change the promise, as the machine is busy; what counts is while the strategy misbehaves.
	during := slices.DeleteFunc(slices.Clone(l.writes), func(a *answer) bool {
		return !slices.ContainsFunc(meanwhile, func(w [2]time.Duration) bool { return a.sent >= w[0] && a.at <= w[1] })
	})
	good, refused, failed := count(during)
	if refused+failed > 0 || good == 0 {
		t.Errorf("of %d writes %d were refused and %d failed: %v", len(during), refused, failed, bad(during))
	}
	f.hold(l.writes)
	t.Logf("N=8 ways to misbehave, %d writes meanwhile", good)

	// Control: another rule, and a sound one, does get into force this way.
	if err := copyFile(path, self); err != nil {
		t.Fatal(err)
	}
	leader := f.changeMood(a, b, mood, path, "first")
	f.await(healed, "the rule changes", func() bool { return leader.cluster().Rule.Words != began })
	f.writable(a, b)
	t.Logf("control: %s became %s", began, leader.cluster().Rule.Words)
}

// changeMood has the strategy behave in another way, and another gateway lead, so that it is started and asked.
func (f *fleet) changeMood(a, b *member, file, path, mood string) *member {
	f.t.Helper()
	next := f.leading(a, b, false)
	next.place = next.log.size()
	err := os.WriteFile(file, []byte(mood), 0o600)
	if err == nil && mood == "another program" {
		err = replaceFile(path, []byte("#!/bin/sh\nexit 0\n"))
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.lead(next)
	return next
}

// lead has a gateway lead.
func (f *fleet) lead(m *member) {
	f.t.Helper()
	f.await(healed, m.name+" leads", func() bool {
		if m.cluster().Leader == m.name {
			return true
		}
		code, _, err := m.ask(http.MethodPost, "/v1/cluster/leader", "application/json", []byte(`{"region":"`+m.region+`"}`))
		return err == nil && code == http.StatusOK && m.cluster().Leader == m.name
	})
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return replaceFile(to, b)
}

// replaceFile puts another file in the place of one that may be running.
func replaceFile(path string, b []byte) error {
	if err := os.WriteFile(path+".new", b, 0o700); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
