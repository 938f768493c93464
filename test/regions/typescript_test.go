package regions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/test/npm/agent"
)

// Other people's clients live through the loss of the region that serves them, four times in a row: each time
// the next safe call is answered, under the same session, which they never initialize again, and the subscription
// still delivers.
func TestTypeScriptRegionLost(t *testing.T) {
	agent.Packages(t) // says so before anything is started when there is no Node
	b := binary(t)
	s := seed(t)
	w := Start(t, Options{Binary: b, Seed: s, Failover: slowly})
	kinds := []agent.Kind{agent.TypeScriptV1, agent.TypeScriptV2, agent.TypeScriptV2Auto, agent.GoSDKLegacy, agent.GoSDK}
	clients := connectAll(t, w, kinds)
	for _, l := range []struct {
		region, other string
		reset         bool
	}{{EuWest, ApSouth, false}, {ApSouth, EuWest, true}, {EuWest, ApSouth, true}, {ApSouth, EuWest, false}} {
		loseForeign(t, w, clients, l.region, l.other, l.reset)
	}
	for _, c := range clients {
		c.stop()
		c.judge(t)
	}
	t.Run("control: one attempt", func(t *testing.T) {
		s := seed(t)
		w := Start(t, Options{Binary: b, Seed: s, Failover: slowly, Service: "    retry: {attempts: 1, budget_percent: 0, budget_min: 0}\n"})
		clients := connectAll(t, w, kinds)
		loseForeign(t, w, clients, EuWest, ApSouth, true)
		failed := 0
		for _, c := range clients {
			c.stop()
			failed += c.figures().failed
		}
		if failed == 0 {
			t.Error("nothing failed without retries: this test could not see a loss")
		}
	})
}

// connectAll connects a client of each kind and has them call.
func connectAll(t *testing.T, w *World, kinds []agent.Kind) (all []*foreign) {
	t.Helper()
	for _, k := range kinds {
		all = append(all, connect(t, w, k))
	}
	for _, c := range all {
		c.start(t)
	}
	return all
}

// loseForeign loses a region, waits until each client that it served is served by the other one, and heals it.
func loseForeign(t *testing.T, w *World, clients []*foreign, region, other string, reset bool) {
	t.Helper()
	fault := "black hole"
	if reset {
		fault = "reset"
	}
	// Sessions stay where they are, in the region to be lost; what has no session goes to the nearest one.
	for _, c := range clients {
		calls := c.figures().calls
		until(t, 30*time.Second, c.kind.Name+" calls, answered by "+region, func() bool {
			f := c.figures()
			return f.calls >= calls+5 && f.region != "" && (c.session == "" || f.region == region)
		})
	}
	until(t, 30*time.Second, UsEast+" sees "+other, func() bool { return usable(t.Context(), w, other) })
	before := make([]figures, len(clients))
	for i, c := range clients {
		before[i] = c.watch(region)
	}
	lost := time.Now()
	w.Lose(region, reset)
	updated := make([]time.Time, len(clients))
	lack := make([]error, len(clients))
	var waits sync.WaitGroup
	defer waits.Wait()
	for i, c := range clients {
		until(t, 30*time.Second, c.kind.Name+" is answered from "+other, func() bool { return !c.figures().answered.IsZero() })
		waits.Go(func() { updated[i], lack[i] = c.awaitUpdates() })
	}
	waits.Wait()
	for i, c := range clients {
		if lack[i] != nil {
			t.Fatal(lack[i])
		}
		f := c.figures()
		was := "next answer after"
		if before[i].region != region { // without a session it may be back in the nearest region
			was = "not served there, "
		}
		t.Logf("%-18s %-10s of %-8s %s %4d ms, slowest call %4d ms, %d updates by %4d ms; %3d calls, %d failed", c.kind.Name, fault, region, was,
			f.answered.Sub(lost).Milliseconds(), f.slowest.Milliseconds(), updatesProve, updated[i].Sub(lost).Milliseconds(), f.calls-before[i].calls, f.failed-before[i].failed)
	}
	w.Heal(region)
}

// usable reports whether us-east has a link to a region and knows healthy nodes there.
func usable(ctx context.Context, w *World, region string) bool {
	r := w.Region(ctx, UsEast, region)
	healthy := 0
	for _, s := range r.Services {
		healthy += s.Healthy
	}
	return len(r.Links) > 0 && healthy > 0
}

const (
	updatesURI = "quorate-demo://updates"
	// updatesProve is how many updates prove that a node delivers: after a move the gateway announces one itself.
	updatesProve = 5
)

// foreign is a client of somebody else's making that makes one safe call after the other.
type foreign struct {
	kind    agent.Kind
	agent   agent.Agent
	tap     *tap
	session string // none in the modern era
	stop    func()

	mu   sync.Mutex
	lost string // the region that is being lost
	now  figures
}

// figures are what a client noticed.
type figures struct {
	calls, failed int
	reason        error
	region        string        // that answered last
	answered      time.Time     // when first a region that is not lost did, since the loss
	slowest       time.Duration // call since the loss
}

// connect connects a client through a tap of its own and subscribes it.
func connect(t *testing.T, w *World, k agent.Kind) *foreign {
	t.Helper()
	c := &foreign{kind: k, tap: newTap(t, w.URL())}
	c.agent = k.Dial(t, c.tap.url)
	if err := c.agent.Subscribe(t.Context(), updatesURI); err != nil {
		t.Fatalf("%s: subscribe: %v", k.Name, err)
	}
	c.session = c.id(t)
	if legacy := c.agent.Version() < "2026-07-28"; legacy != (c.session != "") {
		t.Fatalf("%s speaks %s and has session %q", k.Name, c.agent.Version(), c.session)
	}
	return c
}

// start has it call until it is stopped.
func (c *foreign) start(t *testing.T) {
	stop, ended := make(chan struct{}), make(chan struct{})
	c.stop = sync.OnceFunc(func() { close(stop); <-ended })
	t.Cleanup(c.stop)
	ctx := context.WithoutCancel(t.Context())
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				c.call(ctx)
			}
		}
	}()
}

func (c *foreign) call(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	began := time.Now()
	text, err := c.agent.Call(ctx, "lookup", map[string]any{"key": "k"})
	ended := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.calls++
	if err != nil {
		c.now.failed++
		c.now.reason = err
		return
	}
	c.now.slowest = max(c.now.slowest, ended.Sub(began))
	for _, region := range []string{EuWest, ApSouth} {
		if strings.HasPrefix(text, "k is on "+region+"-") {
			c.now.region = region
		}
	}
	if c.now.answered.IsZero() && c.now.region != c.lost {
		c.now.answered = ended
	}
}

func (c *foreign) figures() figures {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// watch begins the figures that count from the loss of a region, and returns those before.
func (c *foreign) watch(region string) figures {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.now
	c.lost, c.now.answered, c.now.slowest = region, time.Time{}, 0
	return before
}

// awaitUpdates forgets the updates that came before and returns when the subscription has delivered enough others.
func (c *foreign) awaitUpdates() (time.Time, error) {
	for len(c.agent.Updates()) > 0 {
		<-c.agent.Updates()
	}
	end := time.After(10 * time.Second)
	for i := range updatesProve {
		select {
		case uri := <-c.agent.Updates():
			if uri != updatesURI {
				return time.Time{}, fmt.Errorf("%s: update of %s", c.kind.Name, uri)
			}
		case <-end:
			return time.Time{}, fmt.Errorf("%s: the subscription delivered %d of %d updates", c.kind.Name, i, updatesProve)
		}
	}
	return time.Now(), nil
}

// id is the session as the client's own program sees it.
func (c *foreign) id(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	id, err := c.agent.Session(ctx)
	if err != nil {
		t.Fatalf("%s: session: %v", c.kind.Name, err)
	}
	return id
}

// judge holds the client to what its program and its tap saw.
func (c *foreign) judge(t *testing.T) {
	t.Helper()
	f, id := c.figures(), c.id(t)
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	t.Logf("%-18s speaks %s: %d calls, %d failed; sent %v, sessions named %d", c.kind.Name, c.agent.Version(), f.calls, f.failed, c.tap.sent, len(c.tap.sessions))
	if f.failed != 0 {
		t.Errorf("%s: %d of %d safe calls failed, such as %v", c.kind.Name, f.failed, f.calls, f.reason)
	}
	if id != c.session {
		t.Errorf("%s: the session was %q and is %q", c.kind.Name, c.session, id)
	}
	var named []string
	initialized := 0
	if c.session != "" {
		named, initialized = []string{c.session}, 1
	}
	if got := slices.Collect(maps.Keys(c.tap.sessions)); !slices.Equal(got, named) {
		t.Errorf("%s: requests named the sessions %q, want %q", c.kind.Name, got, named)
	}
	if got := c.tap.sent["initialize"]; got != initialized {
		t.Errorf("%s: %d times initialize, want %d", c.kind.Name, got, initialized)
	}
	if got := c.tap.sent["resources/subscribe"] + c.tap.sent["subscriptions/listen"]; got != 1 {
		t.Errorf("%s: subscribed %d times, want once", c.kind.Name, got)
	}
}

// tap sits between a client and us-east's edge and notes what the client sends.
type tap struct {
	url string

	mu       sync.Mutex
	sent     map[string]int // by JSON-RPC method; what has no body by HTTP method
	sessions map[string]int // by Mcp-Session-Id
}

func newTap(t *testing.T, to string) *tap {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{sent: map[string]int{}, sessions: map[string]int{}}
	line := &http.Transport{}
	proxy := &httputil.ReverseProxy{
		Transport:     line,
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
		},
		// A client that is gone ends its streams; that is no news.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		p.note(r, body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close(); line.CloseIdleConnections() })
	p.url = srv.URL + target.Path
	return p
}

func (p *tap) note(r *http.Request, body []byte) {
	var m struct {
		Method string `json:"method"`
	}
	if err := json.Unmarshal(body, &m); err != nil || m.Method == "" {
		m.Method = r.Method
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent[m.Method]++
	if id := r.Header.Get("Mcp-Session-Id"); id != "" {
		p.sessions[id]++
	}
}
