package layout_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOnceMore: what may have been an accident is run once more, in its module; of the rest it is said why it is not.
func TestOnceMore(t *testing.T) {
	const one = "--- FAIL: TestA (0.02s)\n    --- FAIL: TestA/sub (0.01s)\n"
	for name, tt := range map[string]struct{ log, want string }{
		"a test":    {"ok  \tm/b\t1s\n" + one + "FAIL\nFAIL\tm/c\t2s\nFAIL\n", "go -C . test -race -v -count=3 -failfast -timeout=30m -run ^TestA$ m/c"},
		"a module":  {one + "FAIL\tm/quorate/jetstream/x\t2s\n", "go -C jetstream test -race -v -count=3 -failfast -timeout=30m -run ^TestA$ m/quorate/jetstream/x"},
		"a race":    {"WARNING: DATA RACE\n" + one + "FAIL\tm/c\t2s\n", "  m/c TestA: a data race in this package's tests"},
		"a panic":   {one + "panic: boom [recovered]\nFAIL\tm/c\t2s\n", "  m/c TestA: a panic"},
		"fatal":     {"fatal error: all goroutines are asleep\nFAIL\tm/c\t2s\n", "  m/c: a fatal error"},
		"time-out":  {"panic: test timed out after 20m0s\nFAIL\tm/c\t2s\n", "  m/c: a time-out"},
		"no build":  {"FAIL\tm/b [build failed]\n" + one + "FAIL\tm/c\t2s\n", "  m/b: it does not build\n  m/c TestA: it failed"},
		"no test":   {"goleak: found\nFAIL\tm/c\t2s\n", "  m/c: it failed, and none of its tests did"},
		"too many":  {strings.Repeat(one, 3) + "FAIL\tm/b\t2s\n" + one + "FAIL\tm/c\t2s\n", "  4 tests failed, and more than three are no accident\n  m/b TestA: it failed\n"},
		"no go":     {"make: *** [deps] Error 100\n", "  no package failed: what did is no test"},
		"elsewhere": {"panic: logged\nok  \tm/b\t1s\n" + one + "FAIL\tm/c\t2s\n", "!!!!   m/c TestA\n"},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := onceMore(t, tt.log)
			if again := strings.Contains(said, "FAILED ONCE"); !strings.Contains(said, tt.want) || again == (err != nil) || again == strings.Contains(said, "nothing is run") {
				t.Errorf("%v, %s", err, said)
			}
		})
	}
}

// onceMore runs the script with a go that only says how it was called.
func onceMore(t *testing.T, log string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go": "#!/bin/sh\necho \"go $*\"\n", "log": log} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "scripts", "once-more"), filepath.Join(dir, "log"), "-race")
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	said, err := cmd.CombinedOutput()
	return string(said), err
}
