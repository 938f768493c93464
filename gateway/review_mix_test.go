package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Many agents at once, with bodies and answers on both sides of every buffer's size, half of which leave
// in the middle: each of the others gets its own answer and nothing of another's.
func TestNobodySeesTheAnswerOfAnother(t *testing.T) {
	sizes := []int{1, 4 << 10, copyBuffer - 1, copyBuffer, copyBuffer + 1, 100 << 10}
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if len(body)%2 == 0 {
			_ = http.NewResponseController(w).Flush() // of unknown length
		}
		_, _ = w.Write(body)
	}
	s := start(t, nil, modern("a", echo), modern("b", echo))
	_, url := bothVersions(t, s)
	var wg sync.WaitGroup
	for agent := range 8 {
		tr := &http.Transport{Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP1(agent%2 == 0)
		tr.Protocols.SetUnencryptedHTTP2(agent%2 == 1)
		t.Cleanup(tr.CloseIdleConnections)
		wg.Go(func() {
			for i := range 60 {
				head := `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"charge","arguments":{"x":"`
				tail := `"},` + modernMeta + `}}`
				fill := max(1, sizes[i%len(sizes)]-len(head)-len(tail)) // to the byte
				body := head + strings.Repeat(fmt.Sprintf("<%d.%d>", agent, i), fill)[:fill] + tail
				exchange(t, tr, url, body, i%3 == 2, i%2 == 0)
			}
		})
	}
	wg.Wait()
	p := s.gateway.view.Load().byPath["/mcp"]
	for tick := time.Tick(time.Millisecond); p.budget.Active() != 0; { // those who left are noticed in time
		<-tick
	}
	for _, m := range p.members {
		if n := m.node.InFlight(); n != 0 {
			t.Errorf("%d in flight at the end", n)
		}
	}
}

// exchange sends body and wants it back; leave goes away in the middle of the answer.
func exchange(t *testing.T, tr *http.Transport, url, body string, leave, chunked bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var in io.Reader = strings.NewReader(body)
	if chunked {
		in = io.MultiReader(in)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, in)
	if err != nil {
		t.Error(err)
		return
	}
	r.Header = http.Header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {"charge"}}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	if leave {
		_, _ = io.ReadFull(resp.Body, make([]byte, min(len(body), 100)))
		return
	}
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != body {
		t.Errorf("sent %d bytes, got %d others, status %d, %v: %.200s", len(body), len(got), resp.StatusCode, err, got)
	}
}
