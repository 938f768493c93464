package mcpnode

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// settings are what sessions have set at this node, for tests that ask whether it moved with them. They are kept as
// long as the process lives.
type settings struct {
	mu sync.Mutex
	of map[*mcp.ServerSession]*setting
}

// setting is one session's.
type setting struct {
	level      string
	subscribed []string // in the order in which it came
}

func newSettings() *settings { return &settings{of: make(map[*mcp.ServerSession]*setting)} }

// change changes those of one session.
func (s *settings) change(session *mcp.ServerSession, f func(*setting)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[session] == nil {
		s.of[session] = new(setting)
	}
	f(s.of[session])
}

func (s *settings) subscribe(session *mcp.ServerSession, uri string) {
	s.change(session, func(x *setting) {
		if !slices.Contains(x.subscribed, uri) {
			x.subscribed = append(x.subscribed, uri)
		}
	})
}

func (s *settings) unsubscribe(session *mcp.ServerSession, uri string) {
	s.change(session, func(x *setting) {
		x.subscribed = slices.DeleteFunc(x.subscribed, func(o string) bool { return o == uri })
	})
}

// levels notes the log levels that sessions set.
func (s *settings) levels(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		res, err := next(ctx, method, req)
		p, level := req.GetParams().(*mcp.SetLoggingLevelParams)
		if session, ok := req.GetSession().(*mcp.ServerSession); level && ok && err == nil {
			s.change(session, func(x *setting) { x.level = string(p.Level) })
		}
		return res, err
	}
}

// tell answers the tool settings.
func (s *settings) tell(_ context.Context, req *mcp.CallToolRequest, _ Args) (text string, err error) {
	s.change(req.Session, func(x *setting) {
		text = fmt.Sprintf("level=%s subscribed=%s", x.level, strings.Join(x.subscribed, ","))
	})
	return text, nil
}
