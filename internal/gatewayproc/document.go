package gatewayproc

import (
	"fmt"
	"strings"
)

// document writes the gateway's configuration. Ports are the kernel's choice, so that any number of
// gateways run side by side.
func document(cfg Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nregion: %s\n", cfg.Name, cfg.Region)
	b.WriteString("listen: {address: \"127.0.0.1:0\"}\nadmin: {address: \"127.0.0.1:0\"}\n")
	b.WriteString(cfg.Gateway)
	b.WriteString("services:\n  - name: tools\n    path: /mcp\n    discover:\n      - static:\n          nodes:\n")
	for _, n := range cfg.Nodes {
		fmt.Fprintf(&b, "            - {id: %s, url: %q}\n", n.ID, n.URL)
	}
	b.WriteString(cfg.Service)
	return b.String()
}
