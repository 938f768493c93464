package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// contract is the example of the project's contract, word for word.
const contract = `name: gw-1
region: us-east
data_dir: /var/lib/quorate   # optional; without it everything lives in memory
listen: {address: 127.0.0.1:8080, tls: {cert_file: , key_file: }, allowed_hosts: [], allowed_origins: []}
admin: {address: 127.0.0.1:9090, token_file: , tls: {}}
services:
  - name: tools
    path: /mcp
    discover: [{static: {nodes: [{id: a, url: "http://127.0.0.1:9001/mcp", weight: 1}]}}]
    checks: {interval: 5s, failures: 3, successes: 2}
    attempt: {connect: 250ms, suspect: 300ms, probe: 400ms}
    routes: [{match: {tool: "charge_*"}, retry_class: once}]
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadReadsTheContract(t *testing.T) {
	c, err := Load(write(t, "quorate.yaml", contract), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Services[0]
	if c.Name != "gw-1" || c.Listen.MaxBody != 4<<20 || s.Checks.Interval != 5*time.Second ||
		s.Discover[0].Static.Nodes[0].ID != "a" || s.Routes[0].RetryClass != ClassOnce || s.Retry.Attempts != 3 {
		t.Errorf("got %+v", c)
	}
}
