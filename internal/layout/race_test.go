package layout_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestUnraced: what make race leaves out runs no gateway in the tests' own process, where the detector would see it.
func TestUnraced(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^UNRACED \?= (.+)$`).FindSubmatch(text)
	if line == nil {
		t.Fatal("the Makefile does not say what make race leaves out")
	}
	unraced, own := strings.Fields(string(line[1])), 0
	for _, p := range packages(t) {
		name, in := strings.CutPrefix(p.rel(), "test/")
		if !in {
			continue
		}
		name, _, _ = strings.Cut(name, "/")
		runs := slices.Contains(imports(t, p), module+"/gateway")
		if runs {
			own++
		}
		if runs && slices.Contains(unraced, name) {
			t.Errorf("%s runs a gateway itself, and make race leaves it out", p.rel())
		}
	}
	if own == 0 {
		t.Error("no package of test/ runs a gateway itself: this test looks for the wrong import")
	}
	for _, name := range unraced {
		if _, err := os.Stat(filepath.Join(root, "test", name)); err != nil {
			t.Errorf("make race leaves out what is not there: %v", err)
		}
	}
}

// imports are those of all files of a package, its tests' too.
func imports(t *testing.T, p listed) (all []string) {
	t.Helper()
	for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, path)
		}
	}
	return all
}
