package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

// dial opens a connection to the gateway that sends what no HTTP client would.
func (s *setup) dial(t *testing.T, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	address, _, _ := strings.Cut(strings.TrimPrefix(s.url, "http://"), "/")
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, strings.ReplaceAll(request, "HOST", address)); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// A request that is refused before its body came must not hold its connection for as long as the body
// does not come.
func TestRefusedRequestWithoutItsBodyHoldsNoConnection(t *testing.T) {
	s := start(t, func(c *Config, _ *Service) { c.BodyTimeout, c.MaxBody = 50*time.Millisecond, 1<<10 }, modern("a", ok))
	for name, head := range map[string]string{
		"unknown path":  "POST /other HTTP/1.1\r\nHost: HOST\r\nContent-Length: 100\r\n\r\n",
		"foreign host":  "POST /mcp HTTP/1.1\r\nHost: evil.example.com\r\nContent-Length: 100\r\n\r\n",
		"wrong method":  "PUT /mcp HTTP/1.1\r\nHost: HOST\r\nContent-Length: 100\r\n\r\n",
		"modern DELETE": "DELETE /mcp HTTP/1.1\r\nHost: HOST\r\nMCP-Protocol-Version: 2026-07-28\r\nTransfer-Encoding: chunked\r\n\r\n",
		"too large":     "POST /mcp HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, r := s.dial(t, head)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode < 400 {
				t.Errorf("status %d, %v", resp.StatusCode, err)
			}
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("the connection is still open: %v", err)
			}
		})
	}
}

// A length that an agent only claims takes no memory.
func TestClaimedLengthTakesNoMemory(t *testing.T) {
	const claimed = 64 << 20
	space := make([]byte, 1)
	first := -1
	body, err := readAtMost(readerFunc(func(p []byte) (int, error) {
		if first < 0 {
			first = len(p)
		}
		return 0, io.EOF
	}), claimed, space, claimed)
	if err != nil || len(body) != 0 || first > 1<<20 {
		t.Errorf("%d bytes made ready for a body that never came; got %d bytes, %v", first, len(body), err)
	}
	whole := strings.Repeat("0123456789", 300_000)
	for _, length := range []int64{-1, int64(len(whole))} {
		body, err = readAtMost(strings.NewReader(whole), length, space, int64(len(whole)))
		if err != nil || string(body) != whole {
			t.Errorf("length %d: got %d bytes, %v", length, len(body), err)
		}
		if _, err = readAtMost(strings.NewReader(whole+"x"), length, space, int64(len(whole))); !errors.Is(err, errBodyTooLarge) {
			t.Errorf("length %d: one byte more gave %v", length, err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A header on which gateway and node may disagree is refused, whatever the method: with two session ids
// the gateway would see none, and the node one of its own.
func TestDoubtfulHeadersAreRefusedForEveryMethod(t *testing.T) {
	n := modern("a", ok)
	s := start(t, nil, n)
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPost} {
		body := ""
		if method == http.MethodPost {
			body = `{"jsonrpc":"2.0","id":7,"method":"ping"}`
		}
		_, r := s.dial(t, fmt.Sprintf("%s /mcp HTTP/1.1\r\nHost: HOST\r\nMcp-Session-Id: one\r\nMcp-Session-Id: two\r\nContent-Length: %d\r\n\r\n%s", method, len(body), body))
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text := text(t, resp); resp.StatusCode != http.StatusBadRequest || !strings.Contains(text, `-32020`) {
			t.Errorf("%s: got %d %s", method, resp.StatusCode, text)
		}
	}
	if n.calls.Load() != 0 {
		t.Errorf("%d of them reached the node", n.calls.Load())
	}
}

// A service is complete before anybody can see its pool: its parts ask for it from their first request on.
func TestNewServiceHasItsPoolAtOnce(t *testing.T) {
	s := start(t, nil, modern("a", ok))
	fresh := newFleet(s.gateway.cfg.Logger)
	g := &Gateway{cfg: s.gateway.cfg, buffers: s.gateway.buffers, fleet: fresh}
	p, err := g.pool(&view{table: s.table(t)}, s.gateway.view.Load().byPath["/mcp"].settings, make(map[nodeKey]bool))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close(t.Context())
	if p.current.Load() != p {
		t.Fatal("whoever comes before the announcement finds no pool")
	}
	if len(p.modernNodes(scope{})) != 1 {
		t.Error("the node is not in it")
	}
}

// A node may say how long its stream will be; the agent's is another one as soon as anything goes wrong.
func TestStreamOfKnownLengthGoesOnAtAnotherNode(t *testing.T) {
	first := string(mcp.AppendEvent(nil, mcp.Event{Data: []byte(progress(1))}))
	for _, length := range []int{len(first) + 1, 10_000} {
		serve := inTurn(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(length))
			events(w, progress(1))
			hangUp(w)
		}, func(w http.ResponseWriter, r *http.Request) { events(w, progress(1), progress(2), result) })
		s := start(t, nil, modern("a", serve), modern("b", serve))
		want := ""
		for _, d := range []string{progress(1), progress(2), result} {
			want += "data: " + d + "\n\n"
		}
		if got := text(t, s.callTool(t, "read")); got != want {
			t.Errorf("length %d: got\n%s\nwant\n%s", length, got, want)
		}
	}
}
