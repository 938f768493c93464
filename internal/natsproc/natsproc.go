// Package natsproc runs NATS servers with JetStream as processes, for tests, benchmarks and examples. It links nothing
// of NATS, and must not know what is kept in it.
package natsproc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/child"
)

// Packages that Build builds, in the module below jetstream/.
const (
	serverPackage = "github.com/nats-io/nats-server/v2"
	pluginPackage = "./cmd/quorate-jetstream"
)

// Binaries are the programs of that module.
type Binaries struct{ Server, Plugin string }

// Build builds them into dir; module is the folder of the module jetstream.
func Build(ctx context.Context, module, dir string) (Binaries, error) {
	b := Binaries{Server: filepath.Join(dir, "nats-server"), Plugin: filepath.Join(dir, "quorate-jetstream")}
	for out, pkg := range map[string]string{b.Server: serverPackage, b.Plugin: pluginPackage} {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", out, pkg)
		cmd.Dir = module
		if said, err := cmd.CombinedOutput(); err != nil {
			return Binaries{}, fmt.Errorf("natsproc: build %s: %w\n%s", pkg, err, said)
		}
	}
	return b, nil
}

// Place is where a server runs and listens.
type Place struct {
	Name                        string
	Client, Cluster, Monitoring string // HOST:PORT
	Region                      string // a tag; "": none
	Group                       *child.Group
	// Dial connects to Monitoring; nil: from this process's own network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Config of a cluster.
type Config struct {
	Binary string // of nats-server
	Dir    string
	Places []Place
	Sync   string    // sync_interval; "": always
	Log    io.Writer // what the servers say; nil: nothing
}

// Cluster is servers of one JetStream cluster.
type Cluster struct {
	cfg     Config
	Servers []*Server
}

// Server is one of them, alive or not.
type Server struct {
	Place
	file    string
	cfg     *Config
	process *child.Process
}

// Start starts all servers, and returns when they are a cluster (see [Cluster.Await]).
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	if cfg.Sync == "" {
		cfg.Sync = "always"
	}
	c := &Cluster{cfg: cfg}
	for _, p := range cfg.Places {
		s := &Server{Place: p, file: filepath.Join(cfg.Dir, p.Name+".conf"), cfg: &c.cfg}
		if err := os.WriteFile(s.file, []byte(s.document()), 0o600); err != nil {
			return nil, fmt.Errorf("natsproc: %w", err)
		}
		c.Servers = append(c.Servers, s)
	}
	for _, s := range c.Servers {
		if err := s.Start(ctx); err != nil {
			return nil, err
		}
	}
	err := c.Await(ctx)
	return c, err
}

// document is a server's configuration.
func (s *Server) document() string {
	var b strings.Builder
	fmt.Fprintf(&b, "server_name: %s\nlisten: %q\nhttp: %q\nmax_payload: 4MB\n", s.Name, s.Client, s.Monitoring)
	fmt.Fprintf(&b, "jetstream {store_dir: %q, sync_interval: %s}\n", filepath.Join(s.cfg.Dir, s.Name), s.cfg.Sync)
	if s.Region != "" {
		fmt.Fprintf(&b, "server_tags: [\"region:%s\"]\n", s.Region)
	}
	var routes []string
	for _, o := range s.cfg.Places {
		if o.Name != s.Name {
			routes = append(routes, fmt.Sprintf("%q", "nats://"+o.Cluster))
		}
	}
	if len(routes) > 0 {
		fmt.Fprintf(&b, "cluster {name: quorate, listen: %q, pool_size: %d, routes: [%s]}\n", s.Cluster, pool, strings.Join(routes, ", "))
	}
	return b.String()
}

// Start begins a life of the server.
func (s *Server) Start(ctx context.Context) error {
	process, _, err := s.Group.Start(ctx, child.Spec{Path: s.cfg.Binary, Args: []string{"-c", s.file}, Log: s.cfg.Log})
	if err != nil {
		return fmt.Errorf("natsproc: %s: %w", s.Name, err)
	}
	s.process = process
	return nil
}

// Kill ends the server with SIGKILL and waits until it is gone.
func (s *Server) Kill() { s.process.Kill(); <-s.process.Done() }

// Stop ends the server with SIGTERM, as for maintenance, and waits until it is gone; it has to go within half a minute.
func (s *Server) Stop() { _ = s.process.Terminate(30 * time.Second) }

// URLs are those of all servers, for clients.
func (c *Cluster) URLs() []string { return urls(c.Servers) }

func urls(servers []*Server) (all []string) {
	for _, s := range servers {
		all = append(all, "nats://"+s.Client)
	}
	return all
}

// Settings are those of the strategy, as JSON, which is YAML too: every server keeps the bucket.
func (c *Cluster) Settings(bucket string) string { return encoded(c.settings(bucket, c.Servers)) }

// Mirrored are settings by which the servers of one region keep the bucket, and those of another, near its gateways, a
// mirror of it; near "": there is none.
func (c *Cluster) Mirrored(bucket, home, near string) string {
	var keep, hint []*Server
	for _, s := range c.Servers {
		switch s.Region {
		case home:
			keep = append(keep, s)
		case near:
			hint = append(hint, s)
		}
	}
	all := c.settings(bucket, keep)
	all["home"] = home
	if near != "" {
		all["mirrors"], all["near"] = []string{near}, map[string][]string{near: urls(hint)}
	}
	return encoded(all)
}

func (c *Cluster) settings(bucket string, keep []*Server) map[string]any {
	var monitoring []string
	for _, s := range c.Servers {
		monitoring = append(monitoring, "http://"+s.Monitoring)
	}
	return map[string]any{"urls": urls(keep), "bucket": bucket, "replicas": len(keep), "monitoring": monitoring}
}

func encoded(settings map[string]any) string {
	text, err := json.Marshal(settings)
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return string(text)
}
