package session_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
)

func TestReleaseIsFinal(t *testing.T) {
	s, ticks := ticking()
	f := newFleet(t, 2, nil, s)
	w := f.dial()
	got := make(chan *http.Response, 1)
	go func() { got <- w.do(http.MethodPost, callOf(1, "read"), "") }()
	ticks <- "one"
	open := soon(t, got)
	if _, ok := f.m.Release(w.id); ok {
		t.Fatal("released with a call under way")
	}
	close(ticks)
	w.whole(open)
	var contents []byte
	for deadline, ok := time.Now().Add(5*time.Second), false; !ok; {
		contents, ok = f.m.Release(w.id)
		if time.Now().After(deadline) {
			t.Fatal("not released")
		}
	}
	again, ok := f.m.Release(w.id)
	if !ok || !bytes.Equal(again, contents) || f.m.Owns(w.id) {
		t.Fatalf("asked again: %v %q, owned %v", ok, again, f.m.Owns(w.id))
	}
	f.w.give(w.id)
	f.switchTo(1)
	if resp, _ := w.call(2, "read"); resp.StatusCode != http.StatusOK || !f.m.Owns(w.id) {
		t.Fatalf("at the other gateway: %s", resp.Status)
	}
	f.switchTo(0)
	if resp, body := w.call(3, "read"); resp.StatusCode != http.StatusMisdirectedRequest || !strings.Contains(body, "at B") {
		t.Fatalf("at the one that gave it away: %s %q", resp.Status, body)
	}
	if s.initializes() != 1 {
		t.Errorf("%d initializes", s.initializes())
	}
}

// TestReleaseAgainstCalls: a session is either given away or serves a call, never both.
func TestReleaseAgainstCalls(t *testing.T) {
	s := &script{json: true}
	f := newFleet(t, 1, nil, s)
	for range 50 {
		w := f.dial()
		var wg sync.WaitGroup
		var released atomic.Bool
		wg.Go(func() {
			_, ok := f.m.Release(w.id)
			released.Store(ok)
		})
		resp, _ := w.call(1, "read")
		wg.Wait()
		if finds := f.keep[0].finds.Swap(0); resp.StatusCode != http.StatusOK || finds > 0 && !released.Load() {
			t.Fatalf("%s, released %v, looked for %d times", resp.Status, released.Load(), finds)
		}
	}
}

// gate is a write gate that a test closes, or turns into something that happens as a write is about to leave.
type gate struct{ ask func() bool }

func (g gate) Allow() bool   { return g.ask() }
func (g gate) Fence() uint64 { return 7 }

// TestWriteOfAnEndedLife: between routing and the first byte the life may end.
func TestWriteOfAnEndedLife(t *testing.T) {
	s := &script{json: true}
	f := newFleet(t, 2, nil, s)
	w := f.dial()
	f.beds[0].permit = gate{func() bool {
		f.keep[0].end()
		return true
	}}
	resp, body := w.call(1, "once")
	if calls := strings.Count(strings.Join(s.seen(), "\n"), "tools/call"); calls != 0 {
		t.Fatalf("the node saw %d calls", calls)
	}
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "-32071") {
		t.Fatalf("%s %q", resp.Status, body)
	}
	f.switchTo(1)
	f.beds[1].permit = gate{func() bool { return true }}
	if resp, _ := w.call(2, "once"); resp.StatusCode != http.StatusOK {
		t.Fatalf("at the other gateway: %s", resp.Status)
	}
}

// TestNewLifeGoesOnInPlace: a gateway that was fenced and owns the session again has not lost its streams.
func TestNewLifeGoesOnInPlace(t *testing.T) {
	s := &script{}
	f := newFleet(t, 2, nil, s)
	w := f.dial()
	w.call(1, "read")
	f.keep[0].begin()
	if f.m.Owns(w.id) {
		t.Fatal("owned by an ended life")
	}
	if resp, _ := w.call(2, "read"); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	if f.m.Count() != 1 || strings.Contains(f.logs.String(), "restored") {
		t.Errorf("%d sessions, and one was made anew", f.m.Count())
	}
	// The other one takes it over and changes it: what is here is of no use any more.
	f.keep[0].end()
	f.switchTo(1)
	if _, body := w.post(`{"jsonrpc":"2.0","id":3,"method":"logging/setLevel","params":{"level":"error"}}`); !strings.Contains(body, `"id":3,"result"`) {
		t.Fatal(body)
	}
	f.keep[1].end()
	f.keep[0].begin()
	f.switchTo(0)
	if resp, _ := w.call(4, "read"); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	for id, contents := range f.m.Keepable() {
		if id != w.id || !strings.Contains(string(contents), "setLevel") {
			t.Errorf("%s: %s", id, contents)
		}
	}
	if f.m.Count() != 1 || s.initializes() != 1 {
		t.Errorf("%d sessions, %d initializes", f.m.Count(), s.initializes())
	}
}

// TestManyFindOne: a session is looked for once, however many ask, and made once.
func TestManyFindOne(t *testing.T) {
	s := &script{json: true}
	f := newFleet(t, 2, nil, s)
	w := f.dial()
	f.kill(0, 1)
	f.keep[1].gate = make(chan struct{})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if resp, body := w.call(i, "read"); resp.StatusCode != http.StatusOK {
				t.Errorf("%s %s", resp.Status, body)
			}
		})
	}
	for f.keep[1].finds.Load() == 0 {
		soon(t, time.After(time.Millisecond))
	}
	close(f.keep[1].gate)
	wg.Wait()
	if f.m.Count() != 1 || s.initializes() != 1 {
		t.Errorf("%d sessions, %d initializes", f.m.Count(), s.initializes())
	}
}

func TestRestore(t *testing.T) {
	f := newFleet(t, 2, nil, &script{})
	w := f.dial()
	contents, _, _ := f.w.kept(w.id)
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(contents), &fields); err != nil {
		t.Fatal(err)
	}
	with := func(name, value string) []byte {
		fields := map[string]json.RawMessage{}
		_ = json.Unmarshal([]byte(contents), &fields)
		fields[name] = json.RawMessage(value)
		b, _ := json.Marshal(fields)
		return b
	}
	m, life := f.beds[1].m, f.keep[1].Life()
	if err := m.Restore("x", life, with("format", "2"), nil); !errors.Is(err, session.ErrFormat) {
		t.Errorf("a newer format: %v", err)
	}
	for name, bad := range map[string][]byte{"no JSON": []byte("{"), "no format": with("format", "0"),
		"no initialize": with("initialize", `{"jsonrpc":"2.0","id":1,"method":"ping"}`),
		"not a setting": with("subscriptions", `[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"once"}}]`)} {
		if err := m.Restore("x", life, bad, nil); err == nil {
			t.Errorf("%s: restored", name)
		}
	}
	for range 2 {
		if err := m.Restore(w.id, life, []byte(contents), http.Header{}); err != nil || m.Count() != 1 || !m.Owns(w.id) {
			t.Fatalf("%v, %d sessions", err, m.Count())
		}
	}
	m.Yield(w.id)
	if m.Count() != 0 || m.Owns(w.id) {
		t.Errorf("%d sessions", m.Count())
	}
}

// TestShutdownLeavesSessions: they go on elsewhere, so nothing is deleted anywhere.
func TestShutdownLeavesSessions(t *testing.T) {
	s := &script{}
	f := newFleet(t, 2, nil, s)
	w := f.dial()
	if err := f.m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, deleted, _ := f.w.kept(w.id); deleted || s.left() != 1 {
		t.Fatalf("deleted %v, %d at the node", deleted, s.left())
	}
	if found := f.m.Locate(t.Context(), w.id, nil); found.Where != session.Nowhere || f.keep[0].finds.Load() != 0 {
		t.Fatalf("looked for by a gateway that ends: %v", found.Where)
	}
	f.kill(0, 1)
	if resp, _ := w.call(1, "read"); resp.StatusCode != http.StatusOK || s.initializes() != 1 {
		t.Errorf("%s, %d initializes", resp.Status, s.initializes())
	}
}

// TestUnreadAnswerIsNotGivenAway: only the gateway that has it can give it to the agent.
func TestUnreadAnswerIsNotGivenAway(t *testing.T) {
	s, ticks := ticking()
	f := newFleet(t, 1, nil, s)
	w := f.dial()
	got := make(chan *http.Response, 1)
	go func() { got <- w.do(http.MethodPost, callOf(1, "read"), "") }()
	ticks <- "one"
	open := soon(t, got)
	last := next(t, mcp.NewEventReader(open.Body, 1<<20)).ID
	open.Body.Close()
	for f.open.Load() > 0 { // until it is noticed that the agent has left
		soon(t, time.After(time.Millisecond))
	}
	ticks <- ""
	for range 20 { // the call ends soon, with an answer that nobody has read
		if _, ok := f.m.Release(w.id); ok {
			t.Fatal("given away with an answer that was not read")
		}
		soon(t, time.After(time.Millisecond))
	}
	if _, body := w.whole(w.do(http.MethodGet, "", last)); !strings.Contains(body, `"id":1,"result"`) {
		t.Fatalf("%q", body)
	}
	for deadline, ok := time.Now().Add(5*time.Second), false; !ok; _, ok = f.m.Release(w.id) {
		if time.Now().After(deadline) {
			t.Fatal("not given away although everything was read")
		}
	}
}

// TestSameStateIsKeptOnce: who sets what is set does not trouble the keeper.
func TestSameStateIsKeptOnce(t *testing.T) {
	f := newFleet(t, 1, nil, &script{json: true})
	w := f.dial()
	level := `{"jsonrpc":"2.0","id":5,"method":"logging/setLevel","params":{"level":"error"}}`
	w.post(level)
	_, _, before := f.w.kept(w.id)
	for range 3 {
		w.post(level)
		w.call(6, "read")
	}
	if _, _, after := f.w.kept(w.id); after != before {
		t.Errorf("kept %d times more", after-before)
	}
}
