package sessions_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// recipe is the commands below one heading of docs/disaster-recovery.md, block by block.
func recipe(t *testing.T, heading string) (blocks [][]string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/disaster-recovery.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	part, _, _ = strings.Cut(part, "\n## ")
	for ok {
		var block string
		if _, part, ok = strings.Cut(part, "```sh\n"); ok {
			block, part, _ = strings.Cut(part, "```")
			blocks = append(blocks, strings.Split(strings.TrimSpace(block), "\n"))
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("docs/disaster-recovery.md has no commands below %q", heading)
	}
	return blocks
}

// TestRecipesAreAllRun: a heading with commands that no test runs is a promise that nobody keeps.
func TestRecipesAreAllRun(t *testing.T) {
	text, err := os.ReadFile("../../docs/disaster-recovery.md")
	if err != nil {
		t.Fatal(err)
	}
	var own strings.Builder
	for _, file := range []string{"recover_test.go"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		own.Write(b)
	}
	headings := 0
	for i, part := range strings.Split(string(text), "\n## ") {
		heading, _, _ := strings.Cut(part, "\n")
		if i == 0 || !strings.Contains(part, "```sh\n") {
			continue
		}
		headings++
		if !strings.Contains(own.String(), fmt.Sprintf("%q", heading)) {
			t.Errorf("no test runs what is below %q", heading)
		}
	}
	if headings < 5 {
		t.Errorf("%d headings with commands", headings)
	}
}

// follow runs a block. Each command has to end well, within the time that things take: status and verify say what is, so
// they are asked until they do.
func (w *world) follow(block []string) {
	w.t.Helper()
	var at *member
	for _, line := range block {
		if name, ok := strings.CutPrefix(line, "# at "); ok {
			at = w.named(name)
			continue
		}
		if at == nil {
			w.t.Fatalf("%q is run nowhere", line)
		}
		code, said := at.command(line)
		for end := monotonic() + healed; code != 0 && patient(line) && monotonic() < end; w.pass(200 * time.Millisecond) {
			code, said = at.command(line)
		}
		if code != 0 {
			w.t.Fatalf("%s at %s: exit code %d: %s", line, at.name, code, said)
		}
		w.t.Logf("at %s: %s: %.300s", at.name, line, strings.ReplaceAll(said, "\n", " | "))
	}
}

// patient reports whether a command only looks or mends, so that it can be asked again.
func patient(line string) bool {
	for _, word := range []string{"admin verify", "admin reconcile", "admin status"} {
		if strings.Contains(line, word) {
			return true
		}
	}
	return false
}

func (w *world) named(name string) *member {
	w.t.Helper()
	for _, m := range w.members {
		if m.name == name {
			return m
		}
	}
	w.t.Fatalf("no gateway %q", name)
	return nil
}

// command runs one line as it stands, but for what names this test's processes and folders.
func (m *member) command(line string) (int, string) {
	m.w.t.Helper()
	line = strings.NewReplacer("/var/lib/quorate", m.data(), "/etc/quorate/quorate.yaml", m.file()).Replace(line)
	words := strings.Fields(line)
	switch words[0] {
	case "quorate":
		return m.quorate(words[1:]...)
	case "systemctl":
		return m.systemctl(words[1])
	}
	return m.at.run(nil, "/bin/sh", "-c", line)
}

// systemctl is what systemd does.
func (m *member) systemctl(order string) (int, string) {
	if order == "stop" || order == "restart" {
		_ = m.process.Terminate(20 * time.Second) // one that was killed has ended badly, which is no news
	}
	if order == "start" || order == "restart" {
		if err := m.begin(); err != nil {
			return 1, err.Error()
		}
	}
	return 0, ""
}

// living is sessions with something set, some opened at each gateway.
func (w *world) living(n int) (all []*raw) {
	w.t.Helper()
	all = make([]*raw, n)
	gateways := w.gateways()
	w.all(n, "opened", func(i int) *answer {
		all[i] = w.raw(gateways[i%len(gateways)].url())
		if a := all[i].begin(); !a.good() {
			return a
		}
		if a := all[i].setLevel("error"); !a.good() {
			return a
		}
		return all[i].subscribe(w.t.Context(), i)
	})
	w.copied(gateways...)
	return all
}

// goOn checks that sessions go on at a gateway with what they had set.
func (w *world) goOn(sessions []*raw, m *member) {
	w.t.Helper()
	w.all(len(sessions), "as they were at "+m.name, func(i int) *answer {
		r := sessions[i].at(m)
		defer r.close()
		a := w.insist(r.settings)
		if a.good() && (!strings.HasPrefix(a.said, "level=error ") || a.subscribed() != 1) {
			a.code, a.text = -1, a.said
		}
		return a
	})
}

// TestRecoverAll kills all gateways at once, and starts them from their disks.
func TestRecoverAll(t *testing.T) {
	beside(t)
	w := newWorld(t, setup{})
	sessions := w.living(60)
	w.pass(200 * time.Millisecond) // what was confirmed is on disk within 100 ms
	for _, m := range w.members {
		m.kill()
	}
	w.follow(recipe(t, "All gateways were down")[0])
	w.goOn(sessions, w.members[1])
	t.Logf("N=%d sessions after all gateways were down", len(sessions))
	t.Run("control: without disks", func(t *testing.T) {
		for _, m := range w.members {
			m.kill()
		}
		for _, m := range w.members {
			if err := os.RemoveAll(m.data()); err != nil {
				t.Fatal(err)
			}
		}
		w.start(w.members...)
		w.writable(w.members...)
		if a := sessions[0].at(w.members[0]).read(); !a.gone() {
			t.Errorf("a session that no disk has: %s", a)
		}
	})
}

// TestRecoverMinority loses two of three voters for good.
func TestRecoverMinority(t *testing.T) {
	beside(t)
	w := newWorld(t, setup{})
	sessions := w.living(60)
	a := w.members[0]
	w.members[1].kill()
	w.members[2].kill()
	w.await(healed, "the gate is closed", func() bool { return a.status("/writez") == 503 })
	if x := sessions[0].at(a).write(t.Context(), "minority"); x.good() {
		t.Errorf("control: a minority writes: %s", x)
	}
	blocks := recipe(t, "Only a minority is left")
	w.await(healed, "the control group notices", func() bool { return a.cluster().Leader == "" })
	w.follow(blocks[0])
	w.await(healed, "it writes", func() bool { return a.status("/writez") == 200 })
	w.goOn(sessions, a) // with two copies of three gateways, each has all
	w.follow(blocks[1])
	w.writable(w.members...)
	w.goOn(sessions, w.members[1])
	t.Logf("N=%d sessions after two of three gateways were lost for good", len(sessions))
}

// TestRecoverStore loses the store of one gateway, which then is the one that has to hold copies.
func TestRecoverStore(t *testing.T) {
	beside(t)
	w := newWorld(t, setup{})
	sessions := w.living(60)
	w.follow(recipe(t, "One store was lost")[0])
	w.writable(w.members...)
	w.members[0].kill()
	w.members[2].kill()
	w.start(w.members[0], w.members[2]) // a majority, so that what gw-2 has can be claimed
	w.writable(w.members...)
	w.goOn(sessions, w.members[1])
	t.Logf("N=%d sessions after one store was lost", len(sessions))
}

// TestRecoverCorrupted turns bits in the file that holds the contents of sessions.
func TestRecoverCorrupted(t *testing.T) {
	beside(t)
	w := newWorld(t, setup{})
	sessions := w.living(60)
	b := w.members[1]
	b.stop()
	w.goOn(sessions, w.members[0])
	file := filepath.Join(b.data(), "replica", "replica.db")
	if n := corrupt(t, file); n == 0 {
		t.Fatal("nothing to corrupt")
	}
	w.start(b)
	w.goOn(sessions, w.members[2])
	w.follow(recipe(t, "One store is corrupted")[0])
	w.writable(w.members...)
	w.goOn(sessions, b)
	t.Logf("N=%d sessions after one store was corrupted", len(sessions))
}

// corrupt turns a bit of every page of a file, from the third one on, and returns how many.
func corrupt(t *testing.T, file string) (pages int) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for at := 2*page + 100; at < len(b); at += page {
		b[at] ^= 0x10
		pages++
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return pages
}

// TestRecoverFull fills the disk of one gateway.
func TestRecoverFull(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("CI runs as root, and this is not")
		}
		t.Skip("NOT TESTED, a full disk: a small one of its own wants root")
	}
	beside(t)
	w := newWorld(t, setup{})
	b := w.members[1]
	b.stop()
	if err := os.RemoveAll(b.data()); err != nil {
		t.Fatal(err)
	}
	small(t, b.data())
	w.start(b)
	w.writable(w.members...)
	sessions := w.living(30)
	mine := w.raw(b.url()).open()
	fill(t, filepath.Join(b.data(), "ballast"))
	refused := false
	for k := 0; k < 200 && !refused; k++ {
		x := mine.subscribe(t.Context(), k)
		refused = !x.good()
		if refused && x.code != codeOverloaded && !x.gone() {
			t.Logf("refused with %s", x)
		}
		w.pass(50 * time.Millisecond)
	}
	if !refused {
		t.Error("no change was refused on a full disk")
	}
	if x := w.insist(mine.read); !x.good() {
		t.Errorf("a read on a full disk: %s", x)
	}
	w.goOn(sessions, w.members[0])
	w.follow(recipe(t, "A disk is full")[0])
	w.writable(w.members...)
	w.goOn(sessions, b)
	t.Logf("N=%d sessions after a disk was full", len(sessions))
}

// small mounts a disk of 16 MiB.
func small(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("quorate-sessions", dir, "tmpfs", 0, "mode=0700,size=16m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// fill takes every byte that a disk has left.
func fill(t *testing.T, file string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zeros := make([]byte, 64<<10)
	for {
		if _, err := f.Write(zeros); err != nil {
			return
		}
	}
}
