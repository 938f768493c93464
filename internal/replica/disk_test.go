package replica

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func alone(t *testing.T, dir string, change func(*Config)) (*Store, *journal) {
	t.Helper()
	j := &journal{}
	cfg := Config{Gateway: "a1", Region: "region-a", Dir: dir, Event: j.add}
	if change != nil {
		change(&cfg)
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s, j
}

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil && !errors.Is(err, ErrDisk) {
		t.Error(err)
	}
}

func fill(t *testing.T, s *Store, n int) {
	t.Helper()
	for i := range n {
		if err := s.Put(t.Context(), rec(session(i), 1, fmt.Sprintf("contents of %d", i)), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.FlushLocal(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	s, _ := alone(t, dir, nil)
	fill(t, s, 500)
	if err := s.Put(t.Context(), Record{Key: session(3), Service: "files", Version: 2, Deleted: true, Until: later()}, 0); err != nil {
		t.Fatal(err)
	}
	past := rec(session(1000), 1, "short-lived")
	past.Until = time.Now().Add(-time.Minute).Unix()
	for _, r := range []Record{past, rec(session(1001), 1, "kept")} {
		if err := s.Put(t.Context(), r, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Fetch(t.Context(), session(1), 9, ""); err != nil { // a promise above a record
		t.Fatal(err)
	}
	if _, err := s.Fetch(t.Context(), session(2000), 8, ""); err != nil { // and one without
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "replica.db"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	closeStore(t, s)

	again, j := alone(t, dir, nil)
	if got := again.Usage(); got.Records+got.Small != 503 {
		t.Errorf("%+v", got)
	}
	for i := range 500 {
		r, ok := again.Get(session(i))
		if want := fmt.Sprintf("contents of %d", i); !ok || i != 3 && string(r.Contents) != want || r.Deleted != (i == 3) {
			t.Fatalf("%d: %+v, %v", i, r, ok)
		}
	}
	if _, ok := again.Get(session(1000)); ok {
		t.Error("what is over is there")
	}
	for k, ballot := range map[Key]uint64{session(1): 8, session(2000): 7} {
		r := rec(k, 5, "late")
		r.Ballot = ballot
		if err := again.Put(t.Context(), r, 0); !errors.Is(err, ErrStale) {
			t.Errorf("%s: the promise is forgotten: %v", k.ID, err)
		}
	}
	again.sweep(time.Now().Add(2 * time.Hour))
	if got := again.Usage(); got.Records+got.Small != 1 || got.Bytes != 0 { // the promise without a record lives longer
		t.Errorf("after the sweep: %+v", got)
	}
	closeStore(t, again)
	last, _ := alone(t, dir, nil)
	if got := last.Usage(); got.Records+got.Small != 1 || len(j.lines) > 0 {
		t.Errorf("after the sweep and a restart: %+v, %q", got, j.lines)
	}
}

// TestCrash: what FlushLocal has returned for is there, whatever comes after.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	s, _ := alone(t, dir, nil)
	fill(t, s, 100)
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.MkdirAll(copied, 0o700); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "replica.db")) // as it is at a power loss
	if err == nil {
		err = os.WriteFile(filepath.Join(copied, "replica.db"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	again, j := alone(t, copied, nil)
	if got := again.Usage(); got.Records != 100 || len(j.lines) > 0 {
		t.Errorf("%+v, %q", got, j.lines)
	}
}

// TestDamage: whatever has become of the file, a store opens, says so, sets it aside, and goes on.
func TestDamage(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"a record's byte":        func(b []byte) []byte { return flip(b, "contents of 42") },
		"an end that is missing": func(b []byte) []byte { return b[:len(b)/2] },
		"zeros in the middle":    func(b []byte) []byte { clear(b[len(b)/4 : len(b)/2]); return b },
		"both first pages":       func(b []byte) []byte { clear(b[:2*os.Getpagesize()]); return b },
		"words":                  func([]byte) []byte { return []byte(strings.Repeat("no database ", 1000)) },
		"a file too short":       func([]byte) []byte { return []byte("x") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, _ := alone(t, dir, nil)
			fill(t, s, 500)
			closeStore(t, s)
			path := filepath.Join(dir, "replica.db")
			b, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, spoil(b), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			again, j := alone(t, dir, nil)
			if !j.has(EventQuarantined) || !setAside(t, dir) {
				t.Fatalf("events %q", j.lines)
			}
			kept := 0
			again.Each(func(r Record) bool {
				var i int
				if _, err := fmt.Sscanf(r.ID, "session-%d", &i); err != nil || string(r.Contents) != fmt.Sprintf("contents of %d", i) {
					t.Errorf("%+v", r)
				}
				kept++
				return true
			})
			t.Logf("%d of 500 are read", kept)
			if name == "a record's byte" && kept != 500-11 /* 42 and 420 to 429 */ {
				t.Error("one damaged record costs others")
			}
			if err := again.Put(t.Context(), rec(session(9000), 1, "new"), 0); err != nil {
				t.Error(err)
			}
			closeStore(t, again)
			last, j := alone(t, dir, nil)
			if got := last.Usage().Records; got != kept+1 || len(j.lines) > 0 {
				t.Errorf("after another restart: %d, want %d; %q", got, kept+1, j.lines)
			}
		})
	}
}

func flip(b []byte, text string) []byte {
	i := strings.Index(string(b), text)
	for ; i >= 0 && i < len(b); i += len(text) { // pages that are free hold it too
		b[i] ^= 1
		next := strings.Index(string(b[i:]), text)
		if next < 0 {
			return b
		}
		i += next - len(text)
	}
	return b
}

func setAside(t *testing.T, dir string) bool {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(e os.DirEntry) bool { return strings.Contains(e.Name(), ".bad-") })
}

// TestDiskFull: changes are refused and reads go on; when there is room again, so do changes.
func TestDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("LOUD: a file system of a fixed size can only be mounted as root; the full disk is not tested")
	}
	dir := t.TempDir()
	if err := syscall.Mount("quorate", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("LOUD: no tmpfs can be mounted here (%v); the full disk is not tested", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	s, j := alone(t, filepath.Join(dir, "data"), nil)
	fill(t, s, 10)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 200<<10)
	var err error
	for i := range 60 {
		if err = s.Put(t.Context(), rec(session(100+i), 1, large), 0); err == nil {
			err = s.FlushLocal(t.Context())
		}
		if err != nil {
			break
		}
	}
	if !errors.Is(err, ErrDisk) || !j.has(EventDiskFull) {
		t.Fatalf("%v, %q", err, j.lines)
	}
	if err := s.Put(t.Context(), rec(session(1), 2, "changed"), 0); !errors.Is(err, ErrDisk) {
		t.Errorf("a change on a full disk: %v", err)
	}
	if r, ok := s.Get(session(1)); !ok || string(r.Contents) != "contents of 1" || len(s.Ready()) == 0 {
		t.Errorf("%+v, %v, %q", r, ok, s.Ready())
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, "there is room again", func() bool { return s.Put(t.Context(), rec(session(1), 2, "changed"), 0) == nil })
	if err := s.FlushLocal(t.Context()); err != nil || !j.has(EventDiskBack) || j.has(EventQuarantined) {
		t.Errorf("%v, %q", err, j.lines)
	}
	closeStore(t, s)
	again, _ := alone(t, filepath.Join(dir, "data"), nil)
	if r, _ := again.Get(session(1)); string(r.Contents) != "changed" {
		t.Errorf("%q", r.Contents)
	}
}

// TestFileLimit: a file that may not grow is no damaged one. One after the other would be set aside, until the disk is full.
func TestFileLimit(t *testing.T) {
	dir := t.TempDir()
	s, j := alone(t, dir, nil)
	fill(t, s, 10)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	limit := func(bytes uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: was.Max}); err != nil {
			t.Fatal(err)
		}
	}
	limit(4 << 20)
	lifted := sync.OnceFunc(func() { limit(was.Cur) })
	defer lifted()
	var err error
	for i := range 60 {
		if err = s.Put(t.Context(), rec(session(100+i), 1, strings.Repeat("x", 200<<10)), 0); err == nil {
			err = s.FlushLocal(t.Context())
		}
		if err != nil {
			break
		}
	}
	if !errors.Is(err, ErrDisk) || !j.has(EventDiskFull) || setAside(t, dir) {
		t.Fatalf("%v, %q", err, j.lines)
	}
	lifted()
	within(t, 5*time.Second, "it may grow again", func() bool { return s.Put(t.Context(), rec(session(1), 2, "changed"), 0) == nil })
	if err := s.FlushLocal(t.Context()); err != nil || j.has(EventQuarantined) {
		t.Errorf("%v, %q", err, j.lines)
	}
}

// TestDiskFullAtStart: a store that finds no room for its file opens all the same.
func TestDiskFullAtStart(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("LOUD: a file system of a fixed size can only be mounted as root; the full disk is not tested")
	}
	dir := t.TempDir()
	if err := syscall.Mount("quorate", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("LOUD: no tmpfs can be mounted here (%v); the full disk is not tested", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	if err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 1<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	s, j := alone(t, dir, nil)
	if err := s.Put(t.Context(), rec(session(1), 1, "x"), 0); !errors.Is(err, ErrDisk) || !j.has(EventDiskFull) {
		t.Errorf("%v, %q", err, j.lines)
	}
	if err := syscall.Mount("quorate", dir, "tmpfs", syscall.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, "there is room", func() bool { return s.Put(t.Context(), rec(session(1), 1, "x"), 0) == nil })
}

// TestSmallRoom: deletions and promises do not take the room of records, and have a bound of their own.
func TestSmallRoom(t *testing.T) {
	const most = 4
	s, _ := alone(t, "", func(c *Config) { c.MaxRecords = most })
	put := func(i int, deleted bool) error {
		return s.Put(t.Context(), Record{Key: session(i), Service: "files", Version: 1, Deleted: deleted, Until: later()}, 0)
	}
	for i := range most {
		if err := put(i, false); err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), Record{Key: session(i), Service: "files", Version: 2, Deleted: true, Until: later()}, 0); err != nil {
			t.Fatal(err)
		}
	}
	for i := range smallMost*most - most {
		if got, err := s.Fetch(t.Context(), session(100+i), 7, ""); err != nil || len(got.Silent) > 0 {
			t.Fatalf("promise %d: %+v, %v", i, got, err)
		}
	}
	for i := range most {
		if err := put(10+i, false); err != nil {
			t.Errorf("record %d: %v", i, err)
		}
	}
	if err := put(20, false); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	if got, err := s.Fetch(t.Context(), session(200), 7, ""); err != nil || len(got.Silent) == 0 {
		t.Errorf("a promise too many: %+v, %v", got, err)
	}
	if got := s.Usage(); got.Records != most || got.Small != smallMost*most {
		t.Errorf("%+v", got)
	}
	s.sweep(time.Now().Add(promiseLife + time.Hour))
	if got := s.Usage(); got != (Usage{}) {
		t.Errorf("when all is over: %+v", got)
	}
}

// TestHandlesApart: agents make as many handles as they like. They do not take the room of sessions, here or elsewhere, and
// what nobody has room for holds up nothing.
func TestHandlesApart(t *testing.T) {
	plan := quick()
	plan.MaxLag = 200 * time.Millisecond
	f := newFleet(t, "", plan, "a1")
	a := f.members["a1"]
	b := f.start("b1", func(c *Config) { c.MaxRecords = 4 })
	f.ready()
	for i := range 20 {
		a.put(Record{Key: Key{Handle, fmt.Sprint(i)}, Service: "files", Version: 1, Until: later(), Contents: []byte("n")}, 0)
	}
	within(t, 5*time.Second, "there is no room for handles", func() bool { return b.store.Usage().Handles == 4 && a.store.waiting() == 0 })
	<-time.After(2 * plan.MaxLag)
	for i := range 4 {
		a.put(rec(session(i), 1, "x"), 1)
	}
	if got := b.store.Usage(); got.Records != 4 || got.Handles != 4 {
		t.Errorf("%+v", got)
	}
	if err := b.store.Put(t.Context(), Record{Key: Key{Handle, "mine"}, Service: "files", Version: 1, Until: later()}, 0); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
}

func TestLimits(t *testing.T) {
	s, _ := alone(t, "", func(c *Config) { c.MaxRecord, c.MaxBytes, c.MaxRecords = 10, 25, 4 })
	put := func(i int, version uint64, contents string) error {
		return s.Put(t.Context(), rec(session(i), version, contents), 0)
	}
	for _, c := range []struct {
		err  error
		want error
	}{
		{put(1, 1, "12345678901"), ErrTooLarge},
		{put(1, 1, "1234567890"), nil},
		{put(2, 1, "1234567890"), nil},
		{put(3, 1, "1234567890"), ErrFull},
		{put(3, 1, "12345"), nil},
		{put(3, 2, "123456"), ErrFull},
		{put(1, 2, "1"), nil},
		{put(3, 2, "123456"), nil},
		{put(4, 1, ""), nil},
		{put(5, 1, ""), ErrFull},
		{s.Put(t.Context(), Record{Key: session(5), Service: "files", Version: 1, Deleted: true, Until: later()}, 0), nil},
		{put(1, 1, "1"), ErrStale},
		{s.Put(t.Context(), Record{Key: Key{Session, "with a space"}}, 0), errNamed},
		{s.Put(t.Context(), Record{}, 0), errNamed},
		{s.Put(t.Context(), Record{Key: session(1), Version: 9}, 0), errEndless},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%v, want %v", c.err, c.want)
		}
	}
	if got := s.Usage(); got.Records+got.Small != 5 || got.Bytes != 17 {
		t.Errorf("%+v", got)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{{}, {Gateway: strings.Repeat("x", 129)}, {Gateway: "a", MaxRecord: -1}, {Gateway: "a", MaxRecord: 65 << 20}, {Gateway: "a", MaxRecords: -1}} {
		if s, err := Open(c); err == nil {
			t.Errorf("%+v is taken", c)
			closeStore(t, s)
		}
	}
	dir := t.TempDir()
	alone(t, dir, nil)
	if _, err := Open(Config{Gateway: "a1", Dir: dir}); err == nil {
		t.Error("two stores share a file")
	}
}

// TestPromiseIsOnDisk: a holder that loses power after it has answered still refuses what it promised to refuse.
func TestPromiseIsOnDisk(t *testing.T) {
	f := newFleet(t, t.TempDir(), quick(), "a1", "b1")
	f.ready()
	f.members["a1"].put(rec(session(1), 1, "x"), 1)
	for ballot := uint64(5); ballot < 15; ballot++ {
		if _, err := f.members["a1"].store.Fetch(t.Context(), session(1), ballot, ""); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(f.dir, "b1", "replica.db")) // as it is at a power loss
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "replica.db"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		again, _ := alone(t, dir, nil)
		late := rec(session(1), 2, "late")
		late.Ballot = ballot - 1
		if err := again.Put(t.Context(), late, 0); !errors.Is(err, ErrStale) {
			t.Fatalf("ballot %d: the promise is forgotten: %v", ballot, err)
		}
	}
}
