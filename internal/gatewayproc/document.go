package gatewayproc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// write writes the gateway's configuration and, beside it, the token that it names; it returns the configuration's file.
func write(cfg Config) (file string, err error) {
	file = filepath.Join(cfg.Dir, cfg.Name+".yaml")
	if cfg.Token != "" {
		err = os.WriteFile(filepath.Join(cfg.Dir, cfg.Name+".token"), []byte(cfg.Token), 0o600)
	}
	return file, errors.Join(err, os.WriteFile(file, []byte(document(cfg)), 0o600))
}

// document writes the gateway's configuration. Ports are the kernel's choice, so that any number of
// gateways run side by side.
func document(cfg Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nregion: %s\n", cfg.Name, cfg.Region)
	token := ""
	if cfg.Token != "" {
		token = fmt.Sprintf(", token_file: %s.token", cfg.Name)
	}
	fmt.Fprintf(&b, "listen: {address: \"127.0.0.1:0\"}\nadmin: {address: \"127.0.0.1:0\"%s}\n", token)
	b.WriteString(cfg.Gateway)
	b.WriteString("services:\n  - name: tools\n    path: /mcp\n    discover:\n      - static:\n          nodes:\n")
	for _, n := range cfg.Nodes {
		fmt.Fprintf(&b, "            - {id: %s, url: %q}\n", n.ID, n.URL)
	}
	b.WriteString(cfg.Service)
	return b.String()
}
