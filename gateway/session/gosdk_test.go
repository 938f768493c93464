package session_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// node is a stateful go-sdk server. Its tools "hold" a call until the test lets go.
type node struct {
	name    string
	server  *sdk.Server
	handler http.Handler
	held    chan string // names of the tools that hold now
	runs    atomic.Int64
	holding atomic.Bool

	mu     sync.Mutex
	free   chan struct{}
	closed bool

	requests sync.WaitGroup // under way

	life context.Context
	end  context.CancelFunc
}

func newNode(t *testing.T, name string, opts *sdk.StreamableHTTPOptions) *node {
	t.Helper()
	n := makeNode(name, opts)
	t.Cleanup(n.close)
	return n
}

func makeNode(name string, opts *sdk.StreamableHTTPOptions) *node {
	n := &node{name: name, held: make(chan string, 16), free: make(chan struct{})}
	n.life, n.end = context.WithCancel(context.Background())
	n.server = sdk.NewServer(&sdk.Implementation{Name: name, Version: "1"}, &sdk.ServerOptions{
		SubscribeHandler:   func(context.Context, *sdk.SubscribeRequest) error { return nil },
		UnsubscribeHandler: func(context.Context, *sdk.UnsubscribeRequest) error { return nil },
	})
	n.server.AddResource(&sdk.Resource{URI: "test://r", Name: "r"}, n.read)
	read := &sdk.ToolAnnotations{ReadOnlyHint: true}
	sdk.AddTool(n.server, &sdk.Tool{Name: "where", Annotations: read}, n.where)
	sdk.AddTool(n.server, &sdk.Tool{Name: "steps", Annotations: read}, n.steps)
	sdk.AddTool(n.server, &sdk.Tool{Name: "ask", Annotations: read}, n.ask)
	sdk.AddTool(n.server, &sdk.Tool{Name: "once"}, n.once)
	sdk.AddTool(n.server, &sdk.Tool{Name: "log", Annotations: read}, n.log)
	h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return n.server }, opts)
	n.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !n.enter() {
			panic(http.ErrAbortHandler)
		}
		defer n.requests.Done()
		h.ServeHTTP(w, r)
	})
	return n
}

// enter counts a request in that came before the end.
func (n *node) enter() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.requests.Add(1)
	}
	return !n.closed
}

func (n *node) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.requests.Wait() // go-sdk cannot close a session that is being opened
	n.forget()
	n.end()
}

// forget ends all sessions, as a restart does.
func (n *node) forget() {
	n.letGo()
	n.end()
	n.life, n.end = context.WithCancel(context.Background())
	for s := range n.server.Sessions() {
		_ = s.Close()
	}
}

func (n *node) letGo() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.holding.Store(false)
	close(n.free)
	n.free = make(chan struct{})
}

func (n *node) hold(ctx context.Context, tool string) {
	if !n.holding.Load() {
		return
	}
	n.mu.Lock()
	free := n.free
	n.mu.Unlock()
	n.held <- tool
	select {
	case <-free:
	case <-ctx.Done():
	}
}

func text(format string, args ...any) *sdk.CallToolResult {
	return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: fmt.Sprintf(format, args...)}}}
}

func (n *node) read(context.Context, *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
	return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: "test://r", Text: n.name}}}, nil
}

func (n *node) where(ctx context.Context, _ *sdk.CallToolRequest, _ any) (*sdk.CallToolResult, any, error) {
	n.hold(ctx, "where")
	return text("%s", n.name), nil, nil
}

func (n *node) once(ctx context.Context, _ *sdk.CallToolRequest, _ any) (*sdk.CallToolResult, any, error) {
	n.runs.Add(1)
	n.hold(ctx, "once")
	return text("%s", n.name), nil, nil
}

// steps reports three steps of progress and holds before the third.
func (n *node) steps(ctx context.Context, r *sdk.CallToolRequest, _ any) (*sdk.CallToolResult, any, error) {
	for i := 1; i <= 3; i++ {
		if i == 3 {
			n.hold(ctx, "steps")
		}
		err := r.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{
			ProgressToken: r.Params.GetProgressToken(), Progress: float64(i), Message: n.name})
		if err != nil {
			return nil, nil, err
		}
	}
	return text("%s", n.name), nil, nil
}

// ask asks the agent's user and holds behind the answer.
func (n *node) ask(ctx context.Context, r *sdk.CallToolRequest, _ any) (*sdk.CallToolResult, any, error) {
	asking, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(n.life, stop)() // go-sdk waits for its tools, and this one may wait for ever
	got, err := r.Session.Elicit(asking, &sdk.ElicitParams{Message: "which?"})
	if err != nil {
		return nil, nil, err
	}
	n.hold(ctx, "ask")
	return text("%s:%s", n.name, got.Action), nil, nil
}

func (n *node) log(ctx context.Context, r *sdk.CallToolRequest, _ any) (*sdk.CallToolResult, any, error) {
	for _, level := range []sdk.LoggingLevel{"debug", "error"} {
		if err := r.Session.Log(ctx, &sdk.LoggingMessageParams{Level: level, Data: n.name}); err != nil {
			return nil, nil, err
		}
	}
	return text("%s", n.name), nil, nil
}

// agent is a go-sdk client.
type agent struct {
	*sdk.ClientSession
	t        *testing.T
	progress chan *sdk.ProgressNotificationParams
	updated  chan string
	tools    chan struct{}
	logged   chan sdk.LoggingLevel
	asked    atomic.Int64
	answer   chan string // what the user says to an elicitation
}

func newAgent(t *testing.T, url string) *agent {
	t.Helper()
	a := &agent{t: t, progress: make(chan *sdk.ProgressNotificationParams, 64), updated: make(chan string, 64),
		tools: make(chan struct{}, 64), logged: make(chan sdk.LoggingLevel, 64), answer: make(chan string, 8)}
	client := sdk.NewClient(&sdk.Implementation{Name: "agent", Version: "1"}, &sdk.ClientOptions{
		ElicitationHandler: func(context.Context, *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
			a.asked.Add(1)
			return &sdk.ElicitResult{Action: <-a.answer}, nil
		},
		ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) { a.progress <- r.Params },
		ResourceUpdatedHandler:      func(_ context.Context, r *sdk.ResourceUpdatedNotificationRequest) { a.updated <- r.Params.URI },
		ToolListChangedHandler:      func(context.Context, *sdk.ToolListChangedRequest) { a.tools <- struct{}{} },
		LoggingMessageHandler:       func(_ context.Context, r *sdk.LoggingMessageRequest) { a.logged <- r.Params.Level },
	})
	transport := &sdk.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(transport.HTTPClient.CloseIdleConnections)
	s, err := client.Connect(t.Context(), transport, &sdk.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		t.Fatal(err)
	}
	a.ClientSession = s
	t.Cleanup(func() { _ = s.Close() })
	return a
}

type outcome struct {
	text string
	err  error
	took time.Duration
}

// call calls a tool in the background.
func (a *agent) call(tool string) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		began := time.Now()
		p := &sdk.CallToolParams{Name: tool}
		p.SetProgressToken("token-" + tool)
		r, err := a.CallTool(a.t.Context(), p)
		o := outcome{err: err, took: time.Since(began)}
		if err == nil {
			o.text = r.Content[0].(*sdk.TextContent).Text
		}
		out <- o
	}()
	return out
}

func (a *agent) must(tool, want string) {
	a.t.Helper()
	if o := soon(a.t, a.call(tool)); o.err != nil || o.text != want {
		a.t.Fatalf("%s: got %q, %v; want %q", tool, o.text, o.err, want)
	}
}

// soon receives from c within a time that only a hang exceeds.
func soon[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came within 10 s")
		panic("unreachable")
	}
}
