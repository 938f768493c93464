// Command tfdocs writes docs/terraform from the provider's schema. It must not know what an attribute is for: that stands in
// the schema.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/quorate/quorate/internal/tfprovider"
)

func main() {
	out := flag.String("out", "docs/terraform", "the `folder` to write into")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "tfdocs:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for name, text := range pages(context.Background(), &tfprovider.Provider{}) {
		if err := os.WriteFile(filepath.Join(out, name+".md"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
