// Package layout_test holds the repository to its own rules: who may import whom, what every
// package says of itself, and the habits that tests must keep. It must not import any package of
// the module: it reads them.
package layout_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	module = "github.com/quorate/quorate"
	root   = "../.."
	// maxLines is the longest a Go file may be; generated protobuf code is exempt.
	maxLines = 800
)

// listed is what `go list` says of one package.
type listed struct {
	ImportPath, Name, Dir              string
	Imports, Deps                      []string
	GoFiles, TestGoFiles, XTestGoFiles []string
}

// rel is the package's path inside the module; "" for the root.
func (p listed) rel() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Dir,Imports,Deps,GoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []listed
	for d := json.NewDecoder(out); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

// files calls f for every file of the repository's own, with its path from the root.
func files(t *testing.T, f func(path string, entry fs.DirEntry)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && (name == "node_modules" || name == "bin" || name == ".git"):
			return fs.SkipDir
		}
		f(path, entry)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFolderNames: a folder is named for what it holds.
func TestFolderNames(t *testing.T) {
	for _, name := range []string{"gateway/session", "internal/admin", "test/npm"} {
		if nameless(name) {
			t.Errorf("%s counts as nameless", name)
		}
	}
	for _, name := range []string{"pkg", "internal/util", "gateway/helpers", "a/common"} {
		if !nameless(name) {
			t.Errorf("%s passes", name)
		}
	}
	files(t, func(path string, entry fs.DirEntry) {
		if entry.IsDir() && nameless(path) {
			t.Errorf("folder %s: name it for what it holds", path)
		}
	})
}

func nameless(path string) bool {
	switch filepath.Base(path) {
	case "util", "utils", "helper", "helpers", "common", "pkg", "misc", "lib":
		return true
	}
	return false
}

func TestFileLength(t *testing.T) {
	seen := 0
	files(t, func(path string, entry fs.DirEntry) {
		if entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".pb.go") {
			return
		}
		seen++
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Error(err)
			return
		}
		if n := strings.Count(string(text), "\n"); n > maxLines {
			t.Errorf("%s has %d lines; %d is the limit", path, n, maxLines)
		}
	})
	if seen == 0 {
		t.Error("no Go file found")
	}
}
