package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/regions"
)

// report is what one good check found.
type report struct {
	facts   regions.Facts
	feed    feed          // where changes of the tool list are announced
	sent    time.Time     // when the last round trip began: the node lived after this moment
	latency time.Duration // of that round trip
}

// probe checks one node and remembers how to talk to it. One goroutine uses it at a time.
type probe struct {
	wire
	node   nature
	known  bool // node is filled in
	doubts bool // the last check failed, so the node may have come back as another
	left   []session
}

// session is a verification session that is of no more use and is yet to be ended on the node.
type session struct{ version, id string }

// maxLeft bounds the sessions kept to be ended; the oldest go first, the node expires them by itself.
const maxLeft = 8

// nature is what a node is, as far as it takes more than one request to find out.
type nature struct {
	named    []string // versions that server/discover named; nil when it was refused
	modern   string   // version to speak in the modern era, "" when it is not spoken
	legacy   string   // version negotiated by initialize, "" when that was refused
	stateful bool     // initialize gave a session
	session  string   // the verification session, kept only while checks go through it
	caps     capabilities
}

// capabilities are the server capabilities that matter here; a nil one is not offered.
type capabilities struct {
	Tools     *struct{ ListChanged bool } `json:"tools"`
	Resources *struct{}                   `json:"resources"`
	Prompts   *struct{}                   `json:"prompts"`
}

// check makes one real MCP round trip and returns what it showed. It finds out what the node is when
// that is not known, when the last check failed and when the node refuses what it used to answer,
// such as a session it has forgotten.
func (p *probe) check(ctx context.Context) (*report, error) {
	r, err := p.attempt(ctx)
	p.doubts = err != nil
	if err == nil {
		p.sweep(ctx)
	}
	return r, err
}

func (p *probe) attempt(ctx context.Context) (*report, error) {
	if p.known && p.doubts {
		if err := p.recognize(ctx); err != nil {
			return nil, err
		}
	}
	if p.known {
		r, err := p.look(ctx)
		if err == nil || !isFinal(err) {
			return r, err
		}
		p.forget()
	}
	if err := p.meet(ctx); err != nil {
		return nil, err
	}
	return p.look(ctx)
}

// recognize asks the node again which versions it speaks, and forgets it if that has changed. The
// verification session is kept otherwise: a node that was only slow still has it.
func (p *probe) recognize(ctx context.Context) error {
	d, err := p.discover(ctx)
	if err != nil {
		return err
	}
	if !slices.Equal(d.versions, p.node.named) {
		p.forget()
	} else if p.node.modern != "" {
		p.node.caps = d.caps
	}
	return nil
}

// meet finds out which eras the node speaks by speaking them: server/discover first, then initialize.
// A node may speak legacy without naming a legacy version, so initialize is tried in any case; and
// only what was answered counts.
func (p *probe) meet(ctx context.Context) error {
	d, err := p.discover(ctx)
	if err != nil {
		return err
	}
	n := nature{named: d.versions, modern: d.modern, caps: d.caps}
	err = p.initialize(ctx, &n)
	switch {
	case err == nil || n.modern != "" && isFinal(err):
	case n.modern != "" && legacyOf(n.named) == "" && isRefusal(err):
		// In trouble with an era that it never promised.
	case n.modern == "" && d.refused != nil:
		return fmt.Errorf("neither era is spoken: %w; %w", d.refused, err)
	default:
		return err
	}
	p.node, p.known = n, true
	if n.modern != "" && n.session != "" {
		p.leave(n.legacy, n.session) // checks go through the modern era
		p.node.session = ""
	}
	return nil
}

// forget drops what is known of the node and leaves the verification session.
func (p *probe) forget() {
	p.leave(p.node.legacy, p.node.session)
	p.node, p.known = nature{}, false
}

// initialize opens a legacy session and fills it into n.
func (p *probe) initialize(ctx context.Context, n *nature) error {
	ask := legacyOf(n.named)
	if ask == "" {
		ask = mcp.Version20251125
	}
	a, err := p.call(ctx, request{method: mcp.MethodInitialize, params: map[string]any{
		"protocolVersion": ask, "capabilities": map[string]any{}, "clientInfo": clientInfo(),
	}})
	if err != nil {
		return err
	}
	var result struct {
		ProtocolVersion string       `json:"protocolVersion"`
		Capabilities    capabilities `json:"capabilities"`
	}
	if err := json.Unmarshal(a.result, &result); err != nil || !plausible(result.ProtocolVersion) {
		return &refusal{Method: mcp.MethodInitialize, Status: http.StatusOK, Text: "the result names no version"}
	}
	err = p.notify(ctx, request{method: mcp.NotificationInitialized, version: result.ProtocolVersion, session: a.session})
	if err != nil {
		p.leave(result.ProtocolVersion, a.session)
		return err
	}
	n.legacy, n.session, n.stateful = result.ProtocolVersion, a.session, a.session != ""
	if n.modern == "" {
		n.caps = result.Capabilities
	}
	return nil
}

// leave notes a session to be ended later: the moment may be one at which the node does not answer.
func (p *probe) leave(version, id string) {
	if id == "" {
		return
	}
	p.left = append(p.left, session{version, id})
	p.left = p.left[max(0, len(p.left)-maxLeft):]
}

// sweep ends the sessions left. What the node says to it does not matter, as long as it was told.
func (p *probe) sweep(ctx context.Context) {
	for len(p.left) > 0 {
		s := p.left[0]
		resp, err := p.send(ctx, http.MethodDelete, request{version: s.version, session: s.id}, nil)
		if err != nil {
			return
		}
		_ = resp.Body.Close()
		p.left = p.left[1:]
	}
}

// idle closes connections that no request uses, so that the next check makes its own.
func (p *probe) idle() { p.client.CloseIdleConnections() }

// close ends the verification session within ctx and closes the node's connections.
func (p *probe) close(ctx context.Context) {
	p.forget()
	p.sweep(ctx)
	p.idle()
}
