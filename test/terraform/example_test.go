package terraform_test

import (
	"context"
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
)

// enough are how many calls the new region has to answer before it is drained.
const enough = 1000

// example is the example's folder, with the commands of its README: the one that begins the demo, and those of the
// other shell. They find quorate and terraform on the PATH.
func example(t *testing.T) (w *workspace, demo string, steps []string) {
	t.Helper()
	w = copied(t, filepath.Join(tree, "examples", "three-regions"))
	bin := t.TempDir()
	for name, program := range map[string]string{"quorate": binary, "terraform": terraform} {
		whole, err := filepath.Abs(program)
		if err == nil {
			err = os.Symlink(whole, filepath.Join(bin, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.env = append(w.env, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	text, err := os.ReadFile(filepath.Join(w.dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("the README has %d blocks of commands", len(blocks))
	}
	steps = strings.Split(strings.TrimSpace(blocks[1][1]), "\n")
	if len(steps) != 5 {
		t.Fatalf("the README has these steps: %q", steps)
	}
	return w, strings.TrimSpace(blocks[0][1]), steps
}

// shell is a command in the workspace.
func (w *workspace) shell(script string) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(w.t.Context()), "bash", "-ec", script)
	cmd.Dir, cmd.Env = w.dir, append(os.Environ(), w.env...)
	return cmd
}

// types runs commands in one shell, as somebody does who answers every question with yes.
func (w *workspace) types(commands ...string) {
	w.t.Helper()
	cmd := w.shell(strings.Join(commands, "\n"))
	cmd.Stdin = strings.NewReader(strings.Repeat("yes\n", len(commands)))
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("%q: %v\n%s", commands, err, out)
	}
}

// The example's README, word by word, against the demo that it names: a fourth region is added, drained and destroyed
// under load, and no agent notices.
func TestThreeRegions(t *testing.T) {
	w, demo, steps := example(t)
	h := w.hold(demo)
	enter := steps[0]
	url, secret := w.variable(enter, "QUORATE_ADMIN_URL"), w.variable(enter, "QUORATE_ADMIN_TOKEN")

	// The control: a region that nobody has added answers nothing, though it runs and has agents.
	s := h.until("us-east answers sa-east's agents", func(s status) bool { return s.calls > 500 && strings.HasPrefix(s.by, "us-east ") })
	if s.added != 0 {
		t.Errorf("sa-east gave %d answers before it was added", s.added)
	}
	for i, pid := range h.find(`gateway pid (\d+), nodes pid (\d+) and (\d+)`) {
		line, err := os.ReadFile("/proc/" + pid + "/cmdline")
		if args := strings.Split(string(line), "\x00"); err != nil || args[1] != []string{"serve", "node", "node"}[i] || !strings.Contains(string(line), "sa-east") {
			t.Errorf("process %s of sa-east: %q, %v", pid, args, err)
		}
	}

	w.types(enter, steps[1])
	w.types(enter, steps[2])
	w.types(enter, strings.Replace(steps[2], "apply", "plan -detailed-exitcode", 1))
	s = h.until("it has answered enough calls", func(s status) bool { return s.added >= enough })
	t.Logf("before its drain sa-east has answered %d of %d calls", s.added, s.calls)

	w.types(enter, steps[3])
	w.types(enter, strings.Replace(steps[3], "apply", "plan -detailed-exitcode", 1))
	s = h.until("others answer its agents", func(s status) bool { return s.by != "nobody" && !strings.Contains(s.by, "sa-east") })
	more := h.until("they go on", func(now status) bool { return now.calls > s.calls+500 }).added - s.added
	if more > 5 {
		t.Errorf("a drained region gave %d more answers", more)
	}

	w.types(enter, steps[4])
	for _, at := range []string{"us-east", "eu-west", "ap-south"} {
		h.await(at+" has forgotten it", func() bool { return strings.Contains(h.text(), at+" knows sa-east no more") })
	}
	if code := statusOf(t, url+"/v1/routes/charges", secret); code != http.StatusNotFound {
		t.Errorf("the route is still there: %d", code)
	}
	s = h.status()
	h.until("its agents go on at us-east's edge", func(now status) bool { return now.calls > s.calls+500 && strings.HasPrefix(now.by, "us-east ") })
	w.holdsNot(secret)
	if code := h.interrupt(); code != 0 {
		t.Errorf("the demo ended with %d", code)
	}
	h.lossless()
	if _, err := os.Stat(filepath.Join(w.dir, "fleet.env")); !os.IsNotExist(err) {
		t.Errorf("the file with the token was left behind: %v", err)
	}
}

// lossless judges what the demo says at its end.
func (h *held) lossless() {
	h.t.Helper()
	if s := h.status(); s.failed != 0 || s.refused != 0 || s.unknown != 0 || s.lost != 0 || s.calls < 3*enough {
		h.t.Errorf("%+v", s)
	}
	if text := h.text(); !strings.Contains(text, "\nOK: no retry-safe call failed") || strings.Contains(text, "FAILED") {
		h.t.Error("there is no good verdict")
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^(.*): \d+ calls, sa-east gave (\d+) answers\.$`).FindAllStringSubmatch(h.text(), -1) {
		got = append(got, m[1])
		if n, err := strconv.Atoi(m[2]); err != nil || m[1] == "sa-east is on" && n < enough {
			h.t.Errorf("%s", m[0])
		}
	}
	if want := []string{"three regions", "sa-east is on", "sa-east is draining", "three regions"}; !slices.Equal(got, want) {
		h.t.Errorf("what the fleet made of sa-east: %q, want %q", got, want)
	}
	h.t.Logf("in the end: %+v", h.status())
}

// The control of the test before: a region whose gateway is gone without a drain costs calls, and the demo says so.
func TestRegionThatIsNotDrained(t *testing.T) {
	w, demo, steps := example(t)
	h := w.hold(demo)
	w.types(steps[:3]...)
	h.until("sa-east answers its agents", func(s status) bool { return s.added > 200 })
	pid, err := strconv.Atoi(h.find(`gateway pid (\d+),`)[0])
	if err != nil {
		t.Fatal(err)
	}
	// Stopped first, so that every one of its agents has a call under way.
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h.until("its agents wait", func(s status) bool { return s.by == "nobody" })
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := h.interrupt(); code != 1 {
		t.Errorf("the demo ended with %d", code)
	}
	t.Logf("lost: %s", h.find(`FAILED: (\d+ (?:retry-safe calls failed|once calls ended without).*)`)[0])
}

// variable is what the other shell has then.
func (w *workspace) variable(enter, name string) string {
	w.t.Helper()
	out, err := w.shell(enter + "\nprintf %s \"$" + name + "\"").Output()
	if err != nil || len(out) == 0 {
		w.t.Fatalf("%s is %q: %v", name, out, err)
	}
	return string(out)
}

// statusOf is the status of a page of the admin listener's.
func statusOf(t *testing.T, url, secret string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
