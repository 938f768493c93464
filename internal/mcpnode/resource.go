package mcpnode

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// newServer builds the one go-sdk server behind both handlers, so that a change reaches the
// subscribers of either era.
func (n *node) newServer() *mcp.Server {
	accept := func(uri string) error {
		if uri != UpdatesURI && !strings.HasPrefix(uri, UpdatesURI+"/") {
			return mcp.ResourceNotFoundError(uri)
		}
		return nil
	}
	s := mcp.NewServer(&mcp.Implementation{Name: "quorate-demo", Version: "1"}, &mcp.ServerOptions{
		Logger: n.cfg.Logger,
		SubscribeHandler: func(_ context.Context, r *mcp.SubscribeRequest) error {
			if err := accept(r.Params.URI); err != nil {
				return err
			}
			n.settings.subscribe(r.Session, r.Params.URI)
			return nil
		},
		UnsubscribeHandler: func(_ context.Context, r *mcp.UnsubscribeRequest) error {
			if err := accept(r.Params.URI); err != nil {
				return err
			}
			n.settings.unsubscribe(r.Session, r.Params.URI)
			return nil
		},
	})
	s.AddReceivingMiddleware(n.settings.levels)
	n.addTools(s)
	s.AddResource(&mcp.Resource{URI: UpdatesURI, Name: "updates", MIMEType: "text/plain"}, n.read)
	return s
}

func (n *node) read(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	text := fmt.Sprintf("%d changes on %s/%d", n.changes.Load(), n.cfg.Name, n.pid)
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{
		{URI: req.Params.URI, MIMEType: "text/plain", Text: text},
	}}, nil
}

// change counts a change and tells the subscribers. A subscriber whose stream just broke must not
// fail the change for the others.
func (n *node) change(ctx context.Context) int64 {
	count := n.changes.Add(1)
	if err := n.server.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: UpdatesURI}); err != nil {
		n.cfg.Logger.Warn("resource update not delivered", "err", err)
	}
	return count
}

// update changes the resource on the configured interval until ctx ends.
func (n *node) update(ctx context.Context) {
	if n.cfg.Updates <= 0 {
		return
	}
	t := time.NewTicker(n.cfg.Updates)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			n.change(ctx)
		case <-ctx.Done():
			return
		}
	}
}
