package gateway

import (
	"context"
	"net/http"
	"strings"

	"github.com/quorate/quorate/gateway/mcp"
)

// maxHops is how many gateways may pass a request on: one around a cut link to the region that serves it.
const maxHops = 2

// scope is how far a request may go, by how far it has come. The zero value is an agent's own request.
type scope struct {
	origin string // region of the gateway that passed it on, where it must not go back
	via    string // gateways passed, separated by commas
	local  bool   // only this region's own nodes may serve it
	check  bool   // it is another gateway's look at this region's health
	// It is an agent's own request that another gateway of the fleet sends to the owner of its session: it is
	// served here or nowhere.
	relayed bool
}

type scopeKey struct{}

func scopeOf(r *http.Request) scope {
	s, _ := r.Context().Value(scopeKey{}).(scope)
	return s
}

// ServeForwarded serves a request that another region's gateway passes on. The caller has made sure that
// it is one: its fields are believed.
func (g *Gateway) ServeForwarded(w http.ResponseWriter, r *http.Request, origin string) {
	s := scope{origin: origin, via: r.Header.Get(mcp.HeaderVia)}
	hops := 0
	for name := range strings.SplitSeq(s.via, ",") {
		if name = strings.TrimSpace(name); name != "" {
			hops++
		}
		if name == g.cfg.Name {
			mcp.WriteError(w, loop("this request has been here already"), nil)
			return
		}
	}
	if hops > maxHops {
		mcp.WriteError(w, loop("this request was passed on too often"), nil)
		return
	}
	if r.Header.Get(mcp.HeaderRelay) != "" {
		g.serveScoped(w, r, scope{relayed: true})
		return
	}
	s.check = r.Header.Get(mcp.HeaderHops) == "0"
	s.local = s.check || hops >= maxHops
	g.serveScoped(w, r, s)
}

// serveScoped serves a request that another gateway has sent.
func (g *Gateway) serveScoped(w http.ResponseWriter, r *http.Request, s scope) {
	r = r.WithContext(context.WithValue(r.Context(), scopeKey{}, s))
	v := g.view.Load()
	g.boundBody(w, r)
	g.serve(w, r, v)
}

// loop refuses a request that goes in circles; the gateway that sent it here may ask elsewhere.
func loop(message string) *mcp.Error {
	e := nothingFits("loop")
	e.Message, e.HTTPStatus = message, http.StatusLoopDetected
	return e
}

// passed is the list of gateways with this one added.
func (s scope) passed(name string) string {
	if s.via == "" {
		return name
	}
	return s.via + "," + name
}

// allows reports whether a request may use a region, given by index and name.
func (s *scope) allows(i int, name string) bool {
	return i == 0 || !s.local && name != s.origin
}
