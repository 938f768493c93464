package session_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
)

// await waits until the keeper knows of a session what the test wants.
func (f *fleet) await(id, what string) {
	f.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; {
		contents, _, _ := f.w.kept(id)
		if strings.Contains(contents, what) {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("not kept: %s in %s", what, contents)
		}
		soon(f.t, time.After(time.Millisecond))
	}
}

func TestSessionOutlivesItsGateway(t *testing.T) {
	for _, c := range []struct {
		name      string
		nodeToo   bool // the node dies with the gateway
		stays     string
		migrated  int64
		openedAll int
	}{{"at its node", false, "a", 0, 1}, {"its node dies too", true, "b", 1, 1}} {
		t.Run(c.name, func(t *testing.T) {
			a, b := newNode(t, "a", nil), newNode(t, "b", nil)
			f := newFleet(t, 2, nil, a.handler, b.handler)
			agent := f.agent()
			if err := agent.SetLoggingLevel(t.Context(), &sdk.SetLoggingLevelParams{Level: "error"}); err != nil {
				t.Fatal(err)
			}
			if err := agent.Subscribe(t.Context(), &sdk.SubscribeParams{URI: "test://r"}); err != nil {
				t.Fatal(err)
			}
			agent.must("where", "a")
			f.await(agent.ID(), `"listens":true`)
			f.kill(0, 1)
			if c.nodeToo {
				f.beds[0].places[0].kill()
			}
			agent.must("where", c.stays)
			if uri := soon(t, agent.updated); uri != "test://r" { // what it may have missed
				t.Fatalf("updated %q", uri)
			}
			for range len(agent.updated) {
				<-agent.updated
			}
			server := map[string]*node{"a": a, "b": b}[c.stays].server
			if err := server.ResourceUpdated(t.Context(), &sdk.ResourceUpdatedNotificationParams{URI: "test://r"}); err != nil {
				t.Fatal(err)
			}
			soon(t, agent.updated) // the subscription is there, and the standalone stream
			agent.must("log", c.stays)
			if level := soon(t, agent.logged); level != "error" {
				t.Fatalf("logged at %q: the level did not come along", level)
			}
			if got := f.beds[1].migrated.Load(); got != c.migrated {
				t.Errorf("%d moves", got)
			}
			if n := len(slices.Collect(server.Sessions())); n != c.openedAll {
				t.Errorf("%d sessions at the node", n)
			}
		})
	}
}

func TestContentsHoldNoCredentials(t *testing.T) {
	f := newFleet(t, 2, nil, &script{})
	w := f.dial()
	w.call(1, "read")
	listen := w.do(http.MethodGet, "", "")
	listen.Body.Close()
	w.auth = "Bearer second-secret"
	w.post(`{"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"error"}}`)
	contents, _, versions := f.w.kept(w.id)
	if strings.Contains(contents, "secret") || strings.Contains(contents, "Bearer") || !strings.Contains(contents, "logging/setLevel") {
		t.Errorf("kept: %s", contents)
	}
	if versions < 3 {
		t.Errorf("kept %d times", versions)
	}
	for i := range f.beds {
		if logs := f.beds[i].logs.String(); strings.Contains(logs, w.id) || strings.Contains(logs, "secret") {
			t.Error("the log has an id or a credential")
		}
	}
}

// TestEventIDsGoOn: what the gateway before has numbered is taken up, and no number comes twice.
func TestEventIDsGoOn(t *testing.T) {
	say := make(chan string)
	s := &script{get: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case text := <-say:
				_, _ = io.WriteString(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\""+text+"\"}\n\n")
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}}
	f := newFleet(t, 3, nil, s)
	w := f.dial()
	seen := map[string]bool{}
	read := func(events *mcp.EventReader, want string) string {
		t.Helper()
		for {
			ev := next(t, events)
			if !ev.HasID || seen[ev.ID] {
				t.Fatalf("event id %q", ev.ID)
			}
			seen[ev.ID] = true
			if strings.Contains(string(ev.Data), want) {
				return ev.ID
			}
		}
	}
	listen := w.do(http.MethodGet, "", "")
	say <- "first"
	last := read(mcp.NewEventReader(listen.Body, 1<<20), "first")
	listen.Body.Close()
	f.await(w.id, `"listens":true`)
	for gateway := range 2 {
		f.kill(gateway, gateway+1)
		listen = w.do(http.MethodGet, "", last)
		if listen.StatusCode != http.StatusOK {
			t.Fatal(listen.Status)
		}
		events := mcp.NewEventReader(listen.Body, 1<<20)
		read(events, "tools/list_changed") // what may have been missed
		say <- "more"
		last = read(events, "more")
		listen.Body.Close()
	}
	if s.initializes() != 1 {
		t.Errorf("%d initializes", s.initializes())
	}
}

// TestLostCallIsAnswered: an agent that comes back for a call of the gateway before is told about it in band.
func TestLostCallIsAnswered(t *testing.T) {
	s, ticks := ticking()
	f := newFleet(t, 2, nil, s)
	w := f.dial()
	got := make(chan *http.Response, 1)
	go func() {
		got <- w.do(http.MethodPost, `{"jsonrpc":"2.0","id":"call \"1\"","method":"tools/call","params":{"name":"once"}}`, "")
	}()
	ticks <- "one"
	open := soon(t, got)
	last := next(t, mcp.NewEventReader(open.Body, 1<<20)).ID
	f.kill(0, 1)
	close(ticks)
	open.Body.Close()
	resp, body := w.whole(w.do(http.MethodGet, "", last))
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"id":"call \"1\"","error":{"code":-32070`) {
		t.Fatalf("%s %q", resp.Status, body)
	}
	end := next(t, mcp.NewEventReader(strings.NewReader(body), 1<<20)).ID
	if resp, _ := w.whole(w.do(http.MethodGet, "", end)); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("behind the last words %q: %s", end, resp.Status) // TypeScript clients ask, and only this ends it
	}
	for _, bad := range []string{last + "x", strings.Replace(last, "-2-0-", "-2-0--", 1), strings.Replace(last, "-2-0-", "-2-x-", 1), "0123456789ab-1-1"} {
		if resp, body := w.whole(w.do(http.MethodGet, "", bad)); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %s %q", bad, resp.Status, body)
		}
	}
	if resp, _ := w.call(2, "read"); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", resp.Status)
	}
}

func TestDeletedAndExpiredAreUnknownEverywhere(t *testing.T) {
	f := newFleet(t, 2, func(c *session.Config) { c.IdleTimeout, c.Sweep = 20*time.Millisecond, 5*time.Millisecond }, &script{})
	w := f.dial()
	for range 2 {
		for deadline := time.Now().Add(5 * time.Second); ; {
			if _, deleted, _ := f.w.kept(w.id); deleted {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("not expired")
			}
			soon(t, time.After(time.Millisecond))
		}
		for gateway := range 2 {
			f.switchTo(gateway)
			if resp, body := w.call(1, "read"); resp.StatusCode != http.StatusNotFound || strings.Contains(body, "{") {
				t.Errorf("gateway %d: %s %q", gateway, resp.Status, body)
			}
		}
		f.switchTo(0)
		w = f.dial()
		if resp, _ := w.whole(w.do(http.MethodDelete, "", "")); resp.StatusCode != http.StatusNoContent {
			t.Fatal(resp.Status)
		}
	}
}

func TestEndedIsUnknown(t *testing.T) {
	s := &script{}
	f := newFleet(t, 1, nil, s)
	w := f.dial()
	f.m.End(w.id)
	if resp, _ := w.call(1, "read"); resp.StatusCode != http.StatusNotFound || s.left() != 0 || f.m.Count() != 0 {
		t.Errorf("%s, %d at the node, %d here", resp.Status, s.left(), f.m.Count())
	}
}

func TestRefusedChangesDoNotReachTheNode(t *testing.T) {
	s := &script{json: true}
	f := newFleet(t, 1, nil, s)
	w := f.dial()
	f.keep[0].lagging.Store(mcp.Overloaded("replication_lag", time.Second))
	before := len(s.seen())
	subscribe := `{"jsonrpc":"2.0","id":5,"method":"resources/subscribe","params":{"uri":"test://r"}}`
	if _, body := w.post(subscribe); !strings.Contains(body, `"id":5,"error":{"code":-32073`) || !strings.Contains(body, "replication_lag") {
		t.Errorf("got %q", body)
	}
	if resp, _ := w.whole(w.do(http.MethodDelete, "", "")); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("delete: %s", resp.Status)
	}
	other := &wire{t: t, url: w.url, client: w.client}
	if resp, _ := other.post(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"w","version":"1"}}}`); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("initialize: %s", resp.Status)
	}
	if more := s.seen()[before:]; len(more) > 0 {
		t.Errorf("the node saw %q", more)
	}
	if resp, _ := w.call(6, "read"); resp.StatusCode != http.StatusOK {
		t.Errorf("a call: %s", resp.Status)
	}
	f.keep[0].lagging.Store(nil)
	if _, body := w.post(subscribe); !strings.Contains(body, `"id":5,"result"`) {
		t.Errorf("got %q", body)
	}
	if contents, _, _ := f.w.kept(w.id); !strings.Contains(contents, "test://r") {
		t.Errorf("kept %s", contents)
	}
}

// TestEndThatIsNotKept: a DELETE that cannot be committed is no end. Where that is known before, its node hears nothing of
// it and the session goes on; where it is not, the agent is told so, and the session is what its keeper says.
func TestEndThatIsNotKept(t *testing.T) {
	s := &script{json: true}
	f := newFleet(t, 1, nil, s)
	w := f.dial()
	f.keep[0].cutOff.Store(mcp.NoAuthority(mcp.ReasonMinority, time.Second))
	before := len(s.seen())
	if resp, body := w.whole(w.do(http.MethodDelete, "", "")); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "-32071") {
		t.Errorf("in a minority: %s %q", resp.Status, body)
	}
	if more := s.seen()[before:]; len(more) > 0 || s.left() != 1 {
		t.Errorf("the node saw %q, and has %d sessions", more, s.left())
	}
	if resp, _ := w.call(6, "read"); resp.StatusCode != http.StatusOK {
		t.Errorf("a call: %s", resp.Status)
	}
	f.keep[0].cutOff.Store(nil)
	err := error(mcp.NoAuthority(mcp.ReasonMinority, time.Second))
	f.keep[0].undying.Store(&err)
	if resp, body := w.whole(w.do(http.MethodDelete, "", "")); resp.StatusCode != http.StatusBadGateway || !strings.Contains(body, "-32070") {
		t.Errorf("cut off meanwhile: %s %q", resp.Status, body)
	}
	f.keep[0].undying.Store(nil)
	if resp, body := w.call(7, "read"); resp.StatusCode != http.StatusOK { // it was not committed
		t.Errorf("a call: %s %s", resp.Status, body)
	}
	if resp, _ := w.whole(w.do(http.MethodDelete, "", "")); resp.StatusCode != http.StatusNoContent {
		t.Errorf("again: %s", resp.Status)
	}
	if resp, _ := w.call(8, "read"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("afterwards: %s", resp.Status)
	}
}

// TestChangeThatIsNotKept: what cannot be kept is taken back, and a move does not repeat it. Of what may have been kept
// the agent is told that nobody knows; it stays, since it may have been seen.
func TestChangeThatIsNotKept(t *testing.T) {
	for _, tc := range []struct {
		err   error
		code  string
		stays bool
	}{
		{mcp.Overloaded("session_copies", time.Second), "-32073", false},
		{mcp.NoAuthority(mcp.ReasonMinority, time.Second), "-32070", true},
	} {
		for _, inJSON := range []bool{true, false} {
			changeNotKept(t, &script{json: inJSON}, tc.err, tc.code, tc.stays)
		}
	}
}

func changeNotKept(t *testing.T, s *script, err error, code string, stays bool) {
	f := newFleet(t, 1, nil, s)
	w := f.dial()
	f.keep[0].failing.Store(&err)
	if _, body := w.post(`{"jsonrpc":"2.0","id":5,"method":"resources/subscribe","params":{"uri":"test://r"}}`); !strings.Contains(body, `"id":5,"error":{"code":`+code) {
		t.Errorf("%v: got %q", err, body)
	}
	f.keep[0].failing.Store(nil)
	if _, body := w.post(`{"jsonrpc":"2.0","id":6,"method":"logging/setLevel","params":{"level":"error"}}`); !strings.Contains(body, `"id":6,"result"`) {
		t.Errorf("%v: got %q", err, body)
	}
	if contents, _, _ := f.w.kept(w.id); strings.Contains(contents, "test://r") != stays || !strings.Contains(contents, "setLevel") {
		t.Errorf("%v: kept %s", err, contents)
	}
}

// What the keeper was told aside, nobody waited for: a change that happens to be part of it is kept as a change before
// its agent is answered.
func TestChangeToldAsideBefore(t *testing.T) {
	s := &script{json: true, get: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}}
	f := newFleet(t, 1, nil, s)
	w := f.dial()
	s.on = map[string]func(http.ResponseWriter, *http.Request, string){mcp.MethodSetLevel: func(rw http.ResponseWriter, _ *http.Request, id string) {
		stream := w.do(http.MethodGet, "", "") // of which the keeper is told aside
		defer stream.Body.Close()
		f.await(w.id, `"listens":true`)
		s.answer(rw, id, `{}`)
	}}
	err := error(mcp.NoAuthority(mcp.ReasonMinority, time.Second))
	f.keep[0].failing.Store(&err)
	if _, body := w.post(`{"jsonrpc":"2.0","id":6,"method":"logging/setLevel","params":{"level":"error"}}`); !strings.Contains(body, `"id":6,"error":{"code":-32070`) {
		t.Errorf("got %q", body)
	}
	if contents, _, _ := f.w.kept(w.id); !strings.Contains(contents, "setLevel") {
		t.Errorf("nothing is shown: kept %s", contents)
	}
}

func TestOpeningThatIsNotKept(t *testing.T) {
	s := &script{}
	f := newFleet(t, 1, nil, s)
	err := errors.New("no copy")
	f.keep[0].failing.Store(&err)
	w := &wire{t: t, url: f.at.URL, client: http.DefaultClient}
	resp, body := w.post(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"w","version":"1"}}}`)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Mcp-Session-Id") != "" || f.m.Count() != 0 {
		t.Errorf("%s %s, %d sessions", resp.Status, body, f.m.Count())
	}
	for deadline := time.Now().Add(5 * time.Second); s.left() != 0; {
		if time.Now().After(deadline) {
			t.Fatal("the node keeps a session")
		}
		soon(t, time.After(time.Millisecond))
	}
}

// TestRelayedChangeInAMinority: what another gateway has sent here may have lain here while this process was stopped, and be
// done elsewhere by now: a change that cannot be committed is not made at the node. An agent of this gateway's own is told that
// it is in a minority, and its changes are made.
func TestRelayedChangeInAMinority(t *testing.T) {
	s := &script{json: true}
	f := newFleet(t, 1, nil, s)
	w := f.dial()
	level := func(id int) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"logging/setLevel","params":{"level":"debug"}}`, id)
	}
	f.keep[0].cutOff.Store(mcp.NoAuthority(mcp.ReasonMinority, time.Second))
	before := len(s.seen())
	w.relay = "another"
	if _, body := w.post(level(5)); !strings.Contains(body, `"id":5,"error":{"code":-32071`) {
		t.Errorf("relayed: %q", body)
	}
	if more := s.seen()[before:]; len(more) > 0 {
		t.Errorf("the node saw %q", more)
	}
	if resp, _ := w.call(6, "read"); resp.StatusCode != http.StatusOK {
		t.Errorf("a relayed call: %s", resp.Status)
	}
	w.relay = ""
	if resp, body := w.post(level(7)); resp.StatusCode != http.StatusOK || !strings.Contains(body, `"id":7,"result"`) {
		t.Errorf("the agent's own: %s %q", resp.Status, body)
	}
	f.keep[0].cutOff.Store(nil)
	w.relay = "another"
	if resp, body := w.post(level(8)); resp.StatusCode != http.StatusOK {
		t.Errorf("control: relayed, and no minority: %s %q", resp.Status, body)
	}
}
