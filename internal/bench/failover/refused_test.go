package failover

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/mcpnode"
)

// barring answers reads, and every write with the error of a closed write gate; of reads too, if all says so.
func barring(t *testing.T, all bool) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id, _, _ := strings.Cut(strings.TrimPrefix(string(body), `{"jsonrpc":"2.0","id":`), ",")
		tool := r.Header.Get("Mcp-Name")
		w.Header().Set("Content-Type", "application/json")
		if all || tool == mcpnode.ToolCharge || tool == mcpnode.ToolSet {
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"no authority"}}`, id, CodeNoAuthority)
			return
		}
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+id+`,"result":{"content":[]}}`)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// played lets one raw agent call until it has tried some writes.
func played(t *testing.T, url string, gated bool) *Load {
	t.Helper()
	load, err := NewLoad(LoadConfig{
		Think: time.Millisecond, Seed: 5, Gated: gated, Sites: []Site{{Name: "here", URL: url, Agents: Mix{ModernRaw: 1}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	load.Start(t.Context())
	for end := time.Now().Add(10 * time.Second); load.Figures().Calls < 20 && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
	load.Stop()
	return load
}

func TestRefusedWritesAreNeitherLostNorUnknown(t *testing.T) {
	load := played(t, barring(t, false), true)
	f := load.Figures()
	if w := f.Writes["here"]; w.Refused < 5 || w.Done != 0 || f.SafeLost+f.Unknown != 0 {
		t.Errorf("%+v", f)
	}
	res := load.Result(nil)
	if res.Refused != f.Writes["here"].Refused || len(res.Violations(0)) != 0 || len(res.Samples) != 0 {
		t.Errorf("%q, %+v", res.Violations(0), res)
	}
}

func TestRefusalsAreFailures(t *testing.T) {
	for name, tt := range map[string]struct{ gated, all bool }{
		"of fronts without gates": {false, false},
		"of reads":                {true, true},
	} {
		if res := played(t, barring(t, tt.all), tt.gated).Result(nil); res.SafeLost == 0 || len(res.Violations(0)) == 0 || len(res.Samples) == 0 {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

func TestARefusedWriteThatRanIsALie(t *testing.T) {
	for _, once := range []bool{false, true} {
		var r Result
		r.judge(effect{id: "a", once: once, outcome: barred}, execution{})
		if r.False+r.Lost+r.Unknown != 0 {
			t.Errorf("once %v: %+v", once, r)
		}
		if r.judge(effect{id: "a", once: once, outcome: barred}, execution{started: 1}); r.False != 1 {
			t.Errorf("once %v: %+v", once, r)
		}
	}
}
