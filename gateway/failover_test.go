package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

// inTurn serves the first request with the first handler, and so on; the last one serves the rest.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var n atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		i := min(int(n.Add(1)), len(handlers)) - 1
		handlers[i](w, r)
	}
}

// What a lost node costs, by the class of the call.
func TestNodeLostInFlight(t *testing.T) {
	read := func(r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
	losses := map[string]http.HandlerFunc{
		"before the answer": func(w http.ResponseWriter, r *http.Request) { read(r); hangUp(w) },
		"in the middle of a short answer": func(w http.ResponseWriter, r *http.Request) {
			read(r)
			w.Header().Set("Content-Length", "500")
			answerJSON(w, `{"jsonrpc":"2.0",`)
			_ = http.NewResponseController(w).Flush()
			hangUp(w)
		},
	}
	for name, lose := range losses {
		for tool, safe := range map[string]bool{"read": true, "set": true, "charge": false, "nobody-knows-it": false} {
			t.Run(name+"/"+tool, func(t *testing.T) {
				serve := inTurn(lose, ok)
				a, b := modern("a", serve), modern("b", serve)
				resp := start(t, nil, a, b).callTool(t, tool)
				executions := a.calls.Load() + b.calls.Load()
				if !safe {
					wantError(t, resp, 200, -32070, "7") // in band: see mcp.WriteAnswer
					if executions != 1 {
						t.Errorf("a once call was executed %d times", executions)
					}
					return
				}
				if body := text(t, resp); body != result || executions != 2 {
					t.Errorf("got %d %s after %d executions", resp.StatusCode, body, executions)
				}
			})
		}
	}
}

func TestRefusedConnectMovesEveryClass(t *testing.T) {
	for _, tool := range []string{"read", "set", "charge"} {
		a, b := modern("a", ok), modern("b", ok)
		s := start(t, nil, a, b)
		a.server.Close()
		if body := text(t, s.callTool(t, tool)); body != result {
			t.Errorf("%s: got %s", tool, body)
		}
	}
}

func TestNodeRefusalIsTriedElsewhereAndPassedOnLast(t *testing.T) {
	busy := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, "busy")
	}
	a, b := modern("a", busy), modern("b", busy)
	s := start(t, nil, a, b)
	resp := s.callTool(t, "read")
	if body := text(t, resp); resp.StatusCode != 503 || body != "busy" {
		t.Errorf("got %d %s, want the node's own answer", resp.StatusCode, body)
	}
	if a.calls.Load() != 1 || b.calls.Load() != 1 {
		t.Errorf("%d and %d calls, want one each", a.calls.Load(), b.calls.Load())
	}
	resp = s.callTool(t, "charge")
	if text(t, resp); resp.StatusCode != 503 || a.calls.Load()+b.calls.Load() != 3 {
		t.Errorf("a once call was retried on a refusal: %d calls", a.calls.Load()+b.calls.Load())
	}
}

func progress(n int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":%d}}`, n)
}

// An open stream of a retry-safe call goes on from another node: no event twice, none missing.
func TestStreamGoesOnAtAnotherNode(t *testing.T) {
	serve := inTurn(func(w http.ResponseWriter, r *http.Request) {
		events(w, progress(1), progress(2))
		hangUp(w)
	}, func(w http.ResponseWriter, r *http.Request) {
		events(w, progress(1), progress(2), progress(3), result)
	})
	s := start(t, nil, modern("a", serve), modern("b", serve))
	got := text(t, s.callTool(t, "read"))
	want := ""
	for _, d := range []string{progress(1), progress(2), progress(3), result} {
		want += "data: " + d + "\n\n"
	}
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestStreamOfOnceCallEndsWithUnknown(t *testing.T) {
	lose := func(w http.ResponseWriter, r *http.Request) {
		events(w, progress(1))
		hangUp(w)
	}
	a, b := modern("a", lose), modern("b", lose)
	s := start(t, nil, a, b)
	got := text(t, s.callTool(t, "charge"))
	if !strings.HasPrefix(got, "data: "+progress(1)+"\n\n") || !strings.Contains(got, `"id":7,"error":{"code":-32070,`) {
		t.Errorf("got %s", got)
	}
	if n := a.calls.Load() + b.calls.Load(); n != 1 {
		t.Errorf("%d executions", n)
	}
}

// A node may end a stream without an answer, to have the agent poll; that is no loss.
func TestStreamEndedInGoodOrderIsPassedOn(t *testing.T) {
	a := modern("a", func(w http.ResponseWriter, r *http.Request) { events(w, progress(1)) })
	s := start(t, nil, a)
	if got := text(t, s.callTool(t, "read")); got != "data: "+progress(1)+"\n\n" || a.calls.Load() != 1 {
		t.Errorf("got %q after %d calls", got, a.calls.Load())
	}
}

func TestSilentNodeIsLeftAndForgottenByAll(t *testing.T) {
	release := make(chan struct{})
	a := modern("a", func(w http.ResponseWriter, r *http.Request) { <-release })
	defer close(release)
	b := modern("b", ok)
	s := start(t, nil, a, b)
	s.world.dead = func(url string) bool { return strings.HasPrefix(url, a.server.URL) }
	began := time.Now()
	for range 20 {
		if body := text(t, s.callTool(t, "read")); body != result {
			t.Fatalf("got %s", body)
		}
	}
	if n := a.calls.Load(); n > 1 {
		t.Errorf("%d calls reached a node known to be dead", n)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

// With every node gone the answer must be 5xx: a 4xx would make agents take the service for a legacy one.
func TestOutageKeepsTheEra(t *testing.T) {
	a := modern("a", ok)
	s := start(t, nil, a)
	a.server.Close()
	for range 3 {
		resp := s.post(t, `{"jsonrpc":"2.0","id":7,"method":"server/discover","params":{`+modernMeta+`}}`,
			"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "server/discover")
		wantError(t, resp, 503, -32072, "7")
	}
}

func TestTaskStaysWithItsNode(t *testing.T) {
	node := func(id string) *node {
		return modern(id, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Mcp-Method") == "tools/call" {
				answerJSON(w, `{"jsonrpc":"2.0","id":7,"result":{"resultType":"task","taskId":"t-`+id+`"}}`)
				return
			}
			answerJSON(w, `{"jsonrpc":"2.0","id":7,"result":{"node":"`+id+`"}}`)
		})
	}
	a, b := node("a"), node("b")
	s := start(t, nil, a, b)
	text(t, s.callTool(t, "charge"))
	owner := "a"
	if b.calls.Load() > 0 {
		owner = "b"
	}
	for range 30 {
		resp := s.post(t, `{"jsonrpc":"2.0","id":7,"method":"tasks/get","params":{"taskId":"t-`+owner+`",`+modernMeta+`}}`,
			"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tasks/get", "Mcp-Name", "t-"+owner)
		if body := text(t, resp); !strings.Contains(body, `"node":"`+owner+`"`) {
			t.Fatalf("asked another node: %s", body)
		}
	}
}

func TestAgentLeavingCancelsTheCall(t *testing.T) {
	gone := make(chan struct{})
	begun := make(chan struct{})
	a := modern("a", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(begun)
		<-r.Context().Done()
		close(gone)
	})
	s := start(t, nil, a)
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"charge",`+modernMeta+`}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("MCP-Protocol-Version", "2026-07-28")
	r.Header.Set("Mcp-Method", "tools/call")
	r.Header.Set("Mcp-Name", "charge")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	failed := make(chan error, 1)
	go func() {
		resp, err := client.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		failed <- err
	}()
	<-begun
	cancel()
	<-failed
	<-gone
}

// A read-only call keeps its one execution however long it takes, also when the node is full.
func TestSlowCallsFillANodeAndComplete(t *testing.T) {
	var executions, probes atomic.Int32
	full, release := make(chan struct{}, 3), make(chan struct{})
	serve := func(w http.ResponseWriter, r *http.Request) {
		executions.Add(1)
		full <- struct{}{}
		<-release
		answerJSON(w, result)
	}
	s := start(t, func(c *Config, s *Service) { s.Suspect = 5 * time.Millisecond }, modern("a", serve))
	s.world.dead = func(string) bool { probes.Add(1); return false }
	answers := make(chan string, 3)
	for range 3 {
		go func() { answers <- text(t, s.callTool(t, "read")) }()
	}
	for range 3 {
		<-full
	}
	// The calls stay open until they were suspected ten times over, and passed each time.
	for tick := time.Tick(time.Millisecond); probes.Load() < 10; {
		<-tick
	}
	close(release)
	for range 3 {
		if got := <-answers; got != result {
			t.Errorf("got %s", got)
		}
	}
	if executions.Load() != 3 {
		t.Errorf("%d executions of 3 calls", executions.Load())
	}
}

// While nodes are of two releases, a call goes to one that has the tool.
func TestToolOfSomeNodesOnly(t *testing.T) {
	a, b := modern("a", ok), modern("b", ok)
	b.tools = map[string]regions.Tool{"new": {}, "read": {ReadOnly: true}}
	s := start(t, nil, a, b) // a has nearly all the weight
	for range 20 {
		if body := text(t, s.callTool(t, "new")); body != result {
			t.Fatalf("got %s", body)
		}
	}
	if a.calls.Load() != 0 || b.calls.Load() != 20 {
		t.Errorf("%d calls to the node without the tool, %d to the one with it", a.calls.Load(), b.calls.Load())
	}
	b.server.Close()
	if body := text(t, s.callTool(t, "new")); body != result || a.calls.Load() != 1 {
		t.Errorf("with no such node left, another one should answer: %s", body)
	}
}

// What an agent calls a method does not fill the log.
func TestLongMethodInTheLog(t *testing.T) {
	var out bytes.Buffer
	n := modern("a", func(w http.ResponseWriter, _ *http.Request) { hangUp(w) })
	s := start(t, func(c *Config, _ *Service) { c.Logger = slog.New(slog.NewJSONHandler(&out, nil)) }, n, modern("b", ok))
	method := strings.Repeat("x", 1<<20) + "/list"
	_ = text(t, s.post(t, `{"jsonrpc":"2.0","id":7,"method":"`+method+`"}`))
	if out.Len() > 64<<10 || !strings.Contains(out.String(), "retrying") {
		t.Errorf("%d bytes of log: %.500s", out.Len(), out.String())
	}
}

// A write that one node has begun may have landed, whatever the next one answers.
func TestBegunHereRefusedThere(t *testing.T) {
	a := modern("a", func(w http.ResponseWriter, _ *http.Request) {
		events(w, `{"jsonrpc":"2.0","method":"notifications/message","params":{}}`)
		hangUp(w)
	})
	b := modern("b", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) })
	for tool, code := range map[string]string{"set": "-32070", "read": "-32072"} {
		if got := text(t, start(t, nil, a, b).callTool(t, tool)); !strings.Contains(got, code) {
			t.Errorf("%s: %s", tool, got)
		}
	}
}
