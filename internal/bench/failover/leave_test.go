package failover

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Agents of a site that is left open new connections for their next calls; others keep theirs, and nothing is lost.
func TestLeave(t *testing.T) {
	var made [2]atomic.Int64
	front := func(i int) string {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			id, _, _ := strings.Cut(strings.TrimPrefix(string(body), `{"jsonrpc":"2.0","id":`), ",")
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+id+`,"result":{"content":[]}}`)
		}))
		srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				made[i].Add(1)
			}
		}
		srv.Start()
		t.Cleanup(srv.Close)
		return srv.URL
	}
	load, err := NewLoad(LoadConfig{Think: time.Millisecond, Seed: 3, Sites: []Site{
		{Name: "left", URL: front(0), Agents: Mix{ModernRaw: 1}}, {Name: "kept", URL: front(1), Agents: Mix{ModernRaw: 1}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	load.Start(t.Context())
	more := func(n int64) {
		for end := load.Figures().Calls + n; load.Figures().Calls < end; {
			<-time.After(time.Millisecond)
		}
	}
	more(30)
	before := made[0].Load()
	load.Leave("left")
	more(60)
	load.Stop()
	if left, kept, f := made[0].Load()-before, made[1].Load(), load.Figures(); before != 1 || left < 1 || left > leaves || kept != 1 || f.SafeLost != 0 {
		t.Errorf("connections: %d before, %d after, %d at the other site; %+v", before, left, kept, f)
	}
}
