package config

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// watched runs the watcher in a bubble of its own time; see gets one word per call it makes.
type watched struct {
	path string
	hup  chan os.Signal
	seen chan string
}

func watch(t *testing.T, path string, try func(w *watched)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, err := Load(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		w := &watched{path: path, hup: make(chan os.Signal), seen: make(chan string, 16)}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			Watch(ctx, c, w.hup, func(c *Config) { w.seen <- "good " + c.Name }, func(error) { w.seen <- "bad" })
		}()
		try(w)
		stop()
		<-done
	})
}

// after lets d pass and checks which calls were made since the last time.
func (w *watched) after(t *testing.T, d time.Duration, want ...string) {
	t.Helper()
	<-time.After(d)
	synctest.Wait()
	var got []string
	for len(w.seen) > 0 {
		got = append(got, <-w.seen)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got calls %q, want %q", got, want)
	}
}

func (w *watched) put(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(w.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWatch(t *testing.T) {
	good := head + tail
	second := strings.Replace(good, "gw-1", "gw-2", 1) // of the same size
	path := write(t, "quorate.yaml", good)
	watch(t, path, func(w *watched) {
		w.after(t, 10*time.Second)
		w.put(t, second)
		w.after(t, 3*time.Second, "good gw-2")
		w.put(t, second)
		w.after(t, 3*time.Second)
		w.put(t, "name: [")
		w.after(t, 10*time.Second, "bad")
		w.put(t, second)
		w.after(t, 3*time.Second, "good gw-2")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		w.after(t, 10*time.Second, "bad")
		w.put(t, good)
		w.after(t, 3*time.Second, "good gw-1")
		w.hup <- syscall.SIGHUP
		w.after(t, 3*time.Second, "good gw-1")
		w.put(t, "")
		w.hup <- syscall.SIGHUP
		w.after(t, 10*time.Second, "bad")
	})
}

// A file that is being written is not loaded half.
func TestWatchWaitsForTheWriter(t *testing.T) {
	good := head + tail
	path := write(t, "quorate.yaml", good)
	watch(t, path, func(w *watched) {
		text := strings.Replace(good, "gw-1", "gw-3", 1)
		for i := range 12 { // a write every half of the time that a file must be quiet
			w.put(t, text[:len(text)*(i+1)/12])
			<-time.After(settle / 2)
		}
		w.after(t, 3*time.Second, "good gw-3")
	})
}

// Kubernetes mounts a ConfigMap as a link to a link to a directory, and swaps the middle one.
func TestWatchFollowsSwappedLinks(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"v1": head, "v2": strings.Replace(head, "gw-1", "gw-2", 1)} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "quorate.yaml"), []byte(text+tail), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link(t, "v1", filepath.Join(dir, "..data"))
	path := filepath.Join(dir, "quorate.yaml")
	link(t, filepath.Join("..data", "quorate.yaml"), path)
	watch(t, path, func(w *watched) {
		w.after(t, 5*time.Second)
		link(t, "v2", filepath.Join(dir, "..next"))
		if err := os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		w.after(t, 3*time.Second, "good gw-2")
	})
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func TestStampsTellChangesApart(t *testing.T) {
	path := write(t, "f", "one")
	age := func(d time.Duration) stamp {
		when := time.Now().Add(-d)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		return stampOf(path)
	}
	if old := age(time.Minute); !stampOf(path).same(old) {
		t.Error("an old, untouched file looks changed")
	}
	if fresh := age(time.Second); stampOf(path).same(fresh) {
		t.Error("a file written just now could be written again in the same tick")
	}
	old := age(time.Minute)
	if err := os.WriteFile(path, []byte("longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if stampOf(path).same(old) {
		t.Error("a changed file looks untouched")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	gone := stampOf(path)
	if gone.same(old) || !stampOf(path).same(gone) {
		t.Error("a removed file is a change, once")
	}
}
