package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/events"
)

// desk carries orders out as a fleet of one region would, and keeps what it was given.
type desk struct {
	lead     []Leadership
	restored []byte
	quorum   bool
	reached  bool
}

// controlled gives c a control group.
func controlled(c *Config) *desk {
	d := &desk{quorum: true, reached: true}
	ring, err := events.New(4, nil)
	if err != nil {
		panic(err) // 4 is a size
	}
	c.Events = ring.After
	c.Control = &Control{
		Cluster: func() Cluster {
			return Cluster{ID: "6f1d", Gateway: "gw-1", Leader: "gw-1", Gate: Gate{Open: true},
				Gateways: []Member{{Gateway: "gw-1", Region: "us-east", Role: "voter", Up: true, Gate: GateOpen}}}
		},
		Lead: d.order,
		Reconcile: func(context.Context) (Agreement, error) {
			if !d.quorum {
				return Agreement{}, fmt.Errorf("reconcile: %w", ErrNoQuorum)
			}
			return d.compare(), nil
		},
		Verify:   func(context.Context) (Agreement, error) { return d.compare(), nil },
		Snapshot: func(context.Context) ([]byte, error) { return []byte("state\x00"), nil },
		Restore: func(_ context.Context, b []byte, _ string) error {
			if !bytes.HasPrefix(b, []byte("state")) {
				return fmt.Errorf("%w: it is none", ErrBadSnapshot)
			}
			d.restored = b
			return nil
		},
	}
	return d
}

func (d *desk) order(_ context.Context, o Leadership) error {
	switch {
	case o.Region != "us-east":
		return fmt.Errorf("%w: %q", ErrUnknownRegion, o.Region)
	case !d.quorum && !o.Attest:
		return ErrNeedsAttest
	}
	d.lead = append(d.lead, o)
	return nil
}

func (d *desk) compare() Agreement {
	return Agreement{Agreed: d.reached, Index: 7, Replies: []Compared{{Gateway: "gw-1", Reached: d.reached, Agrees: d.reached}}}
}

// send makes a request with a body; kind is its Content-Type, headers are pairs.
func send(t *testing.T, method, url, kind string, body io.Reader, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(data)}
}

// TestClusterContract spells the JSON out: scripts outside read these keys.
func TestClusterContract(t *testing.T) {
	c := config()
	controlled(&c)
	c.Control.Cluster = func() Cluster {
		return Cluster{
			ID: "6f1d", Generation: 2, Gateway: "gw-1", Leader: "gw-2", Term: 4, Commit: 120, Applied: 119, Epoch: 90, Declared: 3,
			Problem: "stuck", Partition: true, Forced: []Forcing{{At: "2026-11-29T04:00:00Z", By: "ops", RuleVersion: 2}},
			Gate: Gate{Reason: "1 of 3 voters answers"}, Minority: "read_only",
			Rule:         Rule{Version: 3, Strategy: "winner_takes_all", Words: "2 of gw-1, gw-2, gw-3", Changing: true, PromiseMS: 600},
			Plugin:       Plugin{Name: "winner_takes_all", State: "running", Restarts: 2},
			LastFailover: &Failover{At: Time{time.Unix(0, 0)}, TookMS: 540},
			Gateways: []Member{{Gateway: "gw-1", Region: "us-east", Role: "voter", Up: true, RTTMS: 0.5, Gate: GateClosed, Incarnation: 9,
				Suspected: true, RuleVersion: 3, Applied: 119, LagMS: 20, Version: "v1"}, {Gateway: "gw-2", Role: "witness", Fenced: true}},
		}
	}
	const want = `{"grade":"critical","reasons":["1 of 2 gateways are up","2 of the 3 voters that there are to be: bring the others back or add some","this gateway may not write: 1 of 3 voters answers","stuck"],` +
		`"nodes_up":1,"nodes":2,"id":"6f1d","generation":2,"gateway":"gw-1","leader":"gw-2","term":4,"commit":120,"applied":119,"epoch":90,"declared":3,"problem":"stuck","partition":true,` +
		`"gate":{"open":false,"reason":"1 of 3 voters answers"},"minority":"read_only",` +
		`"rule":{"version":3,"strategy":"winner_takes_all","words":"2 of gw-1, gw-2, gw-3","changing":true,"definition":null,"promise_ms":600},` +
		`"plugin":{"name":"winner_takes_all","state":"running","cause":"","restarts":2},` +
		`"last_failover":{"at":"1970-01-01T00:00:00.000Z","took_ms":540},"forced":[{"at":"2026-11-29T04:00:00Z","by":"ops","rule_version":2}],"gateways":[` +
		`{"gateway":"gw-1","region":"us-east","role":"voter","up":true,"rtt_ms":0.5,"gate":"closed","incarnation":9,"suspected":true,"fenced":false,"rule_version":3,"applied":119,"lag_ms":20,"version":"v1"},` +
		`{"gateway":"gw-2","region":"","role":"witness","up":false,"rtt_ms":0,"gate":"none","incarnation":0,"suspected":false,"fenced":true,"rule_version":0,"applied":0,"lag_ms":0,"version":""}]}` + "\n"
	if diff := cmp.Diff(want, ask(t, "GET", serve(t, c)+"/v1/cluster", nil).body); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	c.Control.Cluster = func() Cluster { return Cluster{} }
	if got := ask(t, "GET", serve(t, c)+"/v1/cluster", nil); !strings.Contains(got.body, `"gateways":[]`) || !strings.Contains(got.body, `"forced":[]`) || !strings.Contains(got.body, `"last_failover":null`) {
		t.Errorf("an empty cluster: %s", got.body)
	}
}

func TestOrdersToTheControlGroup(t *testing.T) {
	c := config()
	d := controlled(&c)
	url := serve(t, c)
	const js = "application/json"
	for _, tc := range []struct {
		quorum             bool
		path, kind, body   string
		status             int
		says               string
		leads, attestedNow bool
	}{
		{true, "leader", js, `{"region":"us-east"}`, 200, `"leader":"gw-1"`, true, false},
		{true, "leader", js, `{"region":"moon"}`, 404, `"unknown_region"`, false, false},
		{true, "leader", js, `{"region":""}`, 400, "name of a region", false, false},
		{true, "leader", js, `{"region":"` + strings.Repeat("x", 300) + `"}`, 400, "name of a region", false, false},
		{true, "leader", js, `{"region":"us-east","force":true}`, 400, "nothing else", false, false},
		{true, "leader", js, `{"region":"us-east","attest":"yes"}`, 400, "nothing else", false, false},
		{true, "leader", js, `{"region":"us-east"}{}`, 400, "nothing behind it", false, false},
		{true, "leader", js, `{"region":"` + strings.Repeat("x", 100<<10) + `"}`, 400, "nothing else", false, false},
		{true, "leader", "text/plain", `{"region":"us-east"}`, 400, "Content-Type", false, false},
		{false, "leader", js, `{"region":"us-east"}`, 409, "--i-attest-the-other-side-is-off", false, false},
		{false, "leader", js, `{"region":"us-east","attest":false}`, 409, `"needs_attestation"`, false, false},
		{false, "leader", js, `{"region":"us-east","attest":true}`, 200, `"grade":"healthy"`, true, true},
		{true, "reconcile", "", "", 200, `{"agreed":true,"index":7,"gateways":[{"gateway":"gw-1","reached":true,`, false, false},
		{false, "reconcile", "", "", 503, `"no_quorum"`, false, false},
		{false, "verify", "", "", 200, `"agreed":true`, false, false},
	} {
		d.quorum, d.lead = tc.quorum, nil
		got := send(t, "POST", url+"/v1/cluster/"+tc.path, tc.kind, strings.NewReader(tc.body))
		if got.status != tc.status || !strings.Contains(got.body, tc.says) {
			t.Errorf("%s %.60s: %d %s", tc.path, tc.body, got.status, got.body)
		}
		if (got.status == 503) != (got.header.Get("Retry-After") != "") {
			t.Errorf("%s %.60s: %d with Retry-After %q", tc.path, tc.body, got.status, got.header.Get("Retry-After"))
		}
		if (len(d.lead) == 1) != tc.leads || tc.leads && (d.lead[0].Attest != tc.attestedNow || !strings.HasPrefix(d.lead[0].By, "admin from 127.0.0.1:")) {
			t.Errorf("%s %.60s: orders %+v", tc.path, tc.body, d.lead)
		}
	}
	if got := ask(t, "GET", url+"/v1/cluster/leader", nil); got.status != 405 || got.header.Get("Allow") != "POST" {
		t.Errorf("GET of an order: %d", got.status)
	}
}

func TestSnapshots(t *testing.T) {
	c := config()
	d := controlled(&c)
	url := serve(t, c) + "/v1/cluster/snapshot"
	got := ask(t, "GET", url, nil)
	if got.status != 200 || got.body != "state\x00" || got.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("save: %d %q %v", got.status, got.body, got.header)
	}
	const kind = "application/octet-stream"
	large := func(n int) io.Reader {
		return io.MultiReader(strings.NewReader("state"), bytes.NewReader(make([]byte, n-5)))
	}
	for _, tc := range []struct {
		kind   string
		body   io.Reader
		status int
		says   string
		bytes  int
	}{
		{kind, strings.NewReader(got.body), 200, `"grade":"healthy"`, 6},
		{kind, large(MaxSnapshot), 200, `"id":"6f1d"`, MaxSnapshot},
		{kind, large(MaxSnapshot + 1), 413, "67108864 bytes", 0},
		{kind, strings.NewReader(""), 400, "empty", 0},
		{kind, strings.NewReader("other"), 400, "bad_snapshot", 0},
		{"application/json", strings.NewReader("state"), 400, "application/octet-stream", 0},
	} {
		d.restored = nil
		got := send(t, "PUT", url, tc.kind, tc.body)
		if got.status != tc.status || !strings.Contains(got.body, tc.says) || len(d.restored) != tc.bytes {
			t.Errorf("restore: %d %.200s, want %d; %d bytes restored, want %d", got.status, got.body, tc.status, len(d.restored), tc.bytes)
		}
	}
	c.Control.Snapshot = func(context.Context) ([]byte, error) { return make([]byte, MaxSnapshot+1), nil }
	if got := ask(t, "GET", serve(t, c)+"/v1/cluster/snapshot", nil); got.status != 409 {
		t.Errorf("a state beyond the bound: %d %.100s", got.status, got.body)
	}
}

// TestABrokenTransferRestoresNothing: half a snapshot is never handed on.
func TestABrokenTransferRestoresNothing(t *testing.T) {
	c := config()
	d := controlled(&c)
	base := serve(t, c)
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PUT /v1/cluster/snapshot HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\nstate"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(said), "HTTP/1.1 400") || !strings.Contains(string(said), "broke off") || d.restored != nil {
		t.Errorf("%.80s %v; restored %q", said, err, d.restored)
	}
}

// TestOneOrderAtATime, and a client that leaves does not stop one half way.
func TestOneOrderAtATime(t *testing.T) {
	c := config()
	controlled(&c)
	entered, release, left := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	c.Control.Lead = func(ctx context.Context, _ Leadership) error {
		close(entered)
		<-release
		left <- ctx.Err()
		return nil
	}
	url := serve(t, c) + "/v1/cluster/leader"
	ctx, leave := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"region":"us-east"}`))
		if err == nil {
			r.Header.Set("Content-Type", "application/json")
			_, err = http.DefaultClient.Do(r)
		}
		first <- err
	}()
	<-entered
	if got := send(t, "POST", url, "application/json", strings.NewReader(`{"region":"us-east"}`)); got.status != 409 || !strings.Contains(got.body, `"busy"`) {
		t.Errorf("a second order: %d %s", got.status, got.body)
	}
	leave()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the client that left: %v", err)
	}
	close(release)
	if err := <-left; err != nil {
		t.Errorf("the order ended with its client: %v", err)
	}
}

// TestLongOrdersOutliveTheListenersBounds: the listener allows 10 s for reading a request and 30 s for its answer.
func TestLongOrdersOutliveTheListenersBounds(t *testing.T) {
	c := config()
	controlled(&c)
	c.Control.Verify = func(ctx context.Context) (Agreement, error) {
		select {
		case <-ctx.Done():
			return Agreement{}, ctx.Err()
		case <-time.After(300 * time.Millisecond): // thrice the bounds below
			return Agreement{Agreed: true}, nil
		}
	}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(nil)
	s.Config = NewServer(h, nil)
	s.Config.ReadTimeout, s.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	s.Start()
	defer s.Close()
	if got := send(t, "POST", s.URL+"/v1/cluster/verify", "", nil); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestAnOrdersAnswerShowsWhatCameOfIt: between two leaders there is none for a moment, and after a recovery the gate
// is closed for another.
func TestAnOrdersAnswerShowsWhatCameOfIt(t *testing.T) {
	for name, last := range map[string]Cluster{
		"a gateway": {Gateway: "gw-1", Leader: "gw-2", Gate: Gate{Open: true}, Gateways: []Member{{Gateway: "gw-1", Role: RoleVoter, Up: true}}},
		"a witness": {Gateway: "gw-1", Leader: "gw-2", Gateways: []Member{{Gateway: "gw-1", Role: RoleWitness, Up: true}}},
	} {
		c := config()
		controlled(&c)
		looks := []Cluster{{}, {Leader: "gw-2"}, last}
		c.Control.Cluster = func() Cluster {
			now := looks[0]
			looks = looks[min(1, len(looks)-1):]
			return now
		}
		got := send(t, "POST", serve(t, c)+"/v1/cluster/leader", "application/json", strings.NewReader(`{"region":"us-east"}`))
		if !strings.Contains(got.body, `"nodes":1`) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func TestErrorsOfTheControlGroup(t *testing.T) {
	for err, want := range map[error]int{
		fmt.Errorf("x: %w", ErrNoQuorum):      503,
		fmt.Errorf("x: %w", ErrNeedsAttest):   409,
		fmt.Errorf("x: %w", ErrRefused):       409,
		fmt.Errorf("x: %w", ErrBadSnapshot):   400,
		context.DeadlineExceeded:              504,
		fmt.Errorf("x: %w", io.ErrShortWrite): 500,
	} {
		w := httptest.NewRecorder()
		refuseControl(w, err)
		if w.Code != want || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%v: %d %s", err, w.Code, w.Body)
		}
	}
}

func TestControlIsWhole(t *testing.T) {
	for name, drop := range map[string]func(*Control){
		"Cluster":   func(c *Control) { c.Cluster = nil },
		"Lead":      func(c *Control) { c.Lead = nil },
		"Reconcile": func(c *Control) { c.Reconcile = nil },
		"Verify":    func(c *Control) { c.Verify = nil },
		"Snapshot":  func(c *Control) { c.Snapshot = nil },
		"Restore":   func(c *Control) { c.Restore = nil },
	} {
		c := config()
		controlled(&c)
		drop(c.Control)
		if _, err := New(c); err == nil {
			t.Errorf("a control group without %s", name)
		}
	}
}

func TestEvents(t *testing.T) {
	c := config()
	ring, err := events.New(2, func() time.Time { return time.Unix(0, 0) })
	if err != nil {
		t.Fatal(err)
	}
	c.Events = ring.After
	url := serve(t, c)
	if got := ask(t, "GET", url+"/v1/events", nil); got.body != `{"events":[],"last":0,"missed":0,"began":"1970-01-01T00:00:00.000Z"}`+"\n" {
		t.Errorf("no events: %s", got.body)
	}
	ring.Add("suspected", "gw-2", "no heartbeat for 1 s")
	ring.Add("fenced", "gw-2", "its life 9 has ended")
	ring.Add("gate_closed", "gw-1", "1 of 3 voters answers")
	const last = `{"seq":3,"at":"1970-01-01T00:00:00.000Z","kind":"gate_closed","gateway":"gw-1","text":"1 of 3 voters answers"}`
	for query, want := range map[string]string{
		"":         `{"seq":2,"at":"1970-01-01T00:00:00.000Z","kind":"fenced","gateway":"gw-2","text":"its life 9 has ended"},` + last + `],"last":3,"missed":1,`,
		"?after=2": `{"events":[` + last + `],"last":3,"missed":0,`,
		"?after=3": `{"events":[],"last":3,`,
		"?after=9": `"seq":2`, // of an earlier process
	} {
		if got := ask(t, "GET", url+"/v1/events"+query, nil); got.status != 200 || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	for _, bad := range []string{"-1", "x", "99999999999999999999999", "1.5"} {
		if got := ask(t, "GET", url+"/v1/events?after="+bad, nil); got.status != 400 {
			t.Errorf("after=%s: %d", bad, got.status)
		}
	}
}

// TestControlNeedsCredentials: probes are open, the rest is not.
func TestControlNeedsCredentials(t *testing.T) {
	c := config()
	d := controlled(&c)
	c.Token = word("s3cret")
	url := serve(t, c)
	for _, at := range []string{"GET /v1/cluster", "GET /v1/events", "GET /v1/cluster/snapshot", "PUT /v1/cluster/snapshot", "POST /v1/cluster/leader",
		"POST /v1/cluster/reconcile", "POST /v1/cluster/verify"} {
		method, path, _ := strings.Cut(at, " ")
		if got := send(t, method, url+path, "application/json", strings.NewReader(`{"region":"us-east"}`)); got.status != 401 {
			t.Errorf("%s without a token: %d", at, got.status)
		}
	}
	if got := ask(t, "GET", url+"/writez", nil); got.status != 200 || len(d.lead) != 0 {
		t.Errorf("/writez without a token: %d", got.status)
	}
}
