package conformance

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/quorate/quorate/internal/child"
)

// Backend is the import path of the reference node.
const Backend = "github.com/modelcontextprotocol/go-sdk/conformance/everything-server"

// startTimeout bounds the time until a node listens.
const startTimeout = 10 * time.Second

// startNode starts one everything-server and waits until it listens. It prints no port, so one is
// chosen for it; when another process is faster, the next try takes another.
func startNode(ctx context.Context, group *child.Group, binary string, stateless bool, log io.Writer) (*child.Process, string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var err error
	for range 3 {
		var address string
		if address, err = freeAddress(); err != nil {
			return nil, "", err
		}
		var p *child.Process
		p, _, err = group.Start(ctx, child.Spec{
			Path: binary, Args: []string{"-http", address, "-stateless=" + strconv.FormatBool(stateless)}, Log: log,
		})
		if err != nil {
			break
		}
		if err = p.Accepts(ctx, address); err == nil {
			return p, "http://" + address + "/mcp", nil
		}
		p.Kill()
	}
	return nil, "", fmt.Errorf("conformance: everything-server: %w", err)
}

func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("conformance: %w", err)
	}
	return ln.Addr().String(), ln.Close()
}
