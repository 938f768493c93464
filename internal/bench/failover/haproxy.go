package failover

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpagent"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// HAProxy is Debian's HAProxy, configured as well as its features allow; see haproxyConfig.
type HAProxy struct {
	address string
	stats   string
	nodes   int
	process *child.Process
}

// haproxyConfig is meant to be fair, that is better than what an operator would write first:
//   - checks are MCP round trips (server/discover), four times as often as Quorate's in this bench;
//     two failures take a node out and break its connections, one success brings it back;
//   - retries go to another server (redispatch 1), also after a request was sent (layer 7 retries);
//   - a legacy session sticks to its node by Mcp-Session-Id; HAProxy cannot move it, so after the
//     death of the node the agent gets 404 and opens a new one;
//   - a request that must not run twice is not retried once it was sent. HAProxy does not know MCP,
//     so it searches the buffered body for the tool's name: without this line it duplicates charges;
//   - there is no response timeout: any value would cut a slow call on a healthy node.
const haproxyConfig = `global
  maxconn 4096
  tune.bufsize 32768
  stats socket {{.Stats}} mode 600 level user
defaults
  mode http
  timeout connect 250ms
  timeout client 75s
  timeout server 75s
  timeout check 400ms
  retries 3
  option redispatch 1
  option http-buffer-request
  retry-on conn-failure empty-response 502 503 504
frontend agents
  bind {{.Address}}
  default_backend nodes
backend nodes
  balance leastconn
  stick-table type string len 64 size 100k expire 30m
  stick match req.hdr(Mcp-Session-Id)
  stick store-response res.hdr(Mcp-Session-Id)
  http-request disable-l7-retry if { req.body -m sub "\"name\":\"{{.Once}}\"" }
  option httpchk
  http-check send meth POST uri {{.Path}} ver HTTP/1.1 hdr Host localhost hdr Content-Type application/json hdr Accept "application/json, text/event-stream" hdr MCP-Protocol-Version {{.Version}} hdr Mcp-Method server/discover body "{{.Discover}}"
  http-check expect status 200
  default-server check inter 100ms downinter 50ms fall 2 rise 1 on-marked-down shutdown-sessions
{{range .Nodes}}  server {{.ID}} {{.Address}}
{{end}}`

// Name implements Front.
func (*HAProxy) Name() string { return "haproxy" }

// URL implements Front.
func (h *HAProxy) URL() string { return "http://" + h.address + mcpnode.Path }

// Start implements Front.
func (h *HAProxy) Start(ctx context.Context, group *child.Group, dir string, nodes []*pool.Node, log io.Writer) error {
	var err error
	if h.address, err = freeLoopback(); err != nil {
		return err
	}
	h.stats, h.nodes = filepath.Join(dir, "haproxy.sock"), len(nodes)
	file := filepath.Join(dir, "haproxy.cfg")
	if err := h.write(file, nodes); err != nil {
		return err
	}
	// -db keeps it in the foreground; without a master process its one process is ours to kill.
	h.process, _, err = group.Start(ctx, child.Spec{Path: haproxyBinary(), Args: []string{"-db", "-f", file}, Log: log})
	return err
}

// haproxyBinary falls back to Debian's place, which is not on every PATH.
func haproxyBinary() string {
	if path, err := exec.LookPath("haproxy"); err == nil {
		return path
	}
	return "/usr/sbin/haproxy"
}

func (h *HAProxy) write(file string, nodes []*pool.Node) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("failover: haproxy: %w", err)
	}
	body := `{"jsonrpc":"2.0","id":"check","method":"server/discover","params":{"_meta":` + mcpagent.ModernMeta + `}}`
	err = template.Must(template.New("haproxy").Parse(haproxyConfig)).Execute(f, map[string]any{
		"Stats": h.stats, "Address": h.address, "Path": mcpnode.Path, "Version": mcpagent.VersionModern, "Nodes": nodes,
		"Once": mcpnode.ToolCharge, "Discover": strings.ReplaceAll(body, `"`, `\"`),
	})
	return errors.Join(err, f.Close())
}

func freeLoopback() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("failover: %w", err)
	}
	return ln.Addr().String(), ln.Close()
}

// Healthy implements Front by the stats socket.
func (h *HAProxy) Healthy(ctx context.Context) (bool, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", h.stats)
	if err != nil {
		return false, fmt.Errorf("failover: haproxy: %w", err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(c, "show stat\n"); err != nil {
		return false, fmt.Errorf("failover: haproxy: %w", err)
	}
	rows, err := csv.NewReader(io.LimitReader(c, 1<<20)).ReadAll()
	if err != nil {
		return false, fmt.Errorf("failover: haproxy: stats: %w", err)
	}
	up := 0
	for _, row := range rows { // pxname, svname, ..., status is column 17
		if len(row) > 17 && row[0] == "nodes" && row[1] != "BACKEND" && row[17] == "UP" {
			up++
		}
	}
	return up == h.nodes, nil
}

// Counters implements Front; HAProxy's retries are not comparable, since it also counts connects.
func (*HAProxy) Counters(context.Context) (Counters, error) { return Counters{}, nil }

// Stop implements Front.
func (h *HAProxy) Stop() error {
	h.process.Kill()
	return nil
}
