package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quorate/quorate/gateway/mcp"
)

// charging is a node that keeps sessions and says how often any of its tools was called.
func charging(id string) *node {
	n := stateful(id)
	serve, calls := n.serve, 0
	n.serve = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if !strings.Contains(string(body), mcp.MethodToolsCall) || r.Header.Get("Mcp-Session-Id") == "" {
			serve(w, r)
			return
		}
		calls++
		answerJSON(w, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"by":%q,"n":%d}}`, idOf(r), id, calls))
	}
	return n
}

// A session whose gateway and node were lost together has no node yet when its agent repeats a key elsewhere: the call
// is answered by the ledger all the same, and one under another key runs once.
func TestKeyInASessionThatLostItsNodeToo(t *testing.T) {
	for _, on := range []bool{true, false} {
		t.Run(fmt.Sprint("ledger ", on), func(t *testing.T) {
			g := &group{}
			fleet := &owners{of: map[string]string{}, kept: map[string][]byte{}, dead: map[string]bool{}}
			at := func(name string, n *node) *setup {
				change := keeps(t, g.join(t, name), majority(1))
				return start(t, func(c *Config, s *Service) {
					if on {
						change(c, s)
					}
					c.Name, c.Keeper = name, owner{fleet, name}
				}, n)
			}
			a, b := at("a", charging("first")), at("b", charging("second"))
			session := a.openSession(t)
			call := func(s *setup, id, key string) *http.Response {
				return s.post(t, `{"jsonrpc":"2.0","id":`+id+`,"method":"tools/call","params":{"name":"charge","_meta":{"`+mcp.MetaIdempotencyKey+`":"`+key+`"}}}`,
					"Mcp-Session-Id", session, "MCP-Protocol-Version", "2025-06-18")
			}
			wantAnswer(t, call(a, `1`, "k"), false, `"by":"first","n":1`)
			fleet.set(func() { fleet.dead["a"] = true })
			if !on {
				wantAnswer(t, call(b, `2`, "k"), false, `"by":"second","n":1`)
				return
			}
			wantAnswer(t, call(b, `2`, "k"), true, `"id":2`, `"by":"first","n":1`)
			wantAnswer(t, call(b, `3`, "other"), false, `"by":"second","n":1`)
			wantAnswer(t, call(b, `4`, "other"), true, `"by":"second","n":1`)
		})
	}
}
