package edge

import (
	"net/http"
	"net/http/httputil"

	"github.com/quorate/quorate/gateway/mcp"
)

// headerRelayTo names the gateway that a request is for which another one carries there, as there is no link with it
// from where the request came to.
const headerRelayTo = mcp.OwnPrefix + "Relay-To"

// relay is what carries an agent's request to the gateway that owns its session: over the link with it, or by way of a
// gateway that has one.
func (e *Edge) relay(gateway string) http.RoundTripper {
	way := e.links.peers.TransportTo(gateway)
	if !(ways{e.links}).Up(gateway) {
		if third := e.sessions.keeper.Third(gateway); third != "" {
			way = byThird{e.links.peers.TransportTo(third), gateway}
		}
	}
	return e.sessions.out.over(gateway, way)
}

// byThird sends requests to a gateway that carries them on.
type byThird struct {
	http.RoundTripper
	to string
}

// RoundTrip implements http.RoundTripper.
func (t byThird) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(headerRelayTo, t.to)
	return t.RoundTripper.RoundTrip(r)
}

// carry takes a request to the gateway that it is for, if this is not the one and has a link with it. It reports false
// for a request that is to be served here.
func (e *Edge) carry(w http.ResponseWriter, r *http.Request) bool {
	to := r.Header.Get(headerRelayTo)
	r.Header.Del(headerRelayTo)
	if to == "" || to == e.cfg.Load().Name {
		return false
	}
	if r.Header.Get(mcp.HeaderRelay) == "" || !(ways{e.links}).Up(to) || !e.lives(to) {
		mcp.WriteError(w, mcp.NothingFits("session_moved", 0), nil)
		return true
	}
	p := httputil.ReverseProxy{
		Transport:     e.sessions.out.over(to, e.links.peers.TransportTo(to)),
		FlushInterval: -1,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "https", to, to
			for _, name := range [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if values, ok := p.In.Header[name]; ok { // the agent's side has said so, and it is no news of this hop
					p.Out.Header[name] = values
				}
			}
		},
		// What may have been sent and what has not looks alike from here: the gateway that sent it judges.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.ServeHTTP(w, r)
	return true
}
