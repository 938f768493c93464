package failover

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// Quorate is a gateway as a real child process: "quorate serve" with a generated configuration.
type Quorate struct {
	Binary   string // the quorate binary
	Attempts int    // attempts per request; 0 means the default, 1 turns retries off
	process  *child.Process
	listen   string
	admin    string
	http     *http.Client
	nodes    int
}

// quorateConfig keeps the defaults but for what a bench of hundreds of restarts cannot wait for:
// a check each 400 ms instead of 5 s, one good check instead of two, and no slow start, so that the
// next fault finds all nodes in use.
const quorateConfig = `name: gw-1
region: local
listen: {address: "127.0.0.1:0"}
admin: {address: "127.0.0.1:0"}
shutdown: {drain: 5s}
log: {level: warn}
services:
  - name: tools
    path: {{.Path}}
    discover:
      - static:
          nodes:
{{range .Nodes}}            - {id: {{.ID}}, url: "{{.URL}}"}
{{end}}    checks: {interval: 400ms, failures: 3, successes: 1}
    balance: {slow_start: 0s}
{{if .Attempts}}    retry: {attempts: {{.Attempts}}}
{{end}}`

// Name implements Front.
func (q *Quorate) Name() string {
	if q.Attempts == 1 {
		return "quorate-without-retries"
	}
	return "quorate"
}

// URL implements Front.
func (q *Quorate) URL() string { return "http://" + q.listen + mcpnode.Path }

// Start implements Front.
func (q *Quorate) Start(ctx context.Context, group *child.Group, dir string, nodes []*pool.Node, log io.Writer) error {
	var text bytes.Buffer
	err := template.Must(template.New("quorate").Parse(quorateConfig)).Execute(&text, map[string]any{
		"Path": mcpnode.Path, "Nodes": nodes, "Attempts": q.Attempts,
	})
	if err != nil {
		return fmt.Errorf("failover: quorate: %w", err)
	}
	file := filepath.Join(dir, "quorate.yaml")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("failover: quorate: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	p, line, err := group.Start(ctx, child.Spec{
		Path: q.Binary, Args: []string{"serve", "--config", file}, Ready: child.Stderr, ReadyMsg: "serving", Log: log,
	})
	if err != nil {
		return err
	}
	var ready struct{ Listen, Admin string }
	if err := json.Unmarshal(line, &ready); err != nil {
		return fmt.Errorf("failover: quorate: ready line: %w", err)
	}
	q.process, q.listen, q.admin, q.nodes = p, ready.Listen, ready.Admin, len(nodes)
	q.http = &http.Client{Transport: &http.Transport{}, Timeout: 2 * time.Second}
	return nil
}

// maxAdminAnswer bounds an answer of the admin listener, in bytes.
const maxAdminAnswer = 4 << 20

func (q *Quorate) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+q.admin+path, nil)
	if err != nil {
		return nil, fmt.Errorf("failover: quorate: %w", err)
	}
	resp, err := q.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("failover: quorate: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAdminAnswer))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("failover: quorate: %s: %s", path, resp.Status)
	}
	return body, err
}

// Healthy implements Front by /v1/status.
func (q *Quorate) Healthy(ctx context.Context) (bool, error) {
	body, err := q.get(ctx, "/v1/status")
	if err != nil {
		return false, err
	}
	var status struct {
		Services []struct {
			Nodes []struct{ State, Breaker string }
		}
	}
	if err := json.Unmarshal(body, &status); err != nil {
		return false, fmt.Errorf("failover: quorate: status: %w", err)
	}
	healthy := 0
	for _, s := range status.Services {
		for _, n := range s.Nodes {
			if n.State == "healthy" && n.Breaker == "closed" {
				healthy++
			}
		}
	}
	return healthy == q.nodes, nil
}

// Counters implements Front by /metrics.
func (q *Quorate) Counters(ctx context.Context) (Counters, error) {
	body, err := q.get(ctx, "/metrics")
	if err != nil {
		return Counters{}, err
	}
	return Counters{
		Retried: sum(body, "quorate_retries_total"), Migrated: sum(body, "quorate_sessions_migrated_total"),
	}, nil
}

// sum adds the values of every series of one metric in Prometheus text form.
func sum(text []byte, metric string) int64 {
	total := 0.0
	sc := bufio.NewScanner(bytes.NewReader(text))
	for sc.Scan() {
		rest, ok := strings.CutPrefix(sc.Text(), metric)
		if !ok || rest == "" || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		if v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64); err == nil {
			total += v
		}
	}
	return int64(total)
}

// Stop implements Front: a gateway that does not stop in order within its bound is an error.
func (q *Quorate) Stop() error {
	q.http.CloseIdleConnections()
	if err := q.process.Terminate(10 * time.Second); err != nil {
		return fmt.Errorf("failover: quorate: stop: %w", err)
	}
	return nil
}
