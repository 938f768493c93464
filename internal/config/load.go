package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// MaxFile is the largest configuration file read, in bytes.
const MaxFile = 1 << 20

// source is where a Config came from, so that it can be watched.
type source struct {
	path    string
	environ []string
	sum     [sha256.Size]byte
	filed   []Filed
}

// Load reads and checks the file at path under the environment environ (as os.Environ returns it).
// An error is always of type Problems and holds everything that is wrong. Relative file names in
// the configuration are resolved against the directory of the file.
func Load(path string, environ []string) (*Config, error) {
	r := newReport(path)
	data, err := readFile(path)
	if err != nil {
		r.addAt(1, "file", "cannot be read: "+reason(err), fmt.Sprintf("the name of a readable YAML file of at most %s", Size(MaxFile)))
		return nil, r.problems()
	}
	c := parse(r, data, environ)
	resolve(reflect.ValueOf(c).Elem(), Keys(), filepath.Dir(path))
	c.checkFiles(r)
	if err := r.problems(); err != nil {
		return nil, err
	}
	filed, err := r.filed()
	if err != nil {
		return nil, fmt.Errorf("config: load: %w", err)
	}
	c.source = source{path: path, environ: environ, sum: sha256.Sum256(data), filed: filed}
	return c, nil
}

// parse decodes and checks everything that needs no other file.
func parse(r *report, data []byte, environ []string) *Config {
	c, keys := new(Config), Keys()
	root := reflect.ValueOf(c).Elem()
	d := decoder{r, root}
	setDefaults(root, keys)
	if !r.checkText(data) {
		return c
	}
	n, ok := r.document(data)
	if !ok {
		return c
	}
	if n != nil && !isEmpty(n) {
		if !d.plain("file", n) || !d.section(root, keys, "", n) {
			return c
		}
	}
	d.environment(root, keys, environ)
	d.required(root, keys, "")
	c.check(r)
	return c
}

// document returns the one document of a file, nil for an empty one.
func (r *report) document(data []byte) (n *yaml.Node, ok bool) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		r.syntax(data, err)
		return nil, false
	}
	if err := dec.Decode(&more); err == nil {
		r.addAt(more.Line, "file", "holds a second YAML document", "one document, without a --- line in it")
		return nil, false
	} else if !errors.Is(err, io.EOF) {
		r.syntax(data, err)
		return nil, false
	}
	if len(doc.Content) == 0 {
		return nil, true
	}
	r.root = doc.Content[0]
	return r.root, true
}

var errTooLarge = errors.New("is too large")

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		err = errTooLarge
	}
	return data, err
}

// reason is an error without the operation and the path, which the message already names.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
