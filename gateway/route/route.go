// Package route finds the operator's route for a request by glob patterns.
// It must not know messages, nodes, regions or how a route is carried out.
package route

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/regions"
)

// ErrRoute is wrapped by every error of Compile.
var ErrRoute = errors.New("route")

// MaxRoutes bounds the routes of one service: they are tried in order at every request.
const MaxRoutes = 1000

// Route is what the operator wants for the requests that match.
type Route struct {
	Match      Match
	RetryClass *mcp.RetryClass // overrides the method's and the tool's annotations; nil does not
	Class      regions.Class   // latency class
	Spill      regions.Spill
	Deadline   time.Duration // from the request's arrival to the end of its answer; 0: none
	Limit      int           // requests of this route in flight at once; 0: no limit of its own
	Exempt     bool          // its writes touch nothing shared, so they need no authority
	Ledger     bool          // tools/call under a key of the agent's runs once
}

// Match holds glob patterns, see CompileGlob; an empty one matches everything. At most one of Tool,
// Prompt and Resource may be set, since a request names one thing; Method may come on top.
// The empty Match is every request.
type Match struct {
	Tool     string // name in tools/call
	Prompt   string // name in prompts/get
	Resource string // uri in resources/read, resources/subscribe and resources/unsubscribe
	Method   string
	// Header holds patterns by field name; every one must fit the first value of its field, an empty one for
	// a field that is not there. Mcp-Param-* fields mirror arguments of a tool. At most MaxHeaders.
	Header map[string]string
}

// MaxHeaders bounds the header patterns of one route.
const MaxHeaders = 8

// Matcher finds routes. It is immutable.
type Matcher struct {
	routes []compiled
}

type compiled struct {
	route  Route
	method *Glob // nil: any
	name   *Glob // nil: any
	kind   kind  // what name is the name of
	header []headerMatch
}

type headerMatch struct {
	name string // canonical
	glob *Glob
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
	errs = append(errs, c.compileHeader(r.Match.Header))
	return c, errors.Join(errs...)
}

func (c *compiled) compileHeader(patterns map[string]string) error {
	if len(patterns) > MaxHeaders {
		return fmt.Errorf("header: %d patterns, at most %d fit", len(patterns), MaxHeaders)
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(patterns)) {
		glob, err := CompileGlob(patterns[name])
		errs = append(errs, at("header."+name, err))
		c.header = append(c.header, headerMatch{http.CanonicalHeaderKey(name), glob})
	}
	return errors.Join(errs...)
}

func (c *compiled) fitsHeader(h http.Header) bool {
	for i := range c.header {
		value := ""
		if v := h[c.header[i].name]; len(v) > 0 {
			value = v[0]
		}
		if !c.header[i].glob.Match(value) {
			return false
		}
	}
	return true
}

func at(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", key, err)
}

// None is what Find returns when no route matches.
const None = -1

// Find returns the index of the first route that matches, or None. name is the tool's or prompt's name or
// the resource's uri, "" for methods without; header has canonical keys. It allocates nothing.
func (m *Matcher) Find(method, name string, header http.Header) int {
	if m == nil {
		return None
	}
	k := kindOf(method)
	for i := range m.routes {
		c := &m.routes[i]
		if c.kind != anything && c.kind != k {
			continue
		}
		if (c.method == nil || c.method.Match(method)) && (c.name == nil || c.name.Match(name)) && c.fitsHeader(header) {
			return i
		}
	}
	return None
}

// Routes returns the routes in order; the caller must not change them.
func (m *Matcher) Routes() []Route {
	if m == nil {
		return nil
	}
	all := make([]Route, len(m.routes))
	for i := range m.routes {
		all[i] = m.routes[i].route
	}
	return all
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
