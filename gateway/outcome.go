package gateway

import (
	"net/http"
	"strings"

	"github.com/quorate/quorate/gateway/mcp"
)

// statusWriter remembers the status that a session answered with, for the request counter, and says when a
// slower region answered than the request asked for.
type statusWriter struct {
	http.ResponseWriter
	p      *pool
	policy *policy
	status int
}

func (p *pool) writer(w http.ResponseWriter, y *policy) *statusWriter {
	return &statusWriter{ResponseWriter: w, p: p, policy: y}
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
		w.p.markSpilled(w.Header(), w.policy)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// outcome is by the status, but for the gateway's own word that a write was refused: that is in band.
func (w *statusWriter) outcome() Outcome {
	if why := w.Header()[mcp.HeaderRefused]; len(why) > 0 && strings.HasPrefix(why[0], mcp.RefusedNoAuthority) {
		return Refused
	}
	return outcomeOf(w.status)
}

// markSpilled says it in an answer's header. The region is the one that the header names: another gateway
// may have passed the request on.
func (p *pool) markSpilled(h http.Header, y *policy) {
	named := h[mcp.HeaderRegion]
	if len(named) == 0 || named[0] == p.table.Region {
		return
	}
	for i := range p.regions {
		if r := p.regions[i].info; r.Name == named[0] && r.Class > y.class {
			h[mcp.HeaderSpilled] = []string{r.Class.String()}
			p.counters.spilled[y.class].Add(1)
		}
	}
}
