package admin

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// word is a token for tests; the real one is in a file that the configuration owns.
type word string

func (w word) Match(s string) bool { return s == string(w) }

func config() Config {
	return Config{
		Status:  func() Status { return Status{Gateway: "gw-1"} },
		Ready:   func() []string { return nil },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") }),
	}
}

// serve runs NewServer on a loopback socket, as serve does, and returns its base URL.
func serve(t *testing.T, c Config) string {
	t.Helper()
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(nil)
	s.Config = NewServer(h, nil)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

type answer struct {
	status int
	header http.Header
	body   string
}

func ask(t *testing.T, method, url string, header map[string]string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		if k == "Host" {
			r.Host = v
			continue
		}
		r.Header.Set(k, v)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func TestNewWantsEveryPart(t *testing.T) {
	for name, drop := range map[string]func(*Config){
		"Status":  func(c *Config) { c.Status = nil },
		"Ready":   func(c *Config) { c.Ready = nil },
		"Metrics": func(c *Config) { c.Metrics = nil },
	} {
		c := config()
		drop(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: error %v does not name it", name, err)
		}
	}
}

// TestStatusContract spells the JSON out: scripts outside read these keys.
func TestStatusContract(t *testing.T) {
	c := config()
	seen := time.Date(2026, 11, 22, 10, 0, 0, 250e6, time.FixedZone("x", 3600))
	c.Status = func() Status {
		return Status{Gateway: "gw-1", Region: "us-east", Version: "v1", TableVersion: 7, Services: []Service{
			{Name: "tools", Path: "/mcp", Sessions: 2, Nodes: []Node{
				{ID: "a", URL: "http://127.0.0.1:9001/mcp", Region: "us-east", Source: "static", Era: EraBoth,
					State: "healthy", LastSeen: Time{seen}, ConsecutiveFailures: 0, LatencyMS: 1.5, InFlight: 3,
					Breaker: "closed", Groups: []string{"x"}},
				{ID: "b", State: "unknown", Breaker: "open", ConsecutiveFailures: 4},
			}},
			{Name: "empty", Path: "/e"},
		}}
	}
	const want = `{"gateway":"gw-1","region":"us-east","version":"v1","table_version":7,"services":[` +
		`{"name":"tools","path":"/mcp","sessions":2,"nodes":[` +
		`{"id":"a","url":"http://127.0.0.1:9001/mcp","region":"us-east","source":"static","era":"both","state":"healthy",` +
		`"last_seen":"2026-11-22T09:00:00.250Z","consecutive_failures":0,"latency_ms":1.5,"in_flight":3,"breaker":"closed","groups":["x"],"identity":"unverified identity","unproven":false,"problem":"","version":"","group":"","proposed_by":[]},` +
		`{"id":"b","url":"","region":"","source":"","era":"unknown","state":"unknown","last_seen":null,` +
		`"consecutive_failures":4,"latency_ms":0,"in_flight":0,"breaker":"open","groups":[],"identity":"unverified identity","unproven":false,"problem":"","version":"","group":"","proposed_by":[]}],"sources":[],"conflicts":[],"refused":0},` +
		`{"name":"empty","path":"/e","sessions":0,"nodes":[],"sources":[],"conflicts":[],"refused":0}],"settings":null,"problems":[]}` + "\n"
	got := ask(t, "GET", serve(t, c)+"/v1/status", nil)
	if got.status != 200 || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("status %d, type %q", got.status, got.header.Get("Content-Type"))
	}
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestStatusWithoutServicesIsAList(t *testing.T) {
	got := ask(t, "GET", serve(t, config())+"/v1/status", nil)
	if !strings.Contains(got.body, `"services":[]`) {
		t.Errorf("services is not an empty list: %s", got.body)
	}
}

func TestReady(t *testing.T) {
	c := config()
	var why []string
	c.Ready = func() []string { return why }
	base := serve(t, c)
	if got := ask(t, "GET", base+"/readyz", nil); got.status != 200 || got.body != `{"ready":true,"reasons":[]}`+"\n" {
		t.Errorf("ready: %d %s", got.status, got.body)
	}
	why = []string{"draining", "service tools: no verified node"}
	got := ask(t, "GET", base+"/readyz", nil)
	if got.status != 503 || got.body != `{"ready":false,"reasons":["draining","service tools: no verified node"]}`+"\n" {
		t.Errorf("not ready: %d %s", got.status, got.body)
	}
	if got := ask(t, "GET", base+"/livez", nil); got.status != 200 {
		t.Errorf("livez follows readiness: %d", got.status)
	}
}

func TestPathsAndMethods(t *testing.T) {
	base := serve(t, config())
	tests := []struct {
		method, path string
		status       int
		allow, body  string
	}{
		{"GET", "/metrics", 200, "", "up 1"},
		{"HEAD", "/v1/status", 200, "", ""},
		{"GET", "/nothing", 404, "", `"code":"not_found"`},
		{"POST", "/nothing", 404, "", `"code":"not_found"`},
		{"GET", "/v1/status/", 404, "", `"code":"not_found"`},
		{"GET", "//v1/status", 404, "", `"code":"not_found"`},
		{"POST", "/v1/status", 405, "GET, HEAD", `"code":"method_not_allowed"`},
		{"DELETE", "/livez", 405, "GET, HEAD", `"code":"method_not_allowed"`},
		{"OPTIONS", "/metrics", 405, "GET, HEAD", ""},
	}
	for _, tt := range tests {
		got := ask(t, tt.method, base+tt.path, nil)
		if got.status != tt.status || got.header.Get("Allow") != tt.allow || !strings.Contains(got.body, tt.body) {
			t.Errorf("%s %s = %d, Allow %q, %q; want %d, %q, %q", tt.method, tt.path,
				got.status, got.header.Get("Allow"), got.body, tt.status, tt.allow, tt.body)
		}
	}
}

func TestUnwritableStatusIsAnError(t *testing.T) {
	c := config()
	c.Status = func() Status {
		zero := 0.0
		return Status{Services: []Service{{Nodes: []Node{{LatencyMS: 1 / zero}}}}}
	}
	if got := ask(t, "GET", serve(t, c)+"/v1/status", nil); got.status != 500 || !json.Valid([]byte(got.body)) {
		t.Errorf("infinite latency: %d %s", got.status, got.body)
	}
}

// TestServerBounds: no connection may be held or filled without end.
func TestServerBounds(t *testing.T) {
	h, err := New(config())
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(h, nil)
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("a bound is missing: %+v", s)
	}
	got := ask(t, "GET", serve(t, config())+"/livez", map[string]string{"X-Big": strings.Repeat("x", 2*maxHeaderBytes)})
	if got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("32 KiB of headers: %d", got.status)
	}
}

func TestHostNames(t *testing.T) {
	for in, want := range map[string]bool{
		"127.0.0.1:9090": true, "127.9.9.9": true, "[::1]:9090": true, "[::1]": true, "::1": true, "localhost": true,
		"LOCALHOST:1": true, "a.localhost:1": true, "[::ffff:127.0.0.1]:1": true,
		"": false, "example.com": false, "127.0.0.1.example.com": false, "notlocalhost": false, "10.0.0.1:80": false, "localhost.example.com": false,
	} {
		if got := loopback(in); got != want {
			t.Errorf("loopback(%q) = %v", in, got)
		}
	}
	if _, _, err := net.SplitHostPort("::1"); err == nil {
		t.Error("SplitHostPort takes ::1 now; hostName relies on the opposite")
	}
}
