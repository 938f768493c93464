package gateway

import (
	"net/http"
	"strconv"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/internal/authority"
)

// Authority says whether this gateway may write. Its methods are called on the request path, by many at once: they
// must not block or allocate.
type Authority interface {
	// Allow reports whether a write may go out now.
	Allow() bool
	// Decide says what to do with a request now.
	Decide(authority.Asked) authority.Decision
	// Fence is the epoch that writes name to nodes and to other gateways: the log index of the last end of a life,
	// or change of the rule, that this gateway has applied. 0: none, and no write names it.
	Fence() uint64
}

// authorize decides on a request as it is routed, and says in the answer's header if this side is the minority. What
// it returns is asked again before every attempt; nil: the request needs no leave.
func (g *Gateway) authorize(w http.ResponseWriter, r *http.Request, a authority.Asked) (upstream.Permit, *mcp.Error) {
	if g.cfg.Authority == nil {
		return nil, nil
	}
	// A session is this gateway's own, and so is what it keeps for another gateway's session: that one has asked
	// its own gate first.
	a.Owned = true
	switch g.cfg.Authority.Decide(a) {
	case authority.Pass:
	case authority.Refuse:
		return nil, upstream.Closed.NoAuthority()
	default:
		w.Header()[mcp.HeaderAuthority] = []string{mcp.Minority}
	}
	if a.Kind != authority.Write || a.Exempt {
		return nil, nil
	}
	if e := g.outdated(w, r); e != nil {
		return nil, e
	}
	return g.cfg.Authority, nil
}

// outdated refuses another gateway's write of an epoch that is over: a gateway that stood still has slept through
// the end of its own life, and this one would give its write a new epoch.
func (g *Gateway) outdated(w http.ResponseWriter, r *http.Request) *mcp.Error {
	named := r.Header[mcp.HeaderFence]
	if scopeOf(r).via == "" || len(named) == 0 {
		return nil
	}
	own := g.cfg.Authority.Fence()
	if theirs, err := strconv.ParseUint(named[0], 10, 64); err == nil && theirs >= own {
		return nil
	}
	w.Header()[mcp.HeaderFence] = []string{strconv.FormatUint(own, 10)}
	e := upstream.Fenced.NoAuthority()
	e.HTTPStatus = http.StatusConflict
	return e
}

// asked is what authority has to know of a message.
func (p *pool) asked(m *message, h http.Header) authority.Asked {
	if m.env.Kind == mcp.KindBatch {
		return authority.Asked{Kind: p.batchKind(m.body, h)}
	}
	if m.keyed {
		return authority.Asked{Kind: authority.Write} // the ledger is one, whatever the tool does
	}
	return authority.Asked{Kind: p.authorityKind(&m.env), Exempt: m.policy.exempt}
}

// authorityKind sorts one message. What the vocabulary does not know is a write.
func (p *pool) authorityKind(e *mcp.Envelope) authority.Kind {
	if e.Kind == mcp.KindResponse {
		return authority.Read // to a question of a call that was let through
	}
	var hints mcp.ToolHints
	switch e.Method {
	case mcp.MethodPing, mcp.MethodDiscover:
		return authority.Probe
	case mcp.MethodInitialize, mcp.NotificationInitialized, mcp.MethodSetLevel,
		mcp.MethodSubscribe, mcp.MethodUnsubscribe, mcp.MethodListen:
		return authority.Upkeep
	case mcp.MethodToolsCall:
		hints = p.hints(e.Name)
	}
	if mcp.IsWrite(e.Method, hints) {
		return authority.Write
	}
	return authority.Read
}

// batchKind is the kind of the member that asks for most; each has its own route. One that cannot be read may hold
// anything.
func (p *pool) batchKind(body []byte, h http.Header) authority.Kind {
	most := authority.Probe
	err := mcp.ScanBatch(body, func(_ mcp.Span, e mcp.Envelope) error {
		k := p.authorityKind(&e)
		if k == authority.Write && p.policy(e.Method, e.Name, h).exempt {
			k = authority.Read // passes where reads do
		}
		most = max(most, k)
		return nil
	})
	if err != nil {
		return authority.Write
	}
	return most
}

// streamKind is the kind of a GET or DELETE.
func streamKind(method string) authority.Asked {
	if method == http.MethodDelete {
		return authority.Asked{Kind: authority.Upkeep}
	}
	return authority.Asked{Kind: authority.Read}
}
