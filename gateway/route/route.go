// Package route finds the operator's route for a request by glob patterns.
// It must not know messages, nodes, regions or how a route is carried out.
package route

import (
	"errors"
	"fmt"

	"github.com/quorate/quorate/gateway/mcp"
)

// ErrRoute is wrapped by every error of Compile.
var ErrRoute = errors.New("route")

// MaxRoutes bounds the routes of one service: they are tried in order at every request.
const MaxRoutes = 1000

// Route is what the operator wants for the requests that match.
type Route struct {
	Match      Match
	Class      string          // latency class; "" is the service's
	RetryClass *mcp.RetryClass // overrides the method's and the tool's annotations; nil does not
}

// Match holds glob patterns, see CompileGlob; an empty one matches everything. At most one of Tool,
// Prompt and Resource may be set, since a request names one thing; Method may come on top.
// The empty Match is every request.
type Match struct {
	Tool     string // name in tools/call
	Prompt   string // name in prompts/get
	Resource string // uri in resources/read, resources/subscribe and resources/unsubscribe
	Method   string
}

// Matcher finds routes. It is immutable.
type Matcher struct {
	routes []compiled
}

type compiled struct {
	route  Route
	method *Glob // nil: any
	name   *Glob // nil: any
	kind   kind  // what name is the name of
}

// kind is the sort of thing a request names.
type kind uint8

const (
	anything kind = iota
	tool
	prompt
	resource
)

// Compile checks all routes and returns their matcher. The error joins one error per bad pattern,
// each naming the route's index and key.
func Compile(routes []Route) (*Matcher, error) {
	if len(routes) > MaxRoutes {
		return nil, fmt.Errorf("%w: %d routes, at most %d fit", ErrRoute, len(routes), MaxRoutes)
	}
	m := &Matcher{routes: make([]compiled, len(routes))}
	var errs []error
	for i, r := range routes {
		c, err := compile(r)
		if err != nil {
			errs = append(errs, fmt.Errorf("%w: routes[%d].match: %w", ErrRoute, i, err))
		}
		m.routes[i] = c
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

func compile(r Route) (c compiled, err error) {
	c.route = r
	var errs []error
	for _, p := range []struct {
		key, pattern string
		kind         kind
	}{{"tool", r.Match.Tool, tool}, {"prompt", r.Match.Prompt, prompt}, {"resource", r.Match.Resource, resource}} {
		if p.pattern == "" {
			continue
		}
		if c.kind != anything {
			errs = append(errs, fmt.Errorf("%s: only one of tool, prompt and resource can match", p.key))
			continue
		}
		c.kind = p.kind
		c.name, err = CompileGlob(p.pattern)
		errs = append(errs, at(p.key, err))
	}
	if r.Match.Method != "" {
		c.method, err = CompileGlob(r.Match.Method)
		errs = append(errs, at("method", err))
	}
	return c, errors.Join(errs...)
}

func at(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", key, err)
}

// Find returns the first route that matches, or nil. name is the tool's or prompt's name or the
// resource's uri, "" for methods without. It allocates nothing.
func (m *Matcher) Find(method, name string) *Route {
	if m == nil {
		return nil
	}
	k := kindOf(method)
	for i := range m.routes {
		c := &m.routes[i]
		if c.kind != anything && c.kind != k {
			continue
		}
		if (c.method == nil || c.method.Match(method)) && (c.name == nil || c.name.Match(name)) {
			return &c.route
		}
	}
	return nil
}

// kindOf spells the methods out, as this package may be used before the request is otherwise read.
func kindOf(method string) kind {
	switch method {
	case "tools/call":
		return tool
	case "prompts/get":
		return prompt
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		return resource
	}
	return anything
}
