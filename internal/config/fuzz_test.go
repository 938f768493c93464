package config

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"
)

var problemForm = regexp.MustCompile(`^(f:[1-9][0-9]*: \S.*|environment: QUORATE_.*): [^\n]+; write [^\n]+$`)

// FuzzConfig: no input panics; every refusal is lines of the documented form that stand in the
// file; what is accepted means the same when it is written out and read again.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(contract), "QUORATE_NAME=b")
	f.Add([]byte(head+tail), "QUORATE_ZZZ=1\nQUORATE_LOG_LEVEL=")
	f.Add([]byte("a: &a [*a]\n<<: {b: !!int c}\n? [d]\n: \"\\u0000\"\n---\n"), "")
	f.Add([]byte("name: |\n  a\n\tb\nlisten: {max_body: 1 GiB, allowed_hosts: [~]}"), "X=1")
	f.Fuzz(func(t *testing.T, data []byte, environ string) {
		r := newReport("f")
		c := parse(r, data, strings.Split(environ, "\n"))
		if err := r.problems(); err != nil {
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("%T is not Problems", err)
			}
			refusal(t, problems, 1+strings.Count(string(data), "\n")+strings.Count(string(data), "\r"))
			return
		}
		text, err := yaml.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again := newReport("f")
		if diff := cmp.Diff(c, parse(again, text, nil), cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Config{})); diff != "" || len(again.all) > 0 {
			t.Errorf("written out and read again it differs: %v\n%s\n%s", again.all, diff, text)
		}
	})
}

func refusal(t *testing.T, problems Problems, lines int) {
	t.Helper()
	if len(problems) > maxProblems {
		t.Errorf("%d problems", len(problems))
	}
	for _, p := range problems {
		if !problemForm.MatchString(p.String()) {
			t.Errorf("not of the documented form: %q", p.String())
		}
		if p.Env == "" && p.Line > lines {
			t.Errorf("line %d of %d: %s", p.Line, lines, p)
		}
	}
}
