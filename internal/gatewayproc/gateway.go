// Package gatewayproc runs the quorate binary as a process in front of given nodes and reads its admin
// listener, for the conformance run, the benches and the tests with other people's peers. It must not
// know what goes through the gateway.
package gatewayproc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/child"
)

const (
	// startTimeout bounds the time until the gateway serves and every node is verified.
	startTimeout = 20 * time.Second
	// maxAdmin bounds one answer of the admin listener, in bytes.
	maxAdmin = 16 << 20
)

// ErrNotReady is returned when the gateway serves but does not take every node.
var ErrNotReady = errors.New("gatewayproc: not every node is healthy")

// Node is one place of the pool.
type Node struct{ ID, URL string }

// Config describes one gateway process with one service, at /mcp.
type Config struct {
	Binary  string // the quorate binary
	Dir     string // the configuration file is written here, as NAME.yaml
	Name    string // of the gateway, default "gw-1"
	Region  string // default "local"
	Nodes   []Node // of its region, at least one
	Token   string // that the admin listener wants; "": none
	Service string // more YAML of the service, indented by four spaces; "" adds none
	Gateway string // more YAML of the gateway, not indented; "" adds none
	Env     []string
	Args    []string // more arguments of `serve`
	// Command is put before the binary, for example taskset with its arguments.
	Command []string
	Log     io.Writer // the gateway's log; nil drops it
}

// Gateway is one running `quorate serve`.
type Gateway struct {
	process       *child.Process
	listen, admin string
	token         string
	region        string
	nodes         int
	http          *http.Client
	killed        atomic.Bool
}

// Start starts a gateway and waits until it serves and has verified every node of its region.
func Start(ctx context.Context, group *child.Group, cfg Config) (*Gateway, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cfg.Name, cfg.Region = cmp.Or(cfg.Name, "gw-1"), cmp.Or(cfg.Region, "local")
	file, err := write(cfg)
	if err != nil {
		return nil, fmt.Errorf("gatewayproc: %w", err)
	}
	argv := append(append([]string{}, cfg.Command...), cfg.Binary, "serve", "--config", file)
	argv = append(argv, cfg.Args...)
	p, line, err := group.Start(ctx, child.Spec{
		Path: argv[0], Args: argv[1:], Env: cfg.Env, Ready: child.Stderr, ReadyMsg: "serving", Log: cfg.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("gatewayproc: %w", err)
	}
	var ready struct{ Listen, Admin string }
	if err := json.Unmarshal(line, &ready); err != nil {
		p.Kill()
		return nil, fmt.Errorf("gatewayproc: ready line %q: %w", line, err)
	}
	g := &Gateway{process: p, listen: ready.Listen, admin: ready.Admin, token: cfg.Token, region: cfg.Region, nodes: len(cfg.Nodes), http: &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true},
	}}
	if err := g.AwaitHealthy(ctx); err != nil {
		p.Kill()
		return nil, err
	}
	return g, nil
}

// URL is where agents connect.
func (g *Gateway) URL() string { return "http://" + g.listen + "/mcp" }

// PID is the gateway's process id.
func (g *Gateway) PID() int { return g.process.PID() }

// Done is closed when the process has ended.
func (g *Gateway) Done() <-chan struct{} { return g.process.Done() }

// Listen is the address that agents connect to, HOST:PORT.
func (g *Gateway) Listen() string { return g.listen }

// AdminURL is where operators connect.
func (g *Gateway) AdminURL() string { return "http://" + g.admin }

// Kill ends the gateway as a crash does, with SIGKILL, and waits until it is gone.
func (g *Gateway) Kill() {
	g.killed.Store(true)
	g.process.Kill()
}

// Killed reports whether Kill was called.
func (g *Gateway) Killed() bool { return g.killed.Load() }

// Stop ends the gateway as an orchestrator does, with SIGTERM, and returns how it ended.
func (g *Gateway) Stop() error { return g.process.Terminate(10 * time.Second) }

// AwaitHealthy waits until every node of the gateway's region is healthy, or ctx ends.
func (g *Gateway) AwaitHealthy(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last string
	for {
		healthy, said, err := g.healthy(ctx)
		if err == nil && healthy == g.nodes {
			return nil
		}
		if ctx.Err() == nil {
			last = fmt.Sprint(said, err)
		}
		select {
		case <-g.process.Done():
			return fmt.Errorf("gatewayproc: the gateway ended: %w", errors.Join(child.ErrEnded, g.process.Err()))
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", ErrNotReady, last)
		case <-tick.C:
		}
	}
}

func (g *Gateway) healthy(ctx context.Context) (healthy int, said string, err error) {
	status, err := g.Status(ctx)
	if err != nil {
		return 0, "", err
	}
	for _, s := range status.Services {
		for _, n := range s.Nodes {
			if n.Region != g.region {
				continue
			}
			said += n.ID + "=" + n.State + " "
			if n.State == "healthy" {
				healthy++
			}
		}
	}
	return healthy, said, nil
}

// Status reads /v1/status.
func (g *Gateway) Status(ctx context.Context) (s admin.Status, err error) {
	err = g.read(ctx, "/v1/status", &s)
	return s, err
}

// Regions reads /v1/regions.
func (g *Gateway) Regions(ctx context.Context) (r admin.Regions, err error) {
	err = g.read(ctx, "/v1/regions", &r)
	return r, err
}

func (g *Gateway) read(ctx context.Context, path string, into any) error {
	body, err := g.Admin(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("gatewayproc: %s: %w", path, err)
	}
	return nil
}

// Admin reads one path of the admin listener.
func (g *Gateway) Admin(ctx context.Context, path string) ([]byte, error) {
	status, body, err := g.ask(ctx, path)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("gatewayproc: %s: %d %s: %.200s", path, status, http.StatusText(status), body)
	}
	if err != nil {
		return nil, err
	}
	return body, nil
}

// ask reads one path of the admin listener, whatever status it answers with.
func (g *Gateway) ask(ctx context.Context, path string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.admin+path, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("gatewayproc: %s: %w", path, err)
	}
	if g.token != "" {
		req.Header.Set("Authorization", "Bearer "+g.token)
	}
	resp, err := g.http.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("gatewayproc: %s: %w", path, err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAdmin))
	if err != nil {
		return 0, nil, fmt.Errorf("gatewayproc: %s: %w", path, err)
	}
	return resp.StatusCode, body, nil
}
