package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/gatewayproc"
)

// Names of the systems, in the order of the report.
const (
	Quorate      = "quorate"
	ReverseProxy = "reverseproxy"
	HAProxy      = "haproxy"
)

// ServingMsg is the "msg" of the line on stdout with which the bench's own servers say where they serve.
const ServingMsg = "serving"

// startTimeout bounds the start of one process.
const startTimeout = 15 * time.Second

// system is one proxy process.
type system struct {
	name    string
	pid     int
	address string
	gateway *gatewayproc.Gateway // Quorate only
}

// Announce writes the line that the bench waits for.
func Announce(w io.Writer, addr net.Addr) error {
	_, err := fmt.Fprintf(w, "{\"msg\":%q,\"address\":%q}\n", ServingMsg, addr)
	return err
}

// pinned returns the command that runs argv on some cores only.
func pinned(cpus string, argv ...string) (path string, args []string) {
	return "taskset", append([]string{"--cpu-list", cpus}, argv...)
}

// own starts one of the bench's own servers.
func (r *run) own(ctx context.Context, cpus string, args ...string) (*child.Process, string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	path, argv := pinned(cpus, append([]string{r.cfg.Self}, args...)...)
	p, line, err := r.group.Start(ctx, child.Spec{Path: path, Args: argv, Ready: child.Stdout, ReadyMsg: ServingMsg, Log: r.cfg.Log})
	if err != nil {
		return nil, "", err
	}
	var ready struct {
		Address string `json:"address"`
	}
	if err := json.Unmarshal(line, &ready); err != nil {
		return nil, "", fmt.Errorf("proxy: %s: ready line: %w", args[0], err)
	}
	return p, ready.Address, nil
}

func (r *run) startUpstream(ctx context.Context) (err error) {
	_, r.upstream, err = r.own(ctx, r.cfg.OtherCPUs, "upstream")
	return err
}

func (r *run) startReverseProxy(ctx context.Context) (*system, error) {
	p, address, err := r.own(ctx, r.cfg.ProxyCPUs, "reverseproxy",
		"--upstream", "http://"+r.upstream, "--connections", strconv.Itoa(r.cfg.Connections))
	if err != nil {
		return nil, err
	}
	return &system{name: ReverseProxy, pid: p.PID(), address: address}, nil
}

func (r *run) startQuorate(ctx context.Context, name string, args ...string) (*system, error) {
	dir := filepath.Join(r.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	path, argv := pinned(r.cfg.ProxyCPUs)
	g, err := gatewayproc.Start(ctx, r.group, gatewayproc.Config{
		Binary: r.cfg.Quorate, Dir: dir, Log: r.cfg.Log, Args: args,
		Nodes: []gatewayproc.Node{{ID: "upstream", URL: "http://" + r.upstream + Path}},
		// As an operator would run it under load: metrics, which are always on, and no line per event.
		Gateway: "log: {level: warn}\n",
		// All connections at once before anything is known of the node: who expects that says so.
		Service: fmt.Sprintf("    limits: {min: %d}\n", 2*r.cfg.Connections),
		Command: append([]string{path}, argv...),
	})
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(g.URL())
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return &system{name: Quorate, pid: g.PID(), address: u.Host, gateway: g}, nil
}

// haproxyConfig is HAProxy for the same work: one thread per core it may use, keep-alive on both
// sides, connections to the upstream shared, no log.
const haproxyConfig = `global
  nbthread %d
  maxconn 4096
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend agents
  bind %s
  default_backend nodes
backend nodes
  server upstream %s
`

// startHAProxy starts HAProxy in the foreground, one process without a master.
func (r *run) startHAProxy(ctx context.Context) (*system, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: haproxy: %w", err)
	}
	address := ln.Addr().String() // HAProxy cannot say which port it was given
	_ = ln.Close()
	file := filepath.Join(r.dir, "haproxy.cfg")
	text := fmt.Sprintf(haproxyConfig, r.cfg.cores, address, r.upstream)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("proxy: haproxy: %w", err)
	}
	path, argv := pinned(r.cfg.ProxyCPUs, r.cfg.HAProxy, "-db", "-f", file)
	p, _, err := r.group.Start(ctx, child.Spec{Path: path, Args: argv, Log: r.cfg.Log})
	if err != nil {
		return nil, err
	}
	if err := p.Accepts(ctx, address); err != nil {
		return nil, fmt.Errorf("proxy: haproxy: %w", err)
	}
	return &system{name: HAProxy, pid: p.PID(), address: address}, nil
}
