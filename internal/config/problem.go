package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	File  string // as the caller named it; unused when Env is set
	Line  int    // 1-based
	Env   string // the environment variable at fault
	Key   string // dotted path with indexes, such as services[0].checks.interval
	What  string // the problem
	Write string // what to write instead
}

// String returns "FILE:LINE: KEY: problem; write …", or "environment: VARIABLE: problem; write …".
func (p Problem) String() string {
	if p.Env != "" {
		return fmt.Sprintf("environment: %s: %s; write %s", p.Env, p.What, p.Write)
	}
	return fmt.Sprintf("%s:%d: %s: %s; write %s", p.File, p.Line, p.Key, p.What, p.Write)
}

// Problems is everything wrong with a configuration, in the order of the file, the environment last.
type Problems []Problem

// Error returns one line per problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// maxProblems bounds a report; a file with more is of some other kind.
const maxProblems = 200

// report collects problems and knows where each key stands.
type report struct {
	file  string
	lines map[string]int    // key path to line
	envs  map[string]string // key path to the environment variable that set it
	bad   map[string]bool   // key paths with a problem: one problem per key is enough
	all   Problems
	root  *yaml.Node // of the file
}

func newReport(file string) *report {
	return &report{file: file, lines: map[string]int{}, envs: map[string]string{}, bad: map[string]bool{}}
}

// add records a problem of the key at path, at the key's own line or that of its nearest section.
func (r *report) add(path, what, write string) {
	if r.bad[path] || r.full() {
		return
	}
	r.bad[path] = true
	r.append(Problem{File: r.file, Line: r.line(path), Env: r.envs[path], Key: path, What: what, Write: write})
}

// addAt records a problem that stands at a line of its own.
func (r *report) addAt(line int, path, what, write string) {
	r.append(Problem{File: r.file, Line: line, Key: path, What: what, Write: write})
}

// full reports whether further problems would be dropped.
func (r *report) full() bool { return len(r.all) >= maxProblems }

func (r *report) append(p Problem) {
	if !r.full() {
		r.all = append(r.all, p)
	}
}

// badBelow reports whether a key inside the section or list at path has a problem, which may be
// why the section looks empty.
func (r *report) badBelow(path string) bool {
	for p := range r.bad {
		if rest, ok := strings.CutPrefix(p, path); ok && rest != "" && (rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

func (r *report) line(path string) int {
	for path != "" {
		if n, ok := r.lines[path]; ok {
			return n
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return 1
}

// problems returns what was found, in order, or nil.
func (r *report) problems() error {
	if len(r.all) == 0 {
		return nil
	}
	slices.SortStableFunc(r.all, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Env, b.Env), cmp.Compare(a.Line, b.Line))
	})
	return r.all
}

// show quotes a value for a message, shortened: values are an operator's, but may be long or odd.
func show(value string) string {
	const most = 60
	if runes := []rune(value); len(runes) > most {
		value = string(runes[:most]) + "…"
	}
	return fmt.Sprintf("%q", value)
}
