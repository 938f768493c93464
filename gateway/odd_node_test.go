package gateway

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/internal/beside"
	"github.com/quorate/quorate/regions"
)

// rawNode is a node that answers every request with the same bytes and closes if it must.
func rawNode(t *testing.T, id, answer string) *node {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	beside.Serve(t, l, func(c net.Conn) { answerAll(c, answer) })
	return &node{id: regions.NodeID(id), eras: regions.Modern, server: &httptest.Server{URL: "http://" + l.Addr().String()}}
}

func answerAll(c net.Conn, answer string) {
	for in := bufio.NewReader(c); ; {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if _, err := io.WriteString(c, answer); err != nil || strings.HasPrefix(answer, "HTTP/1.0") {
			return
		}
	}
}

// Whatever a node sends, the agent gets an HTTP answer or a broken connection, and never a panic or what
// was left of another answer. Asked by HTTP/1.1 and HTTP/2.
func TestOddAnswersOfNodes(t *testing.T) {
	tests := []struct {
		name, answer string
		status       int // 0: the connection breaks
		body         string
	}{
		{"HTTP/1.0 without a length", "HTTP/1.0 200 OK\r\n\r\nold", 200, "old"},
		{"HTTP/1.0 with one", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", 200, "old"},
		{"early hints", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
		{"204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody", 204, ""},
		{"304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n", 304, ""},
		{"empty", "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202, ""},
		{"trailers", "HTTP/1.1 200 OK\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-End: 1\r\n\r\n", 200, "ok"},
		{"lengths that differ", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", 200, "-32070"},
		{"length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok"},
		{"a length beyond counting", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc", 200, "-32070"},
		{"a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc", 200, "-32070"},
		{"a chunk beyond counting", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc", 0, ""},
		{"another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc", 200, "-32070"},
		{"status 000", "HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
		{"status 999", "HTTP/1.1 999 Much\r\nContent-Length: 2\r\n\r\nok", 999, "ok"},
		{"field with a blank", "HTTP/1.1 200 OK\r\nX Y: z\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
		{"two answers", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret", 200, "ok"},
		{"fields of its connection", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nProxy-Connection: x\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
		{"an early end of an event", "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: half", 200, "-32070"},
	}
	for _, test := range tests {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(test.name+"/"+protocol, func(t *testing.T) {
				s := start(t, nil, rawNode(t, "a", test.answer))
				panics, url := bothVersions(t, s)
				for range 2 {
					status, body := ask(t, url, protocol)
					if status != test.status || !strings.Contains(body, test.body) || (len(test.body) < 4 && body != test.body) {
						t.Errorf("got %d %q", status, body)
					}
				}
				if strings.Contains(panics.String(), "panic") {
					t.Error(panics.String())
				}
			})
		}
	}
}

// bothVersions serves the gateway by both versions of HTTP and keeps the server's log.
func bothVersions(t *testing.T, s *setup) (*bytes.Buffer, string) {
	var logged bytes.Buffer
	server := httptest.NewUnstartedServer(s.gateway)
	server.Config.ErrorLog = log.New(&logged, "", 0)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return &logged, server.URL + "/mcp"
}

// ask makes a once call and returns status and body, 0 for a broken connection.
func ask(t *testing.T, url, protocol string) (int, string) {
	t.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	tr.Protocols.SetHTTP1(protocol == "HTTP/1.1")
	tr.Protocols.SetUnencryptedHTTP2(protocol == "HTTP/2.0")
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"charge",`+modernMeta+`}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {"charge"}}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.Proto != protocol {
		t.Errorf("answered by %s", resp.Proto)
	}
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(body)
}

// An answer that breaks off in the middle can only be cut. It is counted, and its span ends.
func TestCutAnswerIsCounted(t *testing.T) {
	ended := make(chan string, 1)
	n := modern("a", func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, `{"jsonrpc":"2.0",`)
		_ = http.NewResponseController(w).Flush()
		hangUp(w)
	})
	s := start(t, func(c *Config, _ *Service) { c.Tracer = tracer(ended) }, n)
	_, url := bothVersions(t, s)
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		if status, body := ask(t, url, protocol); status != 0 {
			t.Errorf("got %d %q", status, body)
		}
		if outcome := <-ended; outcome != "unknown" {
			t.Errorf("span ended as %s", outcome)
		}
	}
	figures := func() []RequestCount { return s.gateway.Figures()[0].Requests }
	for tick := time.Tick(time.Millisecond); len(figures()) != 1 || figures()[0].Count != 2; {
		<-tick
	}
	if got := figures()[0]; got.Outcome != "unknown" || got.MethodClass != "call" {
		t.Errorf("counted as %+v", got)
	}
}

// tracer tells how requests' spans end.
type tracer chan<- string

func (e tracer) Request(r *http.Request, _ string, _ RequestSpan) (*http.Request, func(string)) {
	return r, func(outcome string) { e <- outcome }
}

func (e tracer) Attempt(context.Context, AttemptSpan) ([]upstream.Field, func(string)) {
	return nil, func(string) {}
}

// An id is what it says, however its node spells it: a call that was answered must not be told that its outcome is not known.
func TestAnswerUnderTheSameIDSpeltOtherwise(t *testing.T) {
	for _, ids := range [][2]string{{`"\u00e9"`, `"é"`}, {`"a<b"`, `"a\u003cb"`}, {`1.0`, `1`}} {
		n := modern("a", func(w http.ResponseWriter, _ *http.Request) {
			events(w, `{"jsonrpc":"2.0","id":`+ids[1]+`,"result":{"resultType":"complete"}}`)
			hangUp(w)
		})
		resp := start(t, nil, n).post(t, `{"jsonrpc":"2.0","id":`+ids[0]+`,"method":"tools/call","params":{"name":"charge","arguments":{},`+modernMeta+`}}`,
			"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "charge")
		if got := text(t, resp); strings.Count(got, "data:") != 1 || !strings.Contains(got, `"result"`) {
			t.Errorf("id %s answered as %s: %q", ids[0], ids[1], got)
		}
	}
}
