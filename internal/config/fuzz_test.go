package config

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"

	"github.com/quorate/quorate/internal/settings"
)

var problemForm = regexp.MustCompile(`^(f:[1-9][0-9]*: \S.*|environment: QUORATE_.*): [^\n]+; write [^\n]+$`)

// MarshalYAML writes a tree as it stood in the file. JSON is YAML.
func (t Tree) MarshalYAML() (any, error) {
	n := yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	if t == "" {
		return &n, nil
	}
	if err := yaml.Unmarshal([]byte(t), &n); err != nil {
		return nil, err
	}
	return n.Content[0], nil
}

// FuzzConfig: no input panics; every refusal is lines of the documented form that stand in the
// file; what is accepted means the same when it is written out and read again.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(contract), "QUORATE_NAME=b")
	f.Add([]byte(head+tail), "QUORATE_ZZZ=1\nQUORATE_LOG_LEVEL=")
	f.Add([]byte("a: &a [*a]\n<<: {b: !!int c}\n? [d]\n: \"\\u0000\"\n---\n"), "")
	f.Add([]byte("name: |\n  a\n\tb\nlisten: {max_body: 1 GiB, allowed_hosts: [~]}"), "X=1")
	f.Add([]byte(head+tail+"    replication: {factor: 0, options: {}}\nreplication: {strategy: a, plugin: {path: /p, sha256: \""+strings.Repeat("0f", 32)+"\", settings: {b: [1, 2.5e1, {c: ~}], a: \"\\u2028\"}}}\n"), "QUORATE_REPLICATION_FACTOR=3")
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

// documentProblem is a problem of a document, whose key is the document's own.
var documentProblem = regexp.MustCompile(`^[a-z]+/.*:[1-9][0-9]*: \S[^\n]*: [^\n]+; write [^\n]+$`)

// FuzzDocument: no JSON of the API panics; refusals name a key; what is accepted has a canonical form that stays the
// same and means the same, and either joins the file or is left out with a reason.
func FuzzDocument(f *testing.F) {
	f.Add("services", "tools", []byte(toolsBody))
	f.Add("regions", "eu", []byte(`{"gateways":["10.0.0.1:9100"],"rtt":"80ms","pools":{"tools":{"nodes":[]}}}`))
	f.Add("routes", "a", []byte(`{"service":"*","match":{"header":{"X-Y":"<*>"}},"deadline":"1s"}`))
	f.Add("strategies", "split_brain", []byte(`{"strategy":"mine","options":{"a":"b"},"plugin":{"path":"/p","sha256":"00","args":["-v"]}}`))
	f.Add("strategies", "replication", []byte(`{"strategy":"mine","factor":0,"plugin":{"path":"/p","sha256":"00","settings":{"a":[1.5]}}}`))
	f.Add("services", "a", []byte("{\"a\":1e9,\"a\":[{}],\"\\ud800\":null}"))
	path := f.TempDir() + "/quorate.yaml"
	if err := os.WriteFile(path, []byte(head+tail), 0o600); err != nil {
		f.Fatal(err)
	}
	file, err := Load(path, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, kind, name string, body []byte) {
		d, err := ParseDocument(settings.Kind(kind), name, body)
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("%T is not Problems", err)
			}
			for _, p := range problems {
				if blank, known := blank(settings.Kind(kind), name); known && blank.IsValid() && checkName(name) == nil && !documentProblem.MatchString(p.String()) {
					t.Errorf("not of the documented form: %q", p.String())
				}
			}
			return
		}
		again, err := ParseDocument(d.Kind, d.Name, d.Body)
		if err != nil || !bytes.Equal(again.Body, d.Body) {
			t.Fatalf("canonical %s is read as %s: %v", d.Body, again.Body, err)
		}
		if diff := cmp.Diff(d.value, again.value); diff != "" {
			t.Errorf("canonical it means something else:\n%s", diff)
		}
		if _, err := settings.Put(d.Kind, d.Name, d.Body, settings.Condition{}); err != nil {
			t.Errorf("no command: %v", err)
		}
		next, misfits := file.With([]Document{d}, file)
		for _, m := range misfits {
			if len(m.Problems) == 0 {
				t.Errorf("left out without a reason: %+v", m)
			}
		}
		if err := CheckReload(file, next); err != nil {
			t.Error(err)
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
