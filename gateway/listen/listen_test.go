package listen

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/gateway/mcp"
)

var everything = []string{
	mcp.NotificationToolsChanged, mcp.NotificationPromptsChanged, mcp.NotificationResourcesChanged,
	mcp.NotificationResourceUpdated + " file:///a", mcp.NotificationResourceUpdated + " file:///b",
}

func TestFanIn(t *testing.T) {
	w := newWorld(t, Config{})
	a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
	w.set(a, b, c)
	agent := w.listen(`"s-1"`, allKinds)
	agent.ack(`"s-1"`)
	for _, n := range []*node{a, b, c} {
		n.tool("new")
		agent.want(`"s-1"`, mcp.NotificationToolsChanged)
		n.updated("file:///b")
		agent.want(`"s-1"`, mcp.NotificationResourceUpdated+" file:///b")
	}
	if s := w.hub.Stats(); s != (Stats{Streams: 1}) {
		t.Errorf("stats %+v", s)
	}
}

// A node dies and comes back at its address: the agent's stream stays, the gap is covered, events flow.
func TestNodeDiesAndReturns(t *testing.T) {
	w := newWorld(t, Config{})
	a, b := newNode(t, "a"), newNode(t, "b")
	w.set(a, b)
	agent := w.listen("7", allKinds)
	agent.ack("7")
	a.kill()
	b.tool("meanwhile")
	agent.want("7", mcp.NotificationToolsChanged)
	a.start(a.addr)
	agent.want("7", everything...)
	a.tool("again")
	agent.want("7", mcp.NotificationToolsChanged)
	if s := w.hub.Stats(); s.Relistens != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestEveryNodeDies(t *testing.T) {
	w := newWorld(t, Config{})
	a := newNode(t, "a")
	w.set(a)
	agent := w.listen("7", tools)
	agent.ack("7")
	for range 3 {
		a.kill()
		a.start(a.addr)
		agent.want("7", mcp.NotificationToolsChanged)
	}
}

func TestPoolChanges(t *testing.T) {
	w := newWorld(t, Config{})
	a, b := newNode(t, "a"), newNode(t, "b")
	w.set(a)
	agent := w.listen("1", allKinds)
	agent.ack("1")
	w.set(a, b)
	agent.want("1", everything...)
	b.tool("new")
	agent.want("1", mcp.NotificationToolsChanged)

	w.set(b) // a leaves, and is let go of
	eventually(t, "a's stream ends", func() bool { return a.open.Load() == 0 })
	b.tool("newer")
	agent.want("1", mcp.NotificationToolsChanged)

	w.set() // for a while there is nobody: the agent's stream stays
	eventually(t, "b's stream ends", func() bool { return b.open.Load() == 0 })
	w.set(a, b)
	for range 2 * len(everything) { // the two nodes' changes may or may not be coalesced
		if m := agent.method("1"); m == mcp.NotificationResourceUpdated+" file:///b" && a.open.Load()+b.open.Load() == 2 {
			break
		}
	}
}

func TestAgentLeaves(t *testing.T) {
	w := newWorld(t, Config{})
	a, b := newNode(t, "a"), newNode(t, "b")
	w.set(a, b)
	agent := w.listen("1", tools)
	agent.ack("1")
	if a.open.Load() != 1 || b.open.Load() != 1 {
		t.Fatalf("%d and %d streams open", a.open.Load(), b.open.Load())
	}
	agent.cancel()
	eventually(t, "the nodes' streams end", func() bool { return a.open.Load()+b.open.Load() == 0 })
	<-w.ended
	if s := w.hub.Stats(); s.Streams != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestClose(t *testing.T) {
	w := newWorld(t, Config{})
	w.set(newNode(t, "a"), newNode(t, "b"))
	agent := w.listen(`"x"`, tools)
	agent.ack(`"x"`)
	w.hub.Close(t.Context())
	var end struct {
		ID     string
		Result struct {
			ResultType string
			Meta       map[string]any `json:"_meta"`
		}
	}
	if err := json.Unmarshal([]byte(agent.next()), &end); err != nil {
		t.Fatal(err)
	}
	if end.ID != "x" || end.Result.ResultType != "complete" || end.Result.Meta[mcp.MetaSubscriptionID] != "x" {
		t.Errorf("last frame %+v", end)
	}
	if more, open := <-agent.events; open {
		t.Errorf("after the result came %q", more)
	}
	w.hub.Close(t.Context()) // twice is fine
	resp := post(t.Context(), t, w.url, listenBody("1", `,"notifications":`+tools))
	wantError(t, resp, http.StatusOK, mcp.CodeNothingFits, "shutting_down")
}

func wantError(t *testing.T, resp *http.Response, status, code int, reason string) {
	t.Helper()
	defer resp.Body.Close()
	var e struct {
		ID    json.RawMessage
		Error struct {
			Code int
			Data struct{ Reason string }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status || e.Error.Code != code || e.Error.Data.Reason != reason || string(e.ID) != "1" {
		t.Errorf("status %d, %+v", resp.StatusCode, e)
	}
}

func TestNobodyThere(t *testing.T) {
	for _, name := range []string{"refused", "empty pool"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Config{})
			if name == "refused" {
				a, b := newNode(t, "a"), newNode(t, "b")
				a.kill()
				b.kill()
				w.set(a, b)
			}
			resp := post(t.Context(), t, w.url, listenBody("1", `,"notifications":`+tools))
			wantError(t, resp, http.StatusOK, mcp.CodeNothingFits, "no_node_reached")
		})
	}
}

// What all nodes refuse reaches the agent as a node said it, byte for byte.
func TestAllRefuse(t *testing.T) {
	plain := func(status int, contentType, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("WWW-Authenticate", "Bearer x")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
	rpc := `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}`
	for _, tc := range []struct {
		name  string
		serve http.Handler // nil: the go-sdk server
		body  string
	}{
		{"go-sdk, no notifications", nil, listenBody("1", "")},
		{"go-sdk, unknown version", nil, strings.ReplaceAll(listenBody("1", `,"notifications":`+tools), "2026-07-28", "2027-01-01")},
		{"404 JSON", plain(404, "application/json", rpc), listenBody("1", `,"notifications":`+tools)},
		{"401 plain", plain(401, "text/plain", "who are you"), listenBody("1", `,"notifications":`+tools)},
		{"200 JSON", plain(200, "application/json", rpc), listenBody("1", `,"notifications":`+tools)},
		{"200 stream with an error", plain(200, "text/event-stream", "event: message\ndata: "+rpc+"\n\n"), listenBody("1", `,"notifications":`+tools)},
		{"200 stream with a result at once", plain(200, "text/event-stream", "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n"), listenBody("1", `,"notifications":`+tools)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, Config{})
			a, b, dead := newNode(t, "a"), newNode(t, "b"), newNode(t, "dead")
			dead.kill()
			if tc.serve != nil {
				a.serve, b.serve = tc.serve, tc.serve
			}
			w.set(a, b, dead)
			var got [2]string
			for i, url := range []string{"http://" + b.addr, w.url} {
				resp := post(t.Context(), t, url, tc.body)
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				got[i] = fmt.Sprintf("%d %s %s\n%s", resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("WWW-Authenticate"), body)
			}
			if got[0] != got[1] || len(got[0]) < 20 {
				t.Errorf("direct %s\nthrough %s", got[0], got[1])
			}
		})
	}
}

// One node refuses, the other listens: the agent gets its stream.
func TestSomeRefuse(t *testing.T) {
	w := newWorld(t, Config{})
	a, b := newNode(t, "a"), newNode(t, "b")
	a.serve = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	w.set(a, b)
	agent := w.listen("1", tools)
	agent.ack("1")
	b.tool("new")
	agent.want("1", mcp.NotificationToolsChanged)
}

func TestNothingToTell(t *testing.T) {
	w := newWorld(t, Config{})
	w.set(newNode(t, "a"), newNode(t, "b"))
	agent := w.listen("1", `{}`)
	agent.ack("1")
	if end := agent.next(); !strings.Contains(end, `"resultType":"complete"`) {
		t.Errorf("end %q", end)
	}
	if more := agent.next(); more != "" {
		t.Errorf("after the result came %q", more)
	}
}

// Nodes of one pool agree on different things: the agent is told what it gets in all.
func TestMergedAcknowledgement(t *testing.T) {
	w := newWorld(t, Config{})
	a, b := newNode(t, "a"), newNode(t, "b")
	b.server.RemovePrompts("p")
	a.server.RemoveResources("file:///a")
	for n, agreed := range map[*node]string{
		a: `{"toolsListChanged":true,"resourceSubscriptions":["file:///a"],"x/tasks":["1"]}`,
		b: `{"promptsListChanged":true,"toolsListChanged":false,"resourceSubscriptions":["file:///b"]}`,
	} {
		n.serve = script("event: message\ndata: " + string(frame(mcp.NotificationListenAck, "1", agreed)) + "\n\n")
	}
	w.set(a, b)
	agent := w.listen("1", allKinds)
	got := agreementIn([]byte(agent.next()))
	uris := got.list(resourceURIs)
	if !got.has(toolsChanged) || !got.has(promptsChanged) || got.has(resourcesChanged) || len(uris) != 2 || string(got["x/tasks"]) != `["1"]` {
		t.Errorf("acknowledged %s", got)
	}
}

func frame(method, id, notifications string) []byte {
	return []byte(`{"jsonrpc":"2.0","method":"` + method + `","params":{"_meta":{"` + mcp.MetaSubscriptionID + `":` + id + `},"notifications":` + notifications + `}}`)
}

// script is a node that sends these bytes and then keeps its stream open.
func script(stream string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, stream)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
}

// What a node may send beside notifications: only those and comments get through, whole.
func TestStrangeEvents(t *testing.T) {
	ack := "event: message\ndata: " + string(frame(mcp.NotificationListenAck, "1", tools)) + "\n\n"
	note := func(name string) string { return `{"jsonrpc":"2.0","method":"` + name + `"}` }
	w := newWorld(t, Config{MaxEvent: 1 << 10})
	a := newNode(t, "a")
	a.serve = script("id: 9\ndata: \n\n" + // priming event
		"data: " + note("notifications/early") + "\n\n" +
		ack + ack + // a second acknowledgement
		"data: not json\n\n" +
		"data: [1]\n\n" +
		`data: {"jsonrpc":"2.0","id":5,"method":"sampling/createMessage"}` + "\n\n" +
		"id: 10\nretry: 5\ndata: " + note("notifications/kept") + "\n\n" +
		"data: " + note("notifications/last") + "\n\n")
	w.set(a)
	resp := post(t.Context(), t, w.url, listenBody("1", `,"notifications":`+tools))
	defer resp.Body.Close()
	want := ack + "data: " + note("notifications/kept") + "\n\n" + "data: " + note("notifications/last") + "\n\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
		t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
	}
	if s := w.hub.Stats(); s.Dropped != 5 {
		t.Errorf("stats %+v", s)
	}
}

func TestEventTooLarge(t *testing.T) {
	w := newWorld(t, Config{MaxEvent: 1 << 10})
	a, b := newNode(t, "a"), newNode(t, "b")
	a.serve = script("data: " + string(frame(mcp.NotificationListenAck, "1", tools)) + "\n\ndata: " + strings.Repeat("x", 2<<10) + "\n\n")
	w.set(a, b)
	agent := w.listen("1", tools)
	agent.ack("1")
	agent.want("1", mcp.NotificationToolsChanged) // a is given up and listened to again
	if asked := a.asked.Load(); asked < 2 {
		t.Errorf("asked %d times", asked)
	}
}

// A node that does not answer delays the acknowledgement no longer than Settle; when it comes round,
// the agent is told of changes.
func TestSettle(t *testing.T) {
	w := newWorld(t, Config{Settle: 20 * time.Millisecond})
	a, slow := newNode(t, "a"), newNode(t, "slow")
	answer := make(chan struct{})
	sdkServe := slow.serve
	slow.serve = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-answer
		sdkServe.ServeHTTP(w, r)
	})
	w.set(a, slow)
	agent := w.listen("1", tools)
	agent.ack("1")
	a.tool("new")
	agent.want("1", mcp.NotificationToolsChanged)
	close(answer)
	agent.want("1", mcp.NotificationToolsChanged)
	slow.tool("new")
	agent.want("1", mcp.NotificationToolsChanged)
}

func TestTooManyStreams(t *testing.T) {
	w := newWorld(t, Config{MaxStreams: 1})
	w.set(newNode(t, "a"))
	w.listen("1", tools).ack("1")
	resp := post(t.Context(), t, w.url, listenBody("1", `,"notifications":`+tools))
	wantError(t, resp, http.StatusOK, mcp.CodeOverloaded, "too_many_streams")
}

// The go-sdk client as the agent: its handlers are called, through the death of a node.
func TestSDKClient(t *testing.T) {
	w := newWorld(t, Config{})
	a, b := newNode(t, "a"), newNode(t, "b")
	w.set(a, b)
	heard := make(chan string, 100)
	client := sdk.NewClient(&sdk.Implementation{Name: "agent", Version: "1"}, &sdk.ClientOptions{
		ToolListChangedHandler:   func(context.Context, *sdk.ToolListChangedRequest) { heard <- "tools" },
		PromptListChangedHandler: func(context.Context, *sdk.PromptListChangedRequest) { heard <- "prompts" },
	})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	session, err := client.Connect(t.Context(), &sdk.StreamableClientTransport{Endpoint: w.url, HTTPClient: &http.Client{Transport: transport}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	wait := func(want string) {
		t.Helper()
		for deadline := time.After(patience); ; {
			select {
			case got := <-heard:
				if got == want {
					return
				}
			case <-deadline:
				t.Fatalf("%s not heard", want)
			}
		}
	}
	eventually(t, "both nodes are listened to", func() bool { return a.open.Load() == 1 && b.open.Load() == 1 })
	b.tool("new")
	wait("tools")
	b.kill()
	b.start(b.addr)
	wait("prompts") // nothing changed there: this is the gap being covered
	b.tool("newer")
	wait("tools")
	if _, err := session.ListTools(t.Context(), nil); err != nil {
		t.Errorf("a call beside the stream: %v", err)
	}
}

// An agent that does not read holds nothing up for ever, and what waits for it is bounded.
func TestStuckAgent(t *testing.T) {
	for _, name := range []string{"timeout", "close"} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{MaxEvent: 64 << 10, MaxQueue: 16, WriteTimeout: 200 * time.Millisecond}
			if name == "close" {
				cfg.WriteTimeout = time.Hour
			}
			w := newWorld(t, cfg)
			a := newNode(t, "a")
			filling := make(chan struct{})
			a.serve = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				fmt.Fprintf(w, "data: %s\n\n", frame(mcp.NotificationListenAck, "1", tools))
				big := `data: {"jsonrpc":"2.0","method":"notifications/x","params":{"x":"` + strings.Repeat("x", 32<<10) + "\"}}\n\n"
				for i := 0; r.Context().Err() == nil; i++ {
					if i == 1000 {
						close(filling)
					}
					_, _ = io.WriteString(w, big)
				}
			})
			w.set(a)
			conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			body := listenBody("1", `,"notifications":`+tools)
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nMcp-Method: subscriptions/listen\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			if name == "close" {
				<-filling // 32 MB are on their way: the write is stuck, or will be
				eventually(t, "events drop out", func() bool { return w.hub.Stats().Dropped > 100 })
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				w.hub.Close(ctx)
			}
			select {
			case <-w.ended:
			case <-time.After(patience):
				t.Fatal("the stream does not end")
			}
			eventually(t, "the node's stream ends", func() bool { return a.open.Load() == 0 })
		})
	}
}

// One request must not make the gateway write many times its own size after every gap.
func TestTooManyResources(t *testing.T) {
	w := newWorld(t, Config{})
	a := newNode(t, "a")
	w.set(a)
	uris := strings.Repeat(`"u",`, maxURIs) + `"u"`
	resp := post(t.Context(), t, w.url, listenBody("1", `,"notifications":{"resourceSubscriptions":[`+uris+`]}`))
	wantError(t, resp, http.StatusOK, mcp.CodeInvalidParams, "too_many_resources")
	if a.asked.Load() != 0 {
		t.Error("it reached a node")
	}
}

// An agent that has sent more than its request leaves unnoticed by the server: its stream must not stay for good.
func TestAgentThatIsGoneAfterTooMuch(t *testing.T) {
	w := newWorld(t, Config{KeepAlive: 5 * time.Millisecond})
	w.set(newNode(t, "a"))
	c, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	body := listenBody("1", `,"notifications":`+tools)
	if _, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"+
		"Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	if _, err := c.Write([]byte("\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	_ = resp.Body.Close()
	eventually(t, "the stream has ended", func() bool { return w.hub.Stats().Streams == 0 })
}
