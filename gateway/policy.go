package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/route"
	"github.com/quorate/quorate/regions"
)

// policy is what the operator wants for one request.
type policy struct {
	class    regions.Class
	spill    regions.Spill
	retry    *mcp.RetryClass
	deadline time.Duration
	limit    int64
	exempt   bool          // its writes need no authority
	ledger   bool          // calls under a key of the agent's run once
	inFlight *atomic.Int64 // of the route; outlives tables
}

// policies returns one policy per route, and last the one of requests without a route.
func (s *service) policies(settings Service) []policy {
	routes := settings.Routes.Routes()
	all := make([]policy, 0, len(routes)+1)
	for _, r := range routes {
		all = append(all, policy{class: r.Class, spill: r.Spill, retry: r.RetryClass, deadline: r.Deadline, limit: int64(r.Limit), exempt: r.Exempt, ledger: r.Ledger, inFlight: s.load(r)})
	}
	return append(all, policy{class: settings.Class, spill: settings.Spill, inFlight: new(atomic.Int64)})
}

// load returns the counter of a route's requests. Routes are known by what they match, as they have no names.
func (s *service) load(r route.Route) *atomic.Int64 {
	key := fmt.Sprintf("%+v", r.Match)
	if s.routeLoad[key] == nil {
		s.routeLoad[key] = new(atomic.Int64)
	}
	return s.routeLoad[key]
}

// policy returns the one that holds for a request.
func (p *pool) policy(method, name string, header http.Header) *policy {
	if i := p.settings.Routes.Find(method, name, header); i != route.None {
		return &p.policies[i]
	}
	return &p.policies[len(p.policies)-1]
}

// enter counts a request in, unless the route has too many.
func (y *policy) enter() bool {
	if y.limit > 0 && y.inFlight.Add(1) > y.limit {
		y.inFlight.Add(-1)
		return false
	}
	return true
}

func (y *policy) leave() {
	if y.limit > 0 {
		y.inFlight.Add(-1)
	}
}

// groupOf returns the group of nodes that serve a method; 0 when any node does.
func groupOf(method string) regions.Group {
	area, _, _ := strings.Cut(method, "/")
	switch area {
	case "tools":
		return regions.ToolServers
	case "resources":
		return regions.ResourceServers
	case "prompts":
		return regions.PromptServers
	}
	return 0
}
