package layout_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// problem returns what is wrong with a package's comment, "" when it is good: one sentence of what
// the package is responsible for, then what it must not know, hold or do. Packages of tests alone
// need only the first.
func problem(name, doc string) string {
	want := "Package " + name + " "
	if name == "main" {
		want = "Command "
	}
	flat := strings.Join(strings.Fields(doc), " ")
	first, _, _ := strings.Cut(flat, ". ")
	switch {
	case doc == "":
		return "has no package comment"
	case !strings.HasPrefix(doc, want):
		return "has a comment that does not begin with " + want
	case len(strings.Fields(first)) < 5:
		return "says too little of what it does"
	case !strings.HasSuffix(name, "_test") && !strings.Contains(flat, "must not "):
		return "does not say what it must not know"
	}
	return ""
}

// comment joins the package comments of a package's files. Test files count where there are no others.
func comment(t *testing.T, p listed) string {
	t.Helper()
	names := p.GoFiles
	if len(names) == 0 {
		names = slices.Concat(p.TestGoFiles, p.XTestGoFiles)
	}
	var doc []string
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil && f.Doc.Text() != "" {
			doc = append(doc, f.Doc.Text())
		}
	}
	if len(doc) > 1 {
		t.Errorf("%s has %d package comments; one file holds it", p.rel(), len(doc))
	}
	return strings.Join(doc, "\n")
}

func TestPackageDocs(t *testing.T) {
	for _, p := range packages(t) {
		name := p.Name
		if len(p.GoFiles) == 0 && len(p.TestGoFiles) == 0 {
			name += "_test"
		}
		if bad := problem(strings.Replace(name, "_test_test", "_test", 1), comment(t, p)); bad != "" {
			t.Errorf("package %s %s", p.rel(), bad)
		}
	}
}

func TestPackageDocsAreJudged(t *testing.T) {
	for doc, good := range map[string]bool{
		"Package a keeps the sessions of agents. It must not know nodes.\n":             true,
		"Package a keeps the sessions\nof agents across nodes; it must\nnot know them.": true,
		"Package a keeps the sessions of agents.":                                       false,
		"Package b keeps the sessions of agents. It must not know nodes.":               false,
		"Package a. It must not know nodes.":                                            false,
		"":                                                                              false,
	} {
		if got := problem("a", doc); (got == "") != good {
			t.Errorf("%q: %q", doc, got)
		}
	}
}

// habits returns what a test file does that tests must not: sleep on a real clock, or skip without
// a reason. Inside testing/synctest the clock is not real and sleeping is how time passes.
func habits(f *ast.File) []string {
	var bad []string
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		of, _ := sel.X.(*ast.Ident)
		switch {
		case of != nil && of.Name == "synctest" && sel.Sel.Name == "Test":
			return false // everything in here is in the bubble
		case of != nil && of.Name == "time" && sel.Sel.Name == "Sleep":
			bad = append(bad, "time.Sleep")
		case sel.Sel.Name == "SkipNow":
			bad = append(bad, "SkipNow, which gives no reason")
		case (sel.Sel.Name == "Skip" || sel.Sel.Name == "Skipf") && !reasoned(call):
			bad = append(bad, sel.Sel.Name+" without a reason")
		}
		return true
	})
	return bad
}

// reasoned reports whether a skip says more than a word or two.
func reasoned(call *ast.CallExpr) bool {
	if len(call.Args) == 0 {
		return false
	}
	text, ok := call.Args[0].(*ast.BasicLit)
	return !ok || len(strings.Fields(text.Value)) >= 3
}

func TestTestHabits(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range habits(f) {
				t.Errorf("%s/%s: %s", p.rel(), name, bad)
			}
		}
	}
}

func TestHabitsAreJudged(t *testing.T) {
	for body, want := range map[string]int{
		`time.Sleep(1)`: 1,
		`synctest.Test(t, func() { time.Sleep(1) })`: 0,
		`t.SkipNow()`:                          1,
		`t.Skip()`:                             1,
		`t.Skip("later")`:                      1,
		`t.Skip("needs root to drop packets")`: 0,
		`t.Skipf("no haproxy here: %v", err)`:  0,
		`go func() { for { time.Sleep(1) } }(); t.SkipNow()`:    2,
		`synctest.Wait(); time.Sleep(1); fmt.Println("unused")`: 1,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x_test.go", "package x\nfunc f() {"+body+"}", 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := habits(f); len(got) != want {
			t.Errorf("%s: %v, want %d", body, got, want)
		}
	}
}
