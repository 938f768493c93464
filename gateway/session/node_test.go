package session_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/gateway/mcp"
)

// TestPlainJSONNodes: nodes that answer in JSON send everything else on the standalone stream.
func TestPlainJSONNodes(t *testing.T) {
	opts := &sdk.StreamableHTTPOptions{JSONResponse: true}
	a, other := newNode(t, "a", opts), newNode(t, "b", opts)
	bed := newBed(t, nil, a.handler, other.handler)
	agent := newAgent(t, bed.front.URL)
	a.holding.Store(true)
	call := agent.call("steps")
	soon(t, a.held)
	soon(t, agent.progress)
	soon(t, agent.progress)
	bed.places[0].kill()
	if o := soon(t, call); o.err != nil || o.text != "b" {
		t.Fatalf("got %q, %v", o.text, o.err)
	}
	call = agent.call("ask")
	agent.answer <- "accept"
	if o := soon(t, call); o.err != nil || o.text != "b:accept" {
		t.Fatalf("ask: got %q, %v", o.text, o.err)
	}
}

// TestAnswerCutInTheMiddle: a JSON answer that breaks off is no answer.
func TestAnswerCutInTheMiddle(t *testing.T) {
	for tool, want := range map[string]string{"read": `"id":1,"result"`, "once": `"id":1,"error":{"code":-32070`} {
		var runs atomic.Int64
		s := &script{json: true}
		s.on = map[string]func(http.ResponseWriter, *http.Request, string){
			"tools/call": func(w http.ResponseWriter, _ *http.Request, id string) {
				if runs.Add(1) > 1 {
					s.answer(w, id, `{}`)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Content-Length", "1000")
				_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":` + id + `,"res`))
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			},
		}
		b := newBed(t, nil, s)
		resp, body := dial(t, b).call(1, tool)
		if !strings.Contains(body, want) {
			t.Errorf("%s: %s %q", tool, resp.Status, body)
		}
		if b.migrated.Load() != 0 {
			t.Errorf("%s: a broken connection cost the session", tool)
		}
	}
}

func TestLargeAnswer(t *testing.T) {
	s := &script{json: true}
	big := strings.Repeat("x", 300<<10)
	s.on = map[string]func(http.ResponseWriter, *http.Request, string){
		"resources/read": func(w http.ResponseWriter, _ *http.Request, id string) { s.answer(w, id, `"`+big+`"`) },
	}
	w := dial(t, newBed(t, nil, s))
	if _, body := w.post(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"u"}}`); !strings.Contains(body, big) {
		t.Fatalf("%d bytes", len(body))
	}
}

// TestBlackHole: the node accepts and says nothing, until its probe fails too.
func TestBlackHole(t *testing.T) {
	stuck := make(chan struct{})
	s := &script{}
	s.on = map[string]func(http.ResponseWriter, *http.Request, string){
		"tools/call": func(_ http.ResponseWriter, r *http.Request, _ string) {
			select {
			case <-stuck:
			case <-r.Context().Done():
			}
		},
	}
	b := newBed(t, nil, s, &script{})
	w := dial(t, b)
	b.places[0].hole.Store(true)
	began := time.Now()
	_, body := w.call(1, "read")
	took := time.Since(began)
	close(stuck)
	if !strings.Contains(body, `"id":1,"result"`) || took > time.Second {
		t.Fatalf("after %v: %q", took, body)
	}
}

func TestServersNumbersNeverCollide(t *testing.T) {
	// Both nodes number their requests from 1; the agent must be able to tell them apart.
	question := func(s *script) func(http.ResponseWriter, *http.Request, string) {
		return func(w http.ResponseWriter, r *http.Request, id string) {
			s.events(w, `data: {"jsonrpc":"2.0","id":1,"method":"roots/list","params":{"_meta":{"progressToken":1}}}`+"\n\n")
			s.events(w, `data: {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`+"\n\n")
			s.answer(w, id, "{}")
		}
	}
	a, other := &script{}, &script{}
	a.on = map[string]func(http.ResponseWriter, *http.Request, string){"tools/call": question(a)}
	other.on = map[string]func(http.ResponseWriter, *http.Request, string){"tools/call": question(other)}
	b := newBed(t, nil, a, other)
	w := dial(t, b)
	seen := make(map[string]bool)
	for i := range 2 {
		_, body := w.call(i+10, "read")
		events := mcp.NewEventReader(strings.NewReader(body), 1<<20)
		ask := next(t, events)
		env, err := mcp.Scan(ask.Data)
		if err != nil {
			t.Fatal(err)
		}
		id := string(env.ID.Of(ask.Data))
		if seen[id] || string(env.ProgressToken.Of(ask.Data)) != id {
			t.Errorf("asked under id %s, token %s", id, env.ProgressToken.Of(ask.Data))
		}
		seen[id] = true
		cancel := next(t, events)
		if env, err = mcp.Scan(cancel.Data); err != nil || string(env.RequestID.Of(cancel.Data)) != id {
			t.Errorf("cancelled %q, want %s", cancel.Data, id)
		}
		// It is cancelled, and its node may be gone: the answer goes nowhere.
		if resp, _ := w.post(`{"jsonrpc":"2.0","id":` + id + `,"result":{"roots":[]}}`); resp.StatusCode != http.StatusAccepted {
			t.Errorf("late answer: %s", resp.Status)
		}
		b.places[0].kill()
	}
}

func TestCancelledCallIsNotSentAgain(t *testing.T) {
	s, ticks := ticking()
	other := &script{}
	b := newBed(t, nil, s, other)
	w := dial(t, b)
	resp := make(chan *http.Response, 1)
	go func() { resp <- w.do(http.MethodPost, callOf(42, "read"), "") }()
	ticks <- "one"
	open := soon(t, resp)
	if resp, _ := w.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":42}}`); resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%s", resp.Status)
	}
	close(ticks)
	b.places[0].kill()
	if _, body := w.whole(open); strings.Contains(body, `"result"`) || !strings.Contains(body, `"id":42,"error"`) {
		t.Fatalf("got %q", body)
	}
	if resp, _ := w.call(43, "read"); resp.StatusCode != 200 {
		t.Fatalf("afterwards: %s", resp.Status)
	}
	if calls := strings.Count(strings.Join(other.seen(), "\n"), "tools/call"); calls != 1 {
		t.Errorf("the new node saw %q", other.seen())
	}
}

func TestBatch(t *testing.T) {
	s := &script{}
	got := make(chan string, 1)
	batch := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !bytes.HasPrefix(body, []byte("[")) {
			r.Body = io.NopCloser(bytes.NewReader(body))
			s.ServeHTTP(w, r)
			return
		}
		got <- string(body)
		s.events(w, `data: [{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","method":"notifications/message","params":{}}]`+"\n\n")
		s.events(w, `data: {"jsonrpc":"2.0","id":"two","result":{}}`+"\n\n")
	})
	w := dial(t, newBed(t, nil, batch))
	_, body := w.post(`[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":99,"result":{}},{"jsonrpc":"2.0","id":"two","method":"tools/list"}]`)
	if sent := soon(t, got); strings.Contains(sent, "99") {
		t.Errorf("the node got an answer to nothing: %s", sent)
	}
	for _, want := range []string{`"id":1,`, `"id":"two"`, "notifications/message"} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing in %q", want, body)
		}
	}
	if resp, _ := w.post(`[{"jsonrpc":"2.0","id":99,"result":{}}]`); resp.StatusCode != http.StatusAccepted {
		t.Errorf("a batch of absorbed answers: %s", resp.Status)
	}
}

// TestBatchSentAgain: what was answered before the node was lost is not answered again.
func TestBatchSentAgain(t *testing.T) {
	s := &script{}
	var runs atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !bytes.HasPrefix(body, []byte("[")) {
			r.Body = io.NopCloser(bytes.NewReader(body))
			s.ServeHTTP(w, r)
			return
		}
		s.events(w, `data: {"jsonrpc":"2.0","id":1,"result":{}}`+"\n\n")
		if runs.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		s.events(w, `data: {"jsonrpc":"2.0","id":2,"result":{}}`+"\n\n")
	})
	b := newBed(t, nil, handler)
	b.class = mcp.Hedge
	_, body := dial(t, b).post(`[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]`)
	if strings.Count(body, `"id":1,`) != 1 || strings.Count(body, `"id":2,`) != 1 || runs.Load() != 2 {
		t.Errorf("%d runs: %q", runs.Load(), body)
	}
}

// TestStreamMovesBeforeTheCalls: or what tools say on it at once would be lost.
func TestStreamMovesBeforeTheCalls(t *testing.T) {
	var open, early atomic.Int64
	wait := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		soon(t, time.After(10*time.Millisecond))
		open.Add(1)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	a, other := &script{get: wait}, &script{get: wait}
	other.on = map[string]func(http.ResponseWriter, *http.Request, string){
		"tools/call": func(w http.ResponseWriter, _ *http.Request, id string) {
			if open.Load() < 2 {
				early.Add(1)
			}
			other.answer(w, id, "{}")
		},
	}
	b := newBed(t, nil, a, other)
	w := dial(t, b)
	listen := w.do(http.MethodGet, "", "")
	defer listen.Body.Close()
	b.places[0].kill()
	w.call(1, "read")
	if early.Load() > 0 {
		t.Error("a call came before the stream was open")
	}
	wantEvent(t, next(t, mcp.NewEventReader(listen.Body, 1<<20)), "tools/list_changed")
	if open.Load() != 2 {
		t.Errorf("%d streams were opened", open.Load())
	}
}

// TestRenewedCredentialsInACallSentAgain: the token it came with may have expired meanwhile.
func TestRenewedCredentialsInACallSentAgain(t *testing.T) {
	s, ticks := ticking()
	other := &script{}
	b := newBed(t, nil, s, other)
	w := dial(t, b)
	opened := make(chan *http.Response, 1)
	go func() { opened <- w.do(http.MethodPost, callOf(1, "read"), "") }()
	ticks <- "one"
	resp := soon(t, opened)
	w.auth = "Bearer renewed"
	w.post(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	close(ticks)
	b.places[0].kill()
	if _, body := w.whole(resp); !strings.Contains(body, `"id":1,"result"`) {
		t.Fatalf("got %q", body)
	}
	if seen := other.seen(); !slices.Contains(seen, "POST tools/call Bearer renewed") {
		t.Errorf("the new node saw %q", seen)
	}
}

// TestConnectionsAreUsedAgain: the end of an answer is read, for the sake of its connection.
func TestConnectionsAreUsedAgain(t *testing.T) {
	n := newNode(t, "a", nil)
	b := newBed(t, nil, n.handler)
	w := dial(t, b)
	before := b.places[0].connections.Load()
	for i := range 20 {
		w.call(i+1, "where")
	}
	if more := b.places[0].connections.Load() - before; more > 3 {
		t.Errorf("20 calls in a row took %d new connections", more)
	}
}

// TestDeleteIsNoLoss: a node that is told to end a session ends its streams, and nobody must take that
// for a reason to open the session again.
func TestDeleteIsNoLoss(t *testing.T) {
	bed, a, b := pair(t)
	for range 10 {
		if err := newAgent(t, bed.front.URL).Close(); err != nil {
			t.Fatal(err)
		}
	}
	if left := slices.Collect(b.server.Sessions()); len(left) != 0 || strings.Contains(bed.logs.String(), "leaves") {
		t.Errorf("%d sessions were opened on another node", len(left))
	}
	if left := slices.Collect(a.server.Sessions()); len(left) != 0 {
		t.Errorf("%d sessions are left", len(left))
	}
}
