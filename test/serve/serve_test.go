// Package serve holds tests of the gateway as an operator meets it: a real process, its configuration file,
// its signals and its admin listener, in front of real node processes. It must not know the
// gateway's code.
package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/gatewayproc"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/internal/poll"
)

// binary is the quorate command, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) { goleak.VerifyTestMain(gatewayproc.Tests{M: m, Binary: &binary}) }

func group(t *testing.T) *child.Group {
	g := child.NewGroup()
	t.Cleanup(g.Close)
	return g
}

// startNode runs one MCP server process and returns its URL and its journal.
func startNode(t *testing.T, g *child.Group, name string, more ...string) (url, journal string, p *child.Process) {
	t.Helper()
	journal = filepath.Join(t.TempDir(), name)
	args := append([]string{"node", "--name", name, "--journal", journal}, more...)
	p, line, err := g.Start(t.Context(), child.Spec{Path: binary, Args: args, Ready: child.Stdout, ReadyMsg: mcpnode.ReadyMsg})
	if err != nil {
		t.Fatal(err)
	}
	var ready struct{ Address string }
	if err := json.Unmarshal(line, &ready); err != nil {
		t.Fatal(err)
	}
	return "http://" + ready.Address + mcpnode.Path, journal, p
}

func config(nodes ...string) string {
	var b strings.Builder
	b.WriteString("name: gw-1\nregion: us-east\nlisten: {address: \"127.0.0.1:0\"}\nadmin: {address: \"127.0.0.1:0\"}\n" +
		"services:\n  - name: tools\n    path: /mcp\n    checks: {interval: 200ms}\n    discover:\n      - static:\n          nodes:\n")
	for i, url := range nodes {
		fmt.Fprintf(&b, "            - {id: n%d, url: %q}\n", i, url)
	}
	return b.String()
}

type gateway struct {
	*child.Process
	listen, admin, file string
	log                 *child.Tail
}

func startGateway(t *testing.T, g *child.Group, file, text string, env ...string) *gateway {
	t.Helper()
	write(t, file, text)
	gw := &gateway{file: file, log: new(child.Tail)}
	p, line, err := g.Start(t.Context(), child.Spec{
		Path: binary, Args: []string{"serve", "--config", file}, Env: env, Ready: child.Stderr, ReadyMsg: "serving", Log: gw.log,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, gw.log)
	}
	var ready map[string]string
	if err := json.Unmarshal(line, &ready); err != nil || len(ready) != 3 {
		t.Fatalf("ready line %q: %v", line, err)
	}
	gw.Process, gw.listen, gw.admin = p, "http://"+ready["listen"], "http://"+ready["admin"]
	return gw
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// get reads a URL without keeping its connection.
func get(t *testing.T, url string, header ...string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// await polls until f holds; what it waits for happens in other processes.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	poll.True(t, 10*time.Millisecond, 15*time.Second, what, f)
}

func agent(t *testing.T, url string) *mcp.ClientSession {
	t.Helper()
	c := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s, err := c.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: url + "/mcp", HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func nodesOf(t *testing.T, gw *gateway) string {
	_, body := get(t, gw.admin+"/v1/status")
	var status struct {
		Services []struct {
			Nodes []struct{ ID, State string }
		}
	}
	if err := json.Unmarshal([]byte(body), &status); err != nil || len(status.Services) != 1 {
		return ""
	}
	out := ""
	for _, n := range status.Services[0].Nodes {
		out += n.ID + "=" + n.State + " "
	}
	return strings.TrimSpace(out)
}

func TestReload(t *testing.T) {
	g := group(t)
	a, _, _ := startNode(t, g, "a")
	b, _, _ := startNode(t, g, "b")
	gw := startGateway(t, g, filepath.Join(t.TempDir(), "q.yaml"), config(a))
	await(t, "the first node is verified", func() bool { return nodesOf(t, gw) == "n0=healthy" })
	// By signal.
	write(t, gw.file, config(a, b))
	if err := gw.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, "the second node serves", func() bool { return nodesOf(t, gw) == "n0=healthy n1=healthy" })
	// A bad file is refused and the old one keeps serving.
	write(t, gw.file, config(a)+"nonsense: 1\n")
	if err := gw.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, "the refusal is logged with the place of the problem", func() bool {
		return strings.Contains(gw.log.String(), "nonsense") && strings.Contains(gw.log.String(), "refused")
	})
	// A key that needs a restart is refused too.
	write(t, gw.file, strings.Replace(config(a), "gw-1", "gw-2", 1))
	if err := gw.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, "the refusal names the restart", func() bool { return strings.Contains(gw.log.String(), "restart") })
	if got := nodesOf(t, gw); got != "n0=healthy n1=healthy" {
		t.Errorf("nodes after two refusals: %q", got)
	}
	// By the file alone, under traffic: no call fails.
	s := agent(t, gw.listen)
	write(t, gw.file, config(b))
	await(t, "the file's change is seen", func() bool {
		if _, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"text": "x"}}); err != nil {
			t.Fatal(err)
		}
		return nodesOf(t, gw) == "n0=healthy"
	})
}

func TestTermDrains(t *testing.T) {
	g := group(t)
	a, _, _ := startNode(t, g, "a", "--json")
	gw := startGateway(t, g, filepath.Join(t.TempDir(), "q.yaml"), config(a))
	s := agent(t, gw.listen)
	done := make(chan error, 1)
	go func() {
		r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "slow", Arguments: map[string]any{"work_ms": 800}})
		if err == nil && r.IsError {
			err = errors.New("tool error")
		}
		done <- err
	}()
	await(t, "the call is in flight", func() bool {
		_, body := get(t, gw.admin+"/v1/status")
		return strings.Contains(body, `"in_flight":1`)
	})
	if err := gw.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await(t, "/readyz says no", func() bool { status, _ := get(t, gw.admin+"/readyz"); return status == 503 })
	if status, _ := get(t, gw.admin+"/livez"); status != 200 {
		t.Errorf("/livez %d while draining", status)
	}
	if err := <-done; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	if err := gw.Err(); err != nil {
		t.Errorf("exit: %v\n%s", err, gw.log)
	}
}

func TestExitCodes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := config("http://127.0.0.1:1/mcp")
	tests := []struct {
		name, text string
		env        []string
		args       []string
		code       int
		says       string
	}{
		{"port taken", strings.Replace(good, "127.0.0.1:0", taken.Addr().String(), 1), nil, nil, 1, "address already in use"},
		{"bad configuration", good + "x: 1\n", nil, nil, 2, "q.yaml:"},
		{"unknown environment", good, []string{"QUORATE_NONSENSE=1"}, nil, 2, "QUORATE_NONSENSE"},
		{"no file", good, nil, []string{"serve"}, 2, "config"},
		{"file not there", good, nil, []string{"serve", "--config", "/does/not/exist"}, 2, "/does/not/exist"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "q.yaml")
			write(t, file, test.text)
			args := test.args
			if args == nil {
				args = []string{"serve", "--config", file}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary, args...)
			cmd.Env = append(os.Environ(), test.env...)
			var said bytes.Buffer
			cmd.Stderr = &said
			_ = cmd.Run()
			if got := cmd.ProcessState.ExitCode(); got != test.code || !strings.Contains(said.String(), test.says) {
				t.Errorf("exit %d, want %d; said %s", got, test.code, said.String())
			}
		})
	}
}

func TestEnvironmentBeatsFileAndTokenGuardsAdmin(t *testing.T) {
	g := group(t)
	a, _, _ := startNode(t, g, "a")
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, "s3cret\n")
	gw := startGateway(t, g, filepath.Join(t.TempDir(), "q.yaml"), config(a), "QUORATE_NAME=from-env", "QUORATE_ADMIN_TOKEN_FILE="+token)
	for _, test := range []struct {
		path   string
		header []string
		status int
	}{
		{"/v1/status", nil, 401},
		{"/v1/status", []string{"Authorization", "Bearer wrong"}, 403},
		{"/v1/status", []string{"Authorization", "Bearer s3cret"}, 200},
		{"/v1/status", []string{"Authorization", "Bearer s3cret", "Origin", "http://evil.example.com"}, 403},
		{"/metrics", nil, 401},
		{"/metrics", []string{"Authorization", "Bearer s3cret"}, 200},
		{"/livez", nil, 200},
		{"/readyz", nil, 200},
		{"/nothing", []string{"Authorization", "Bearer s3cret"}, 404},
	} {
		if status, body := get(t, gw.admin+test.path, test.header...); status != test.status {
			t.Errorf("%s %v: %d %s, want %d", test.path, test.header, status, body, test.status)
		}
	}
	_, body := get(t, gw.admin+"/v1/status", "Authorization", "Bearer s3cret")
	var status map[string]any
	if err := json.Unmarshal([]byte(body), &status); err != nil || status["gateway"] != "from-env" {
		t.Errorf("status %s", body)
	}
	for _, key := range []string{"id", "url", "region", "source", "era", "state", "last_seen", "consecutive_failures", "latency_ms", "in_flight", "breaker", "groups"} {
		node := status["services"].([]any)[0].(map[string]any)["nodes"].([]any)[0].(map[string]any)
		if _, ok := node[key]; !ok {
			t.Errorf("status has no node key %q", key)
		}
	}
}
