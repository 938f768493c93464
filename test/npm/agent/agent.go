// Package agent is other people's MCP clients, for tests: go-sdk's, and both TypeScript SDKs' in Node processes.
// It must not know the gateway's code, nor what the agents are used for.
package agent

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/test/npm"
)

// Agent is a client of somebody else's making.
type Agent interface {
	// Version is the protocol version that it speaks with the gateway.
	Version() string
	// Session is the id of its session, empty in the modern era, which has none.
	Session(ctx context.Context) (string, error)
	Call(ctx context.Context, tool string, args map[string]any) (string, error)
	Subscribe(ctx context.Context, uri string) error
	// Updates has a URI for every notifications/resources/updated; what nobody reads is dropped.
	Updates() <-chan string
}

// Failure is an error as the agent's program sees it.
type Failure struct {
	Name    string `json:"name"`
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error returns all of it.
func (f *Failure) Error() string { return fmt.Sprintf("%s %d: %s", f.Name, f.Code, f.Message) }

// Kind is one kind of agent.
type Kind struct {
	Name string
	// Dial connects an agent that lives as long as the test.
	Dial func(t *testing.T, url string) Agent
}

// The kinds of agents.
var (
	GoSDK            = Kind{"go-sdk", func(t *testing.T, url string) Agent { return dialGoSDK(t, url, "") }}
	GoSDKLegacy      = Kind{"go-sdk-legacy", func(t *testing.T, url string) Agent { return dialGoSDK(t, url, "2025-11-25") }}
	TypeScriptV1     = Kind{"typescript-v1", func(t *testing.T, url string) Agent { return dialJS(t, "typescript-v1.mjs", url) }}
	TypeScriptV2     = Kind{"typescript-v2", func(t *testing.T, url string) Agent { return dialJS(t, "typescript-v2.mjs", url, "legacy") }}
	TypeScriptV2Auto = Kind{"typescript-v2-auto", func(t *testing.T, url string) Agent { return dialJS(t, "typescript-v2.mjs", url, "auto") }}
)

// goAgent is go-sdk's client.
type goAgent struct {
	session *mcp.ClientSession
	updates chan string
}

func dialGoSDK(t *testing.T, url, version string) Agent {
	t.Helper()
	a := &goAgent{updates: make(chan string, 64)}
	c := mcp.NewClient(&mcp.Implementation{Name: "go-sdk", Version: "1"}, &mcp.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) { offer(a.updates, r.Params.URI) },
	})
	var err error
	a.session, err = c.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: url}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = a.session.Close() })
	return a
}

func offer(c chan string, uri string) {
	select {
	case c <- uri:
	default:
	}
}

func (a *goAgent) Version() string        { return a.session.InitializeResult().ProtocolVersion }
func (a *goAgent) Updates() <-chan string { return a.updates }

func (a *goAgent) Session(context.Context) (string, error) { return a.session.ID(), nil }

func (a *goAgent) Subscribe(ctx context.Context, uri string) error {
	return a.session.Subscribe(ctx, &mcp.SubscribeParams{URI: uri})
}

func (a *goAgent) Call(ctx context.Context, tool string, args map[string]any) (string, error) {
	if args == nil {
		args = map[string]any{} // server-everything refuses the null that go-sdk sends for none
	}
	res, err := a.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		f := &Failure{Name: fmt.Sprintf("%T", err), Message: err.Error()}
		if je := (*jsonrpc.Error)(nil); errors.As(err, &je) {
			f.Code = int(je.Code)
		}
		return "", f
	}
	text := ""
	for _, c := range res.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			text += t.Text
		}
	}
	if res.IsError {
		return "", &Failure{Name: "tool error", Message: text}
	}
	return text, nil
}

// jsAgent is a Node process that runs one of the scripts beside this file.
type jsAgent struct {
	version string
	updates chan string
	stdin   io.Writer

	mu      sync.Mutex
	next    int
	waiting map[int]chan reply
}

// reply is any line of a script.
type reply struct {
	ID      int      `json:"id"`
	Event   string   `json:"event"`
	Version string   `json:"version"`
	Session string   `json:"session"`
	URI     string   `json:"uri"`
	Text    string   `json:"text"`
	IsError bool     `json:"isError"`
	Message string   `json:"message"`
	Error   *Failure `json:"error"`
}

func dialJS(t *testing.T, script, url string, args ...string) Agent {
	t.Helper()
	node, dir := scripts(t)
	cmd := exec.Command(node, append([]string{filepath.Join(dir, script), url}, args...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hello := make(chan reply, 1)
	a := &jsAgent{updates: make(chan string, 64), stdin: stdin, waiting: map[int]chan reply{0: hello}}
	ended := make(chan struct{})
	go func() { defer close(ended); a.read(t, stdout) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("%s said: %s", script, stderr.Bytes())
		}
	})
	select {
	case r := <-hello:
		if r.Event != "connected" {
			t.Fatalf("connect: %v", r.Error)
		}
		a.version = r.Version
	case <-ended:
		t.Fatalf("%s ended: %s", script, stderr.Bytes())
	case <-time.After(20 * time.Second):
		t.Fatalf("%s does not connect", script)
	}
	return a
}

// read hands out the script's lines until its output ends.
func (a *jsAgent) read(t *testing.T, stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r reply
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Errorf("line %q: %v", lines.Bytes(), err)
			return
		}
		switch r.Event {
		case "updated":
			offer(a.updates, r.URI)
		case "trouble", "closed":
			t.Logf("%s: %s", r.Event, r.Message)
		default:
			a.mu.Lock()
			if c := a.waiting[r.ID]; c != nil {
				c <- r
			}
			delete(a.waiting, r.ID)
			a.mu.Unlock()
		}
	}
}

func (a *jsAgent) Version() string        { return a.version }
func (a *jsAgent) Updates() <-chan string { return a.updates }

func (a *jsAgent) Session(ctx context.Context) (string, error) {
	r, err := a.do(ctx, map[string]any{"do": "session"})
	return r.Session, err
}

func (a *jsAgent) Subscribe(ctx context.Context, uri string) error {
	_, err := a.do(ctx, map[string]any{"do": "subscribe", "uri": uri})
	return err
}

func (a *jsAgent) Call(ctx context.Context, tool string, args map[string]any) (string, error) {
	r, err := a.do(ctx, map[string]any{"do": "call", "tool": tool, "args": args})
	if err == nil && r.IsError {
		return "", &Failure{Name: "tool error", Message: r.Text}
	}
	return r.Text, err
}

func (a *jsAgent) do(ctx context.Context, command map[string]any) (reply, error) {
	answer := make(chan reply, 1)
	a.mu.Lock()
	a.next++
	command["id"] = a.next
	a.waiting[a.next] = answer
	a.mu.Unlock()
	if err := json.NewEncoder(a.stdin).Encode(command); err != nil {
		return reply{}, err
	}
	select {
	case r := <-answer:
		if r.Error != nil {
			return r, r.Error
		}
		return r, nil
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
}

//go:embed *.mjs
var sources embed.FS

// scripts puts the scripts where their packages are found: module resolution starts at a script's folder.
func scripts(t *testing.T) (node, dir string) {
	t.Helper()
	node, modules := Packages(t)
	dir = t.TempDir()
	if err := os.CopyFS(dir, sources); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return node, dir
}

// Packages finds Node and the pinned npm packages. In CI they have to be there; elsewhere their absence is said.
func Packages(t *testing.T) (node, modules string) {
	t.Helper()
	dir, err := npm.Dir()
	if err == nil {
		node, err = npm.Bin("node")
	}
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("NOT TESTED, other people's peers are missing: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return node, filepath.Join(dir, "node_modules")
}
