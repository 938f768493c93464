// Package consulproc runs real Consul agents as processes for tests: one datacenter or several federated ones, on free
// loopback ports, which can be stopped, killed and started again with an empty catalog. It must not know what is
// registered in them, nor who asks.
package consulproc

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/quorate/quorate/internal/child"
)

const (
	// startTimeout bounds the time until an agent leads its datacenter.
	startTimeout = 30 * time.Second
	// tries is how often a start is tried, since a free port may be taken before the agent has it.
	tries = 3
	// poll is the pause between two questions whether an agent is ready.
	poll = 50 * time.Millisecond
)

// ErrNotReady is returned for an agent that runs but does not come to lead its datacenter.
var ErrNotReady = errors.New("consulproc: agent is not ready")

// Config describes one agent: a server, alone in its datacenter, with its state in memory.
type Config struct {
	Binary     string // from Binary
	Dir        string // the agent's configuration file is written here, as NODE.json
	Datacenter string // default "dc1"
	Node       string // default "server-" and the datacenter
	// JoinWAN are other agents to federate with, each another datacenter's.
	JoinWAN []*Agent
	// ManagementToken switches ACLs on, with a default of deny, and is the token that may do everything.
	ManagementToken string
	// CertFile, KeyFile and CAFile make the HTTP API speak TLS and nothing else; with CAFile it asks for a client's
	// certificate.
	CertFile, KeyFile, CAFile string
	// Options are more settings of the agent's configuration file, over those that this package writes.
	Options map[string]any
	Log     io.Writer // the agent's log; nil drops it
}

// Agent is one running `consul agent`. Its methods must not be called concurrently.
type Agent struct {
	cfg     Config
	group   *child.Group
	process *child.Process
	ports   ports
	http    *http.Client
}

// Start starts an agent and waits until it leads its datacenter and has itself in the catalog.
func Start(ctx context.Context, group *child.Group, cfg Config) (*Agent, error) {
	cfg.Datacenter = cmp.Or(cfg.Datacenter, "dc1")
	cfg.Node = cmp.Or(cfg.Node, "server-"+cfg.Datacenter)
	a := &Agent{cfg: cfg, group: group, http: client(cfg)}
	var err error
	for range tries {
		if a.ports, err = freePorts(); err != nil {
			return nil, err
		}
		if err = a.start(ctx); err == nil || !errors.Is(err, child.ErrEnded) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// client reaches one agent for its readiness, whoever issued its certificate.
func client(cfg Config) *http.Client {
	t := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	if pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile); err == nil {
		t.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Transport: t, Timeout: 2 * time.Second}
}

func (a *Agent) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	file := filepath.Join(a.cfg.Dir, a.cfg.Node+".json")
	document, err := json.MarshalIndent(a.document(), "", "  ")
	if err != nil {
		return fmt.Errorf("consulproc: start: %w", err)
	}
	if err := os.WriteFile(file, document, 0o600); err != nil {
		return fmt.Errorf("consulproc: start: %w", err)
	}
	tail := &child.Tail{}
	log := io.Writer(tail)
	if a.cfg.Log != nil {
		log = io.MultiWriter(tail, a.cfg.Log)
	}
	a.process, _, err = a.group.Start(ctx, child.Spec{
		Path: a.cfg.Binary, Args: []string{"agent", "-dev", "-config-file", file}, Log: log,
		// What the environment says of another Consul is not meant for this one.
		Env: []string{"CONSUL_HTTP_ADDR=", "CONSUL_HTTP_TOKEN="},
	})
	if err != nil {
		return fmt.Errorf("consulproc: start: %w", err)
	}
	if err := a.AwaitReady(ctx); err != nil {
		a.process.Kill()
		return fmt.Errorf("%w\n%s", err, tail)
	}
	return nil
}

// AwaitReady waits until the agent leads, knows every datacenter it federates with and has itself in the catalog.
func (a *Agent) AwaitReady(ctx context.Context) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := a.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-a.process.Done():
			return fmt.Errorf("%w: %w: %w", ErrNotReady, child.ErrEnded, a.process.Err())
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNotReady, err)
		case <-tick.C:
		}
	}
}

func (a *Agent) ready(ctx context.Context) error {
	var leader string
	if err := a.get(ctx, "/v1/status/leader", &leader); err != nil || leader == "" {
		return fmt.Errorf("leader %q: %w", leader, err)
	}
	datacenters := []string{a.cfg.Datacenter}
	for _, other := range a.cfg.JoinWAN {
		datacenters = append(datacenters, other.cfg.Datacenter)
	}
	for _, dc := range datacenters {
		var nodes []struct{ Node string }
		if err := a.get(ctx, "/v1/catalog/nodes?dc="+dc, &nodes); err != nil || len(nodes) == 0 {
			return fmt.Errorf("nodes of %s: %d: %w", dc, len(nodes), err)
		}
	}
	return nil
}

func (a *Agent) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL()+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Consul-Token", a.cfg.ManagementToken)
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %.200s", path, resp.Status, bytes.TrimSpace(body))
	}
	return json.Unmarshal(body, into)
}

// URL is the address of the agent's HTTP API, https with a CertFile.
func (a *Agent) URL() string {
	scheme := "http"
	if a.cfg.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(a.ports.http))
}

// Datacenter is the one that the agent leads.
func (a *Agent) Datacenter() string { return a.cfg.Datacenter }

// Node is the agent's own name in the catalog.
func (a *Agent) Node() string { return a.cfg.Node }

// Pause stops the process (SIGSTOP): its ports accept and nothing answers. Resume lets it go on.
func (a *Agent) Pause() error { return a.process.Pause() }

// Resume lets a paused process go on (SIGCONT).
func (a *Agent) Resume() error { return a.process.Signal(syscall.SIGCONT) }

// Kill ends the process at once (SIGKILL); its ports refuse.
func (a *Agent) Kill() { a.process.Kill() }

// Restart kills the process if it still runs and starts it on the same ports. What was registered is gone, since its
// state was in memory.
func (a *Agent) Restart(ctx context.Context) error {
	a.process.Kill()
	return a.start(ctx)
}
