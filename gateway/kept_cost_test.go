package gateway

import (
	"net/http/httptest"
	"testing"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
)

// settled returns what serves a call of a session that is here.
func settled(t *testing.T, keeper session.Keeper) func() int {
	s := start(t, func(c *Config, _ *Service) { c.Keeper, c.Authority = keeper, majority(5) }, stateful("n"))
	id := (&site{setup: s}).open(t)
	p := s.gateway.view.Load().byPath["/mcp"]
	body := []byte(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"charge"}}`)
	env, err := mcp.Scan(body)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/mcp", nil)
	r.Header.Set("Mcp-Session-Id", id)
	m := message{env: env, headers: mcp.ReadHeaders(r.Header), body: body, policy: p.policy(env.Method, env.Name, r.Header)}
	return func() int {
		w := httptest.NewRecorder()
		s.gateway.dispatch(w, r, p, m)
		return w.Code
	}
}

// TestSettledSessionCostsNothingMore: who owns a session is found out without an allocation.
func TestSettledSessionCostsNothingMore(t *testing.T) {
	measure := func(keeper session.Keeper) float64 {
		serve := settled(t, keeper)
		return testing.AllocsPerRun(500, func() {
			if code := serve(); code != 200 {
				t.Fatalf("%d", code)
			}
		})
	}
	o := owner{&owners{of: map[string]string{}, kept: map[string][]byte{}, dead: map[string]bool{}}, "a"}
	alone, kept := measure(nil), measure(o)
	t.Logf("allocations of an exchange, both sides: alone %v, kept %v", alone, kept)
	if kept > alone+1 { // the test's node and the collector count along
		t.Errorf("a kept session's call allocates %v times, one of this process's alone %v", kept, alone)
	}
}
