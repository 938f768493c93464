// Command configdoc writes docs/configuration.md and docs/quorate.schema.json from the keys that
// package config declares. It must not know anything about a key that the package does not say.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/quorate/quorate/internal/config"
)

func main() {
	out := flag.String("out", "docs", "the `directory` to write to")
	example := flag.String("example", "examples/edge/quorate.yaml", "the configuration `file` shown as an example")
	flag.Parse()
	if err := run(*out, *example); err != nil {
		fmt.Fprintln(os.Stderr, "configdoc:", err)
		os.Exit(1)
	}
}

func run(out, example string) error {
	text, err := os.ReadFile(example)
	if err != nil {
		return err
	}
	files, err := render(config.Keys(), string(text))
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(out, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// render returns the generated files by name.
func render(keys []config.Key, example string) (map[string][]byte, error) {
	schema, err := schemaJSON(keys)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"configuration.md":    []byte(markdown(keys, example)),
		"quorate.schema.json": schema,
	}, nil
}
