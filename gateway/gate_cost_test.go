package gateway

import (
	"net/http/httptest"
	"testing"

	"github.com/quorate/quorate/gateway/mcp"
)

// routed returns what decides on a write as it is routed.
func routed(t testing.TB) func() bool {
	s := start(t, governed(majority(5)), modern("a", ok))
	p := s.gateway.view.Load().byPath["/mcp"]
	m := &message{env: mcp.Envelope{Kind: mcp.KindRequest, Method: mcp.MethodToolsCall, Name: "charge"}, policy: &p.policies[0]}
	r, w := httptest.NewRequest("POST", "/mcp", nil), httptest.NewRecorder()
	return func() bool {
		permit, e := s.gateway.authorize(w, r, p.asked(m, r.Header))
		return permit != nil && e == nil
	}
}

func TestGateAllocatesNothing(t *testing.T) {
	decide := routed(t)
	if n := testing.AllocsPerRun(1000, func() {
		if !decide() {
			t.Error("an open gate refuses")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAuthorize(b *testing.B) {
	decide := routed(b)
	b.ReportAllocs()
	for b.Loop() {
		decide()
	}
}
