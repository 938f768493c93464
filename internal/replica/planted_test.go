package replica

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/planted"
)

// TestNewest: a claimant gets the newest copy, though the one that it has itself is found first.
func TestNewest(t *testing.T) {
	f := newFleet(t, "", quick(), "a1", "b1", "c1")
	f.ready()
	a, b := f.members["a1"], f.members["b1"]
	var keys []Key
	for i := range 100 {
		keys = append(keys, session(i))
		a.put(rec(session(i), 1, "old"), 2)
	}
	f.cut("a1", "b1", true)
	f.cut("c1", "b1", true)
	for _, k := range keys {
		a.put(rec(k, 2, "new"), 1)
	}
	f.cut("c1", "b1", false) // before they have compared what they hold
	all, err := b.store.FetchAll(t.Context(), keys, 7, "a1")
	if err != nil {
		t.Fatal(err)
	}
	old := 0
	for _, got := range all {
		if len(got.Silent) == 0 && string(got.Contents) != "new" {
			old++
		}
	}
	if old > 0 {
		t.Errorf("%d of %d are not the newest", old, len(all))
	}
}

// tries are how often a bug is looked for: copies that were compared meanwhile show nothing.
const tries = 5

// Bugs of copies are found in the build that has them, and nothing in the same build without.
func TestPlantedBugs(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "planted")
	if out, err := exec.Command("go", "test", "-c", "-tags", "quorate_planted", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, p := range []struct{ bug, test, want string }{
		{planted.Ballot, "TestPromise", "the late change: "},
		{planted.First, "TestNewest", "are not the newest"},
	} {
		found := 0
		for try := 1; try <= tries && found == 0; try++ {
			if out, err := withBug(binary, p.bug, p.test); err != nil && bytes.Contains(out, []byte(p.want)) {
				found = try
			}
		}
		t.Logf("%s: found by run %d of %d at most", p.bug, found, tries)
		if found == 0 {
			t.Errorf("%s is not found by %s", p.bug, p.test)
		}
		if out, err := withBug(binary, "", p.test); err != nil {
			t.Errorf("%s without a bug: %v\n%s", p.test, err, out)
		}
	}
}

// withBug runs a test in the build that can have a bug.
func withBug(binary, bug, test string) ([]byte, error) {
	cmd := exec.Command(binary, "-test.run", fmt.Sprintf("^%s$", test))
	cmd.Env = append(os.Environ(), "PLANTED_BUGS="+bug)
	return cmd.CombinedOutput()
}
