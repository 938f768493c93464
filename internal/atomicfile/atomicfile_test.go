package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWriteAndRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := MakeDir(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "file")
	if _, err := Read(path, 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	for _, want := range []string{"first", "second", ""} {
		if err := Write(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path, int64(len(want))); err != nil || string(got) != want {
			t.Errorf("%q, %v", got, err)
		}
	}
	if err := Write(path, []byte("longer")); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, 5); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the bound does not hold: %v", err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

// What cannot be written leaves the old content.
func TestFailedWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Write(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path+".new", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("new")); err == nil {
		t.Error("no error")
	}
	if got, err := Read(path, 10); err != nil || string(got) != "old" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Write(path, []byte("bad")); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("it is no good")
	err := SetAside(path, time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), cause)
	const aside = ".bad-20260102T030405.000000006Z"
	if !errors.Is(err, cause) || !strings.HasSuffix(err.Error(), path+aside) {
		t.Errorf("%v", err)
	}
	if got, err := Read(path+aside, 10); err != nil || string(got) != "bad" {
		t.Errorf("%q, %v", got, err)
	}
	if err := SetAside(path, time.Now(), cause); !errors.Is(err, cause) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
