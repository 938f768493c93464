package discovery

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/poll"
)

// gateway is one running `quorate serve`.
type gateway struct {
	*child.Process
	t           *testing.T
	name        string
	url, admin  string // base URLs
	file        string
	began, up   time.Time // when the process was started, and when it said that it serves
	log         *logbook
	adminClient *http.Client
}

// logbook keeps the end of a gateway's log, and counts what a test waits for.
type logbook struct {
	child.Tail
	reloads atomic.Int64
}

// Write implements io.Writer; it is called with one line at a time.
func (l *logbook) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("configuration reloaded")) {
		l.reloads.Add(1)
	}
	return l.Tail.Write(p)
}

// base begins every configuration; ports are the kernel's choice.
func base(name, region string) string {
	return fmt.Sprintf("name: %s\nregion: %s\nlisten: {address: \"127.0.0.1:0\"}\nadmin: {address: \"127.0.0.1:0\"}\n", name, region)
}

func group(t *testing.T) *child.Group {
	t.Helper()
	g := child.NewGroup()
	t.Cleanup(g.Close)
	return g
}

// serve starts a gateway with a configuration in a file of its own.
func serve(t *testing.T, g *child.Group, text string) *gateway {
	t.Helper()
	return serveFile(t, g, filepath.Join(t.TempDir(), "quorate.yaml"), text)
}

func serveFile(t *testing.T, g *child.Group, file, text string) *gateway {
	t.Helper()
	write(t, file, text)
	gw := &gateway{t: t, file: file, log: new(logbook), began: time.Now(), adminClient: &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second,
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p, line, err := g.Start(ctx, child.Spec{
		Path: binary, Args: []string{"serve", "--config", file}, Ready: child.Stderr, ReadyMsg: "serving", Log: gw.log,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, gw.log)
	}
	gw.up = time.Now()
	var ready struct{ Listen, Admin string }
	if err := json.Unmarshal(line, &ready); err != nil {
		t.Fatalf("ready line %q: %v", line, err)
	}
	gw.Process, gw.url, gw.admin = p, "http://"+ready.Listen, "http://"+ready.Admin
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("last output of the gateway:\n%s", gw.log)
		}
	})
	return gw
}

// reload has the gateway take over another configuration.
func (g *gateway) reload(text string) {
	g.t.Helper()
	write(g.t, g.file, text)
	before := g.log.reloads.Load()
	if err := g.Signal(syscall.SIGHUP); err != nil {
		g.t.Fatal(err)
	}
	await(g.t, "the new configuration is in force", func() bool { return g.log.reloads.Load() > before })
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// read reads a path of the admin listener.
func (g *gateway) read(path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(context.WithoutCancel(g.t.Context()), http.MethodGet, g.admin+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := g.adminClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", path, resp.Status, body)
	}
	return body, err
}

// status is empty while the gateway does not answer.
func (g *gateway) status() (s admin.Status) {
	body, err := g.read("/v1/status")
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	if err != nil {
		g.t.Logf("status: %v", err)
	}
	return s
}

// service is one service's part of the status.
func (g *gateway) service(name string) admin.Service {
	for _, s := range g.status().Services {
		if s.Name == name {
			return s
		}
	}
	return admin.Service{}
}

// nodes are the ids of a service's nodes, by state; the state "" is all.
func (g *gateway) nodes(service, state string) (ids []string) {
	for _, n := range g.service(service).Nodes {
		if state == "" || n.State == state {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// source is how one source of a service is.
func (g *gateway) source(service, name string) admin.Source {
	for _, s := range g.service(service).Sources {
		if s.Name == name {
			return s
		}
	}
	return admin.Source{}
}

// samples are the values of a metric, by its labels as written.
func (g *gateway) samples(name string) map[string]float64 {
	body, err := g.read("/metrics")
	if err != nil {
		g.t.Logf("metrics: %v", err)
		return nil
	}
	found := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		at := strings.LastIndexByte(rest, ' ')
		v, err := strconv.ParseFloat(rest[at+1:], 64)
		if err != nil {
			g.t.Errorf("metrics: line %q", lines.Text())
			continue
		}
		found[strings.Trim(rest[:at], "{}")] = v
	}
	return found
}

// metric adds the samples of a metric that have all the labels, such as `node="a"`; -1 if there is none.
func (g *gateway) metric(name string, labels ...string) float64 {
	return sum(g.samples(name), labels...)
}

func sum(samples map[string]float64, labels ...string) float64 {
	total, any := 0.0, false
next:
	for has, v := range samples {
		for _, l := range labels {
			if !strings.Contains(has, l) {
				continue next
			}
		}
		total, any = total+v, true
	}
	if !any {
		return -1
	}
	return total
}

func label(name, value string) string { return name + `="` + value + `"` }

// stale is what the metric says of a source: 1, 0, or -1 for a source that is none.
func (g *gateway) stale(service, source string) float64 {
	return g.metric("quorate_discovery_stale", label("service", service), label("source", source))
}

// await polls until f holds; what it waits for happens in other processes.
func await(t *testing.T, what string, f func() bool) time.Duration {
	t.Helper()
	return poll.True(t, 20*time.Millisecond, time.Minute, what, f)
}

// pause lets other processes go on for a while.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
