package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"github.com/quorate/quorate/internal/config"
)

const root = "../../.."

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	files, err := render(config.Keys(), string(read(t, "examples", "edge", "quorate.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if got := read(t, "docs", name); !bytes.Equal(got, want) {
			t.Errorf("docs/%s is out of date: run go generate ./internal/config", name)
		}
	}
}

// documented is the example in docs/configuration.md.
func documented(t *testing.T) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(read(t, "docs", "configuration.md")), "```yaml\n")
	text, _, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		t.Fatal("docs/configuration.md has no example")
	}
	return text
}

func TestTheExampleIsGood(t *testing.T) {
	if problems := check(t, documented(t)); problems != nil {
		t.Errorf("quorate check: %v", problems)
	}
	if err := validate(t, schemaFile(t), documented(t)); err != nil {
		t.Errorf("schema: %v", err)
	}
}

func TestEveryKeyIsInTheManual(t *testing.T) {
	text := string(read(t, "docs", "configuration.md"))
	var visit func(keys []config.Key)
	visit = func(keys []config.Key) {
		for _, k := range keys {
			if !strings.Contains(text, "| `"+k.Name+"` |") || !strings.Contains(text, k.Env) {
				t.Errorf("%s is missing", k.Path)
			}
			visit(k.Keys)
		}
	}
	visit(config.Keys())
}

// The schema and the decoder are made from the same keys, and must agree on what needs no more
// than the one value to be judged.
func TestSchemaAndDecoderAgree(t *testing.T) {
	const (
		head = "name: gw-1\nregion: us-east\nservices:\n"
		tail = "  - name: tools\n    path: /mcp\n    discover: [{static: {nodes: [{id: a, url: \"http://h/mcp\"}]}}]\n"
	)
	tests := []struct {
		name, text string
		good       bool
	}{
		{"least", head + tail, true},
		{"empty values", head + tail + "listen:\nadmin: {address: , tls: }\nlog: {level: }\n", true},
		{"every kind", head + tail + "listen: {max_body: 1024, allowed_hosts: [a]}\nshutdown: {drain: 1m30s}\n    \n", true},
		{"no nodes yet", head + "  - {name: a, path: /a, discover: [{static: {nodes: []}}]}\n", true},
		{"unknown key", head + tail + "x: 1\n", false},
		{"unknown key inside", head + tail + "    checks: {timeout: 1s}\n", false},
		{"missing", "region: a\nservices:\n" + tail, false},
		{"missing inside", head + "  - {name: a, path: /a}\n", false},
		{"no services", "name: a\nregion: b\nservices: []\n", false},
		{"no source", head + "  - {name: a, path: /a, discover: [{}]}\n", false},
		{"no pattern", head + tail + "    routes: [{match: {}}]\n", false},
		{"number for text", head + tail + "data_dir: 5\n", false},
		{"text for a number", head + tail + "    retry: {attempts: \"3\"}\n", false},
		{"out of range", head + tail + "    retry: {attempts: 11}\n", false},
		{"no unit", head + tail + "shutdown: {drain: 5}\n", false},
		{"wrong unit", head + tail + "listen: {max_body: 4MB}\n", false},
		{"unknown word", head + tail + "log: {level: loud}\n", false},
		{"bad name", "name: a b\nregion: b\nservices:\n" + tail, false},
		{"list for a section", head + tail + "admin: []\n", false},
	}
	schema := schemaFile(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if problems := check(t, tt.text); (problems == nil) != tt.good {
				t.Errorf("decoder: %v", problems)
			}
			if err := validate(t, schema, tt.text); (err == nil) != tt.good {
				t.Errorf("schema: %v", err)
			}
		})
	}
}

// The decoder wants more of a witness than the schema can say.
func TestSchemaOfAWitness(t *testing.T) {
	const head = "name: w\nregion: ap-south\n"
	for text, good := range map[string]bool{
		head + "control: {role: witness}\n": true, head + "control: {role: voter}\n": false, head + "control: {}\n": false, head + "control:\n": false, head: false,
	} {
		if err := validate(t, schemaFile(t), text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func check(t *testing.T, text string) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "quorate.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(path, nil)
	return err
}

func schemaFile(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal(read(t, "docs", "quorate.schema.json"), &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

func validate(t *testing.T, schema *jsonschema.Resolved, text string) error {
	t.Helper()
	var value map[string]any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(data, &plain); err != nil {
		t.Fatal(err)
	}
	return schema.Validate(plain)
}
