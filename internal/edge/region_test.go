package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/telemetry"
)

// world is a fleet of edges in one process, with real sockets and certificates between them.
type world struct {
	dir   string
	peers map[string]string // peer address by region
	urls  map[string]string // node URL by region, "" for none
	edges map[string]*Edge
	more  func(region string) string // of a region's file
	dirs  map[string]string          // data_dir by region
}

func newWorld(t *testing.T, urls map[string]string) *world {
	t.Helper()
	return newWorldWith(t, urls, func(string) string { return "" })
}

func newWorldWith(t *testing.T, urls map[string]string, more func(region string) string) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), peers: map[string]string{}, urls: urls, edges: map[string]*Edge{}, more: more, dirs: map[string]string{}}
	if err := ca.Init(w.dir, ca.Options{}); err != nil {
		t.Fatal(err)
	}
	for region := range urls {
		if _, err := ca.Issue(w.dir, region, "gw-"+region, ca.Options{}); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		w.peers[region] = l.Addr().String()
		_ = l.Close()
	}
	for region := range urls {
		w.start(t, region)
	}
	return w
}

func (w *world) start(t *testing.T, region string) {
	t.Helper()
	nodes := ""
	if w.urls[region] != "" {
		nodes = fmt.Sprintf("{id: %s-1, url: %q}", region, w.urls[region])
	}
	others := ""
	for name, address := range w.peers {
		if name != region {
			others += fmt.Sprintf("  %s: {gateways: [%q], rtt: 20ms}\n", name, address)
		}
	}
	if w.dirs[region] == "" || w.more(region) == "" {
		w.dirs[region] = t.TempDir()
	}
	text := fmt.Sprintf(`name: gw-%[1]s
region: %[1]s
data_dir: %[2]s
listen: {address: "127.0.0.1:0"}
admin: {address: "127.0.0.1:0"}
shutdown: {drain: 1s}
peer: {address: %[3]q, ca_file: %[4]s/ca.crt, cert_file: %[4]s/%[1]s-gw-%[1]s.crt, key_file: %[4]s/%[1]s-gw-%[1]s.key}
regions:
%[5]sfailover: {interval: 1s, failures: 2, hold_down: 2s, ramp: 1s}
services:
  - name: tools
    path: /mcp
    checks: {interval: 1s, failures: 1, successes: 1}
    discover: [{static: {nodes: [%[6]s]}}]
`, region, w.dirs[region], w.peers[region], w.dir, others, nodes) + w.more(region)
	cfg := written(t, filepath.Join(t.TempDir(), "quorate.yaml"), text)
	log := io.Discard
	if testing.Verbose() {
		log = os.Stderr
	}
	w.edges[region] = startWith(t, cfg, Options{Logger: slog.New(slog.NewTextHandler(log, nil)).With("at", region)})
}

// ask calls the tool at a region's edge and returns who answered.
func (w *world) ask(t *testing.T, region string) (from string, body string) {
	t.Helper()
	got := chargeAt(t, "http://"+w.edges[region].ListenAddr()+"/mcp")
	return got.header.Get("Quorate-Region"), got.body
}

// chargeAt calls the tool charge at a URL.
func chargeAt(t *testing.T, url string) answer {
	t.Helper()
	return exchange(t, http.MethodPost, url, `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"charge","arguments":{},`+
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`,
		http.Header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {"charge"},
			"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}})
}

func (w *world) admin(t *testing.T, region, method, path, body string) (int, []byte) {
	t.Helper()
	got := exchange(t, method, "http://"+w.edges[region].AdminAddr()+path, body, http.Header{"Content-Type": {"application/json"}})
	return got.code, []byte(got.body)
}

// state returns a region's state and cause as the edge of another one sees it.
func (w *world) state(t *testing.T, at, region string) (state, cause string) {
	t.Helper()
	_, b := w.admin(t, at, http.MethodGet, "/v1/regions", "")
	var all struct {
		Regions []struct{ Name, State, Cause string } `json:"regions"`
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	for _, r := range all.Regions {
		if r.Name == region {
			return r.State, r.Cause
		}
	}
	t.Fatalf("no region %s in %s", region, b)
	return "", ""
}

func TestThreeRegions(t *testing.T) {
	_, b := newServer(t)
	_, c := newServer(t)
	w := newWorld(t, map[string]string{"a": "", "b": b, "c": c})
	await(t, "a is served by another region", func() bool {
		from, body := w.ask(t, "a")
		return (from == "b" || from == "c") && strings.Contains(body, `"result"`)
	})
	await(t, "links are up", func() bool {
		up := 0
		for _, l := range w.edges["a"].links.list() {
			if l.Up {
				up++
			}
		}
		return up >= 2
	})
	from, _ := w.ask(t, "b")
	if from != "b" {
		t.Errorf("b's agents are served by %q", from)
	}

	t.Run("an order reaches every gateway", func(t *testing.T) {
		if code, body := w.admin(t, "a", http.MethodPut, "/v1/regions/b/order", `{"state":"off","over":"0s"}`); code != http.StatusOK {
			t.Fatalf("%d %s", code, body)
		}
		await(t, "a sends nothing to b", func() bool { from, _ := w.ask(t, "a"); return from == "c" })
		await(t, "c knows", func() bool { state, _ := w.state(t, "c", "b"); return state == "off" })
		await(t, "b's own agents are served by c", func() bool { from, _ := w.ask(t, "b"); return from == "c" })
		if _, cause := w.state(t, "c", "b"); !strings.Contains(cause, "order") {
			t.Errorf("cause %q", cause)
		}
		if code, body := w.admin(t, "c", http.MethodPut, "/v1/regions/b/order", `{"state":"on"}`); code != http.StatusOK {
			t.Fatalf("%d %s", code, body)
		}
		await(t, "b serves its own again", func() bool { from, _ := w.ask(t, "b"); return from == "b" })
	})

	t.Run("bad orders", func(t *testing.T) {
		for _, tc := range []struct {
			path, body string
			code       int
		}{
			{"/v1/regions/moon/order", `{"state":"off"}`, 404},
			{"/v1/regions/b/order", `{"state":"gone"}`, 400},
			{"/v1/regions/b/order", `{"state":"draining","over":"300h"}`, 400},
			{"/v1/regions/b/order", `{"state":"off","why":"x"}`, 400},
			{"/v1/regions/b/order", `{`, 400},
		} {
			if code, body := w.admin(t, "a", http.MethodPut, tc.path, tc.body); code != tc.code || !bytes.Contains(body, []byte(`"error"`)) {
				t.Errorf("%s %s: %d %s", tc.path, tc.body, code, body)
			}
		}
	})

	t.Run("a gateway that stops", func(t *testing.T) {
		if err := w.edges["b"].Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if from, body := w.ask(t, "a"); from != "c" || !strings.Contains(body, `"result"`) {
				t.Errorf("from %q: %s", from, body)
			}
		}
		w.start(t, "b")
		await(t, "b's gateway is back", func() bool { from, _ := w.ask(t, "b"); return from == "b" })
	})
}

// An order outlives the gateway that took it.
func TestOrdersSurviveARestart(t *testing.T) {
	_, b := newServer(t)
	_, c := newServer(t)
	w := newWorld(t, map[string]string{"b": b, "c": c})
	if code, body := w.admin(t, "b", http.MethodPut, "/v1/regions/c/order", `{"state":"draining","over":"0s"}`); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	cfg := w.edges["b"].cfg.Load()
	for _, e := range w.edges {
		if err := e.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	tel, err := telemetry.New(t.Context(), telemetry.Config{Gateway: cfg.Name, Region: cfg.Region, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := Start(t.Context(), cfg, Options{Version: "test", Logger: slog.New(slog.DiscardHandler), Telemetry: tel})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Shutdown(context.Background()); _ = tel.Shutdown(context.Background()) })
	w.edges["b"] = e
	await(t, "the order is remembered", func() bool {
		state, cause := w.state(t, "b", "c")
		return state == "off" && strings.Contains(cause, "order")
	})
}
