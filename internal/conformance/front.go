package conformance

import (
	"context"
	"fmt"
	"io"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/gatewayproc"
)

// Front is what stands between the suite and the nodes.
type Front interface {
	URL() string
	// Requests is the number of requests it has counted.
	Requests(ctx context.Context) (int, error)
	// NodesUsed has the attempts on every node that had any, by id.
	NodesUsed(ctx context.Context) (map[string]int, error)
	// Stop ends it and returns how it ended.
	Stop() error
}

// StartFront starts a front for one run, with its files in dir.
type StartFront func(ctx context.Context, group *child.Group, dir string, nodes []string) (Front, error)

// Quorate returns the front that is a real gateway process.
func Quorate(binary string, log io.Writer) StartFront {
	return func(ctx context.Context, group *child.Group, dir string, nodes []string) (Front, error) {
		cfg := gatewayproc.Config{Binary: binary, Dir: dir, Log: log}
		for i, url := range nodes {
			cfg.Nodes = append(cfg.Nodes, gatewayproc.Node{ID: fmt.Sprintf("node-%d", i+1), URL: url})
		}
		g, err := gatewayproc.Start(ctx, group, cfg)
		if err != nil {
			return nil, err
		}
		return g, nil
	}
}
