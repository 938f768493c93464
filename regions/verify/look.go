package verify

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/regions"
)

// Bounds of a node's tool list. Tools beyond them are not known, and an unknown tool is never retried.
const (
	maxPages    = 64
	maxTools    = 10_000
	maxListed   = 32 << 20 // bytes of all pages together
	maxToolName = 1024
	maxCursor   = 64 << 10
)

// look is a check of a node whose nature is known: a list in its newest era.
func (p *probe) look(ctx context.Context) (*report, error) {
	tools, a, err := p.list(ctx)
	if err != nil {
		return nil, err
	}
	return &report{facts: p.node.facts(tools), feed: p.node.feed(), sent: a.sent, latency: a.took}, nil
}

// list asks for the first thing that the node says it has. Health by ping alone would mislead, so ping
// (discover in the modern era) is only for a node that has nothing to list.
func (p *probe) list(ctx context.Context) (map[string]regions.Tool, *answer, error) {
	caps := p.node.caps
	method := mcp.MethodPing
	switch {
	case caps.Tools != nil:
		return p.listTools(ctx)
	case caps.Resources != nil:
		method = mcp.MethodResourcesList
	case caps.Prompts != nil:
		method = mcp.MethodPromptsList
	case p.node.modern != "":
		method = mcp.MethodDiscover
	}
	a, err := p.call(ctx, p.node.request(method, nil))
	return nil, a, err
}

// request addresses method to the node in its newest era.
func (n *nature) request(method string, params map[string]any) request {
	if n.modern != "" {
		return request{method: method, version: n.modern, params: params}
	}
	return request{method: method, version: n.legacy, session: n.session, params: params}
}

// page is what is read of one answer to tools/list.
type page struct {
	Tools []struct {
		Name        string `json:"name"`
		Annotations struct {
			ReadOnly   bool `json:"readOnlyHint"`
			Idempotent bool `json:"idempotentHint"`
		} `json:"annotations"`
	} `json:"tools"`
	NextCursor string `json:"nextCursor"`
}

// listTools reads every page within the bounds. The answer returned is the first page's.
func (p *probe) listTools(ctx context.Context) (map[string]regions.Tool, *answer, error) {
	tools := map[string]regions.Tool{}
	var first *answer
	var params map[string]any
	for size, n := 0, 0; n < maxPages && size < maxListed && len(tools) < maxTools; n++ {
		a, err := p.call(ctx, p.node.request(mcp.MethodToolsList, params))
		if err != nil {
			return nil, nil, err
		}
		if first == nil {
			first = a
		}
		size += len(a.result)
		var pg page
		if err := json.Unmarshal(a.result, &pg); err != nil || pg.Tools == nil {
			return nil, nil, fmt.Errorf("%s: the result holds no tools", mcp.MethodToolsList)
		}
		pg.into(tools)
		if pg.NextCursor == "" || len(pg.NextCursor) > maxCursor {
			break
		}
		params = map[string]any{"cursor": pg.NextCursor}
	}
	return tools, first, nil
}

// into adds the page's tools. A name listed twice keeps the least free annotation.
func (pg *page) into(tools map[string]regions.Tool) {
	for _, t := range pg.Tools {
		if t.Name == "" || len(t.Name) > maxToolName || len(tools) >= maxTools {
			continue
		}
		tool := regions.Tool{ReadOnly: t.Annotations.ReadOnly, Idempotent: t.Annotations.Idempotent}
		if had, twice := tools[t.Name]; twice {
			tool.ReadOnly = tool.ReadOnly && had.ReadOnly
			tool.Idempotent = tool.Idempotent && had.Idempotent
		}
		tools[t.Name] = tool
	}
}

func (n *nature) facts(tools map[string]regions.Tool) regions.Facts {
	f := regions.Facts{Stateful: n.stateful, Versions: n.named, Tools: tools, Groups: n.caps.groups()}
	if n.modern != "" {
		f.Eras |= regions.Modern
	}
	if n.legacy != "" {
		f.Eras |= regions.Legacy
		f.Versions = tidyVersions(append([]string{n.legacy}, n.named...))
	}
	return f
}

func (c capabilities) groups() []string {
	var groups []string
	if c.Tools != nil {
		groups = append(groups, "tool_servers")
	}
	if c.Resources != nil {
		groups = append(groups, "resource_servers")
	}
	if c.Prompts != nil {
		groups = append(groups, "prompt_servers")
	}
	return groups
}
