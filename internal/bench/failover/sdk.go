package failover

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/internal/mcpagent"
	"github.com/quorate/quorate/internal/mcpnode"
)

// sdkAgent is a go-sdk client with a subscription. In the modern era it finds its protocol by the
// client's own discover probe; in the legacy era it is pinned to a version.
type sdkAgent struct {
	url     string
	legacy  bool
	http    *http.Client
	session *mcp.ClientSession
	ended   chan struct{} // closed when session has ended
	again   atomic.Int64  // Unix nanoseconds when its subscription has to be made again; 0: not
	updates atomic.Int64
	last    atomic.Int64  // unix nanoseconds of the last update
	silent  time.Duration // since the last update, when the agent ended
}

func newSDKAgent(url string, legacy bool, t *tally) *sdkAgent {
	return &sdkAgent{url: url, legacy: legacy, http: &http.Client{Transport: counted{&http.Transport{MaxIdleConnsPerHost: 4}, t}}}
}

func (s *sdkAgent) leave() { s.http.CloseIdleConnections() }

func (s *sdkAgent) close() {
	s.silent = time.Since(time.Unix(0, s.last.Load()))
	if s.session != nil {
		_ = s.session.Close()
		<-s.ended
	}
	s.http.CloseIdleConnections()
}

// open connects and subscribes.
func (s *sdkAgent) open(ctx context.Context) error {
	client := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, &mcp.ClientOptions{
		ResourceUpdatedHandler: func(context.Context, *mcp.ResourceUpdatedNotificationRequest) {
			s.updates.Add(1)
			s.last.Store(time.Now().UnixNano())
		},
	})
	opts := &mcp.ClientSessionOptions{}
	if s.legacy {
		opts.ProtocolVersion = mcpagent.VersionLegacy
	}
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: s.url, HTTPClient: s.http}, opts)
	if err != nil {
		return sdkError(err, false)
	}
	if !s.legacy && session.InitializeResult().ProtocolVersion != mcpagent.VersionModern {
		_ = session.Close()
		return &mcpagent.CallError{Err: errors.New("modern agent was taken for a legacy one: " + session.InitializeResult().ProtocolVersion)}
	}
	if err := session.Subscribe(ctx, &mcp.SubscribeParams{URI: mcpnode.UpdatesURI}); err != nil {
		_ = session.Close()
		return sdkError(err, false)
	}
	s.session, s.ended = session, make(chan struct{})
	go func() { defer close(s.ended); _ = session.Wait() }()
	return nil
}

func (s *sdkAgent) call(ctx context.Context, tool string, a mcpnode.Args) error {
	if s.session == nil {
		if err := s.open(ctx); err != nil {
			return err
		}
	}
	if at := s.again.Load(); at != 0 && time.Now().UnixNano() > at && s.resubscribe(ctx) == nil {
		s.again.Store(0)
	}
	res, err := s.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: a})
	switch {
	case err == nil && res.IsError:
		return &mcpagent.CallError{Code: 1, Err: errors.New("tool failed")}
	case err == nil:
		return nil
	}
	dead := s.isDead(err)
	if dead {
		_ = s.session.Close()
		<-s.ended
		s.session = nil
	}
	return sdkError(err, dead)
}

// resubscribe makes the subscription anew. In the modern era it is a stream, which go-sdk does not open again.
func (s *sdkAgent) resubscribe(ctx context.Context) error {
	_ = s.session.Unsubscribe(ctx, &mcp.UnsubscribeParams{URI: mcpnode.UpdatesURI}) // there may be none any more
	return s.session.Subscribe(ctx, &mcp.SubscribeParams{URI: mcpnode.UpdatesURI})
}

// isDead reports whether the client gave its session up because of err. An error of the protocol
// never ends a session; after another one the client may take a moment to close.
func (s *sdkAgent) isDead(err error) bool {
	var rpc *jsonrpc.Error
	if errors.As(err, &rpc) && !errors.Is(err, mcp.ErrConnectionClosed) {
		return false
	}
	select {
	case <-s.ended:
		return true
	case <-time.After(100 * time.Millisecond):
		return false
	}
}

// codeRejected is go-sdk's own error for a 429 or 5xx answer; it drops the answer's body, so that the
// server's code and message are lost and only the status' text remains.
const codeRejected = -32005

func sdkError(err error, dead bool) *mcpagent.CallError {
	e := &mcpagent.CallError{Err: err, SessionLost: dead}
	var rpc *jsonrpc.Error
	if !errors.As(err, &rpc) {
		return e
	}
	if e.Code = int(rpc.Code); e.Code != codeRejected {
		return e
	}
	e.Code, e.Status = 0, http.StatusBadGateway
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
		if strings.HasSuffix(err.Error(), http.StatusText(status)) {
			e.Status = status
		}
	}
	return e
}
