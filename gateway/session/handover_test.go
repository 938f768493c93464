package session_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
)

// far is the gateway of another region, and the way there.
type far struct {
	*bed

	mu       sync.Mutex
	adoption func() // runs before an adoption is served
	overtook func() // runs when a call arrives that was sent before the adoption's answer
	arrivals []string
}

// on sets what runs then. Agents that have a stream open may come at any time.
func (f *far) on(adoption, overtook func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.adoption, f.overtook = adoption, overtook
}

func (f *far) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what := r.Method
	switch {
	case r.Header.Get(mcp.HeaderAdopt) != "":
		what = "adoption"
	case r.Header.Get(mcp.HeaderAdopting) != "":
		what += " overtaking"
	}
	f.mu.Lock()
	f.arrivals = append(f.arrivals, what)
	adoption, overtook := f.adoption, f.overtook
	f.mu.Unlock()
	switch {
	case what == "adoption" && adoption != nil:
		adoption()
	case what == "POST overtaking" && overtook != nil:
		overtook()
	}
	f.bed.ServeHTTP(w, r)
}

func (f *far) seen(what string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.arrivals {
		if a == what {
			n++
		}
	}
	return n
}

// regional is a gateway with one node of its own and a way to the gateway of another region, which has the others.
func regional(t *testing.T, near http.Handler, others ...http.Handler) (*bed, *far) {
	t.Helper()
	f := &far{bed: newBed(t, func(c *session.Config) { c.Adopts = true }, others...)}
	b := newBed(t, nil, near)
	link := &http.Transport{}
	t.Cleanup(link.CloseIdleConnections)
	b.places = append(b.places, newPlace(t, "far", f, discardLog(), link))
	return b, f
}

func TestSessionIsHandedOverToAnotherRegion(t *testing.T) {
	a, x := newNode(t, "a", nil), newNode(t, "x", nil)
	b, f := regional(t, a.handler, x.handler)
	agent := newAgent(t, b.front.URL)
	if err := agent.SetLoggingLevel(t.Context(), &sdk.SetLoggingLevelParams{Level: "error"}); err != nil {
		t.Fatal(err)
	}
	if err := agent.Subscribe(t.Context(), &sdk.SubscribeParams{URI: "test://r"}); err != nil {
		t.Fatal(err)
	}
	agent.must("where", "a")
	b.places[0].kill()
	agent.must("where", "x")
	if uri := soon(t, agent.updated); uri != "test://r" {
		t.Fatalf("updated %q", uri)
	}
	if err := x.server.ResourceUpdated(t.Context(), &sdk.ResourceUpdatedNotificationParams{URI: "test://r"}); err != nil {
		t.Fatal(err)
	}
	soon(t, agent.updated) // the subscription is there, and the standalone stream
	agent.must("log", "x")
	if level := soon(t, agent.logged); level != "error" {
		t.Fatalf("logged at %q: the level did not move along", level)
	}
	if b.migrated.Load() != 1 || b.lost.Load() != 0 || f.m.Count() != 1 || f.seen("adoption") != 1 {
		t.Errorf("migrated %d, lost %d; over there %d sessions, %d adoptions", b.migrated.Load(), b.lost.Load(), f.m.Count(), f.seen("adoption"))
	}
	if got := f.migrated.Load(); got != 0 {
		t.Errorf("the other gateway counts %d moves for a session that has only begun there", got)
	}
}

// A call is sent along with the adoption, so that it is answered after one round trip and not two. It may even
// arrive first: the adoption is held until it has.
func TestCallsOvertakeTheAdoption(t *testing.T) {
	a, x := newNode(t, "a", nil), newNode(t, "x", nil)
	b, f := regional(t, a.handler, x.handler)
	agent := newAgent(t, b.front.URL)
	agent.must("where", "a")
	arrived := make(chan struct{})
	once := sync.OnceFunc(func() { close(arrived) })
	f.on(func() { soon(t, arrived) }, once)
	b.places[0].kill()
	agent.must("where", "x")
	if f.seen("POST overtaking") == 0 {
		t.Error("no call was sent along")
	}
	agent.must("once", "x")
	if x.runs.Load() != 1 {
		t.Errorf("ran %d times", x.runs.Load())
	}
}

// A gateway that cannot go on with the session has done nothing with the calls that were sent along: they go
// elsewhere, also those that must not run twice.
func TestCallsSentAlongAreNotLostWithTheAdoption(t *testing.T) {
	for name, others := range map[string][]http.Handler{
		"no node there":                    nil,
		"nodes that promise another thing": {&script{capabilities: `{"tools":{}}`}},
	} {
		a, z := &script{}, &script{}
		b, f := regional(t, a, others...)
		b.places = append(b.places, newPlace(t, "z", z, discardLog(), nil))
		w := dial(t, b)
		arrived := make(chan struct{})
		once := sync.OnceFunc(func() { close(arrived) })
		f.on(func() { soon(t, arrived) }, once)
		b.places[0].kill()
		resp, body := w.call(1, "once")
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"id":1,"result"`) {
			t.Errorf("%s: %s: %s", name, resp.Status, body)
		}
		if f.seen("adoption") == 0 || f.seen("POST overtaking") == 0 || z.initializes() != 1 {
			t.Errorf("%s: %d adoptions, %d calls sent along, %d sessions on the other node", name, f.seen("adoption"), f.seen("POST overtaking"), z.initializes())
		}
		if b.unknown.Load() != 0 || b.lost.Load() != 0 || f.m.Count() != 0 {
			t.Errorf("%s: outcome unknown %d, lost %d, left over there %d", name, b.unknown.Load(), b.lost.Load(), f.m.Count())
		}
	}
}

func TestCredentialsRefusedInAnotherRegionReachTheAgent(t *testing.T) {
	refuses := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Www-Authenticate", "Bearer far")
		http.Error(w, "who are you", http.StatusUnauthorized)
	})
	b, _ := regional(t, &script{}, refuses)
	w := dial(t, b)
	b.places[0].kill()
	resp, body := w.call(1, "read")
	if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("Www-Authenticate") != "Bearer far" || !strings.Contains(body, "who are you") {
		t.Errorf("%s %v: %s", resp.Status, resp.Header, body)
	}
}

// What gateways say to each other is nothing for agents.
func TestAgentsCannotHandSessionsOver(t *testing.T) {
	b := newBed(t, nil, &script{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.front.URL, strings.NewReader(callOf(1, "read")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Mcp-Session-Id", strings.Repeat("0", 32))
	r.Header.Set(mcp.HeaderAdopting, "1")
	began := time.Now()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if took := time.Since(began); resp.StatusCode != http.StatusNotFound || took > 500*time.Millisecond {
		t.Errorf("%s after %s", resp.Status, took)
	}
}

func TestAdoptionsThatAreNone(t *testing.T) {
	x := &script{}
	f := newBed(t, func(c *session.Config) { c.Adopts = true; c.MaxSessions = 1 }, x)
	id := strings.Repeat("0a", 16)
	good := `{"initialize":{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}},"result":{"protocolVersion":"2025-03-26","capabilities":{"tools":{"listChanged":true}}},"initialized":true}`
	send := func(id, body string) int {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, f.front.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(mcp.HeaderAdopt, id)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for name, c := range map[string]struct{ id, body string }{
		"no json": {id, "{"}, "nothing": {id, "{}"}, "a short id": {"0a", good}, "no hex": {strings.Repeat("xx", 16), good},
		"not an initialize": {id, strings.Replace(good, `"initialize",`, `"ping",`, 1)},
		"no promise":        {id, strings.Replace(good, `"result":{`, `"was":{`, 1)},
		"a call to be made": {id, strings.Replace(good, `"initialized"`, `"subscriptions":[`+callOf(1, "once")+`],"initialized"`, 1)},
	} {
		if got := send(c.id, c.body); got != http.StatusBadRequest {
			t.Errorf("%s: %d", name, got)
		}
	}
	if f.m.Count() != 0 || x.initializes() != 0 {
		t.Errorf("%d sessions, %d on the node", f.m.Count(), x.initializes())
	}
	if got := send(id, good); got != http.StatusNoContent {
		t.Fatalf("a good one: %d", got)
	}
	if got := send(id, good); got != http.StatusServiceUnavailable {
		t.Errorf("one more than there may be: %d", got)
	}
}
