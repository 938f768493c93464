package control

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/rulebook"
)

// A log that has grown is cut behind a snapshot, which a gateway starts from; one that has not grown is left alone.
func TestTrim(t *testing.T) {
	dir := t.TempDir()
	open := func() (*Node, *pile) {
		p := &pile{}
		n, err := Open(Config{
			Gateway: "a", Region: "r", Dir: dir, Alone: true, Rules: rulebook.Rulebook{}, Ask: majority, Logger: quiet(), Parts: map[string]Part{"pile": p},
		})
		must(t, err)
		eventually(t, "it leads", func() bool { return n.Leader() == "a" })
		return n, p
	}
	n, p := open()
	for range 2 * leastKept {
		_, _, err := n.Propose(t.Context(), "pile", []byte(strings.Repeat("x", 1<<10)))
		must(t, err)
	}
	first, err := n.store.logs.FirstIndex()
	must(t, err)
	must(t, n.trim(logRoom))
	if all, err := os.ReadDir(filepath.Join(dir, storeDir, snapshotDir)); err == nil && len(all) > 0 {
		t.Errorf("a snapshot of a small log: %v", all)
	}
	must(t, n.trim(64<<10))
	if now, err := n.store.logs.FirstIndex(); err != nil || now < first+leastKept/2 || n.fsm.growth() != (growth{}) {
		t.Errorf("the log began at %d and begins at %d, %v, %+v", first, now, err, n.fsm.growth())
	}
	must(t, n.Close(t.Context()))
	n, again := open()
	defer n.Close(t.Context())
	if _, _, err := n.Propose(t.Context(), "pile", []byte("y")); err != nil || again.text != p.text+"y" {
		t.Errorf("%d bytes, not %d, %v", len(again.text), len(p.text)+1, err)
	}
}

func TestKept(t *testing.T) {
	for _, tc := range []struct {
		g    growth
		want uint64
	}{
		{growth{}, entriesKept}, {growth{entries: 10_000, bytes: 1 << 20}, entriesKept}, {growth{entries: 128, bytes: 128 << 20}, 64}, {growth{entries: 1280, bytes: 128 << 20}, 640},
		{growth{entries: 1, bytes: 128 << 20}, leastKept},
	} {
		if got := tc.g.kept(logRoom); got != tc.want {
			t.Errorf("%+v: %d, not %d", tc.g, got, tc.want)
		}
	}
}
