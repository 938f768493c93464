package admin

import (
	_ "embed" // the API's description
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
)

// route is a path's handlers by method.
type route struct {
	open    bool // needs no credentials
	methods map[string]http.Handler
	allow   string // value of the Allow header
}

// handler is the whole admin API.
type handler struct {
	door   *door
	routes map[string]*route
	log    *slog.Logger
}

func routes(c Config) map[string]*route {
	all := map[string]*route{
		"/livez":           get(true, live),
		"/readyz":          get(true, ready(c.Ready)),
		"/ready":           get(true, ready(c.Ready)),
		"/health":          get(true, health(c)),
		"/metrics":         get(false, c.Metrics.ServeHTTP),
		"/v1/status":       get(false, status(c.Status)),
		"/v1/nodes":        get(false, nodesOf(c.Status)),
		"/v1/openapi.yaml": get(false, document),
	}
	if c.Regions != nil {
		all["/v1/regions"] = get(false, regionsOf(c.Regions))
		all[orderPath] = newRoute(false, map[string]http.Handler{http.MethodPut: order(c)})
	}
	return all
}

// at returns the route of a path, nil for none.
func (h *handler) at(path string) *route {
	if r := h.routes[path]; r != nil {
		return r
	}
	if regionIn(path) != "" {
		return h.routes[orderPath]
	}
	return nil
}

//go:generate cp openapi.yaml ../../docs/openapi.yaml

//go:embed openapi.yaml
var openAPI []byte

func document(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openAPI) // the client left; nobody to tell
}

// health is the documented word for how the gateway is: degraded while a node that was verified once is
// not healthy, unhealthy when the gateway cannot serve.
func health(c Config) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		code, word, why := http.StatusOK, "healthy", append([]string{}, c.Ready()...)
		if len(why) > 0 {
			code, word = http.StatusServiceUnavailable, "unhealthy"
		} else if why = append(why, ill(c.Status())...); len(why) > 0 {
			word = "degraded"
		}
		writeJSON(w, code, struct {
			Status  string   `json:"status"`
			Reasons []string `json:"reasons"`
		}{word, why})
	}
}

// ill says which services have nodes that are not healthy, without naming the nodes: the path is open.
func ill(s Status) (why []string) {
	for _, service := range s.Services {
		sick := 0
		for _, n := range service.Nodes {
			if n.State != "healthy" {
				sick++
			}
		}
		if sick > 0 {
			why = append(why, fmt.Sprintf("service %s: %d of %d nodes are not healthy", service.Name, sick, len(service.Nodes)))
		}
	}
	return why
}

// get is a path that answers GET, and HEAD with the same headers.
func get(open bool, f http.HandlerFunc) *route {
	return newRoute(open, map[string]http.Handler{http.MethodGet: f, http.MethodHead: f})
}

func newRoute(open bool, methods map[string]http.Handler) *route {
	names := make([]string, 0, len(methods))
	for m := range methods {
		names = append(names, m)
	}
	slices.Sort(names)
	return &route{open: open, methods: methods, allow: strings.Join(names, ", ")}
}

// ServeHTTP asks the door first, so that a stranger cannot tell known paths from unknown ones.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := h.at(r.URL.Path)
	if no := h.door.check(r, at != nil && at.open); no != nil {
		h.refuse(w, r, no)
		return
	}
	if at == nil {
		writeError(w, http.StatusNotFound, "not_found", "no such path")
		return
	}
	serve := at.methods[r.Method]
	if serve == nil {
		w.Header().Set("Allow", at.allow)
		writeError(w, http.StatusMethodNotAllowed, "method_not_allowed", "this path answers "+at.allow)
		return
	}
	serve.ServeHTTP(w, r)
}

func (h *handler) refuse(w http.ResponseWriter, r *http.Request, no *refusal) {
	h.log.LogAttrs(r.Context(), slog.LevelDebug, "admin request refused",
		slog.String("remote", r.RemoteAddr), slog.String("reason", no.code))
	if no.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="quorate admin"`)
	}
	writeError(w, no.status, no.code, no.message)
}

// live answers 200 as long as the process can answer at all. It must never depend on anything
// outside it: an orchestrator restarts what fails here, and a restart mends nothing outside.
func live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Live bool `json:"live"`
	}{true})
}

func ready(reasons func() []string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		why := reasons()
		code := http.StatusOK
		if len(why) > 0 {
			code = http.StatusServiceUnavailable
		}
		writeJSON(w, code, struct {
			Ready   bool     `json:"ready"`
			Reasons []string `json:"reasons"`
		}{len(why) == 0, append([]string{}, why...)})
	}
}

func status(gather func() Status) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, filled(gather())) }
}

// writeError answers {"error":{"code":…,"message":…}}.
func writeError(w http.ResponseWriter, code int, word, message string) {
	type body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	writeJSON(w, code, struct {
		Error body `json:"error"`
	}{body{word, message}})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	data, err := json.Marshal(v)
	if err != nil { // a NaN latency, say; the operator must see that status is broken, not half of it
		code, data = http.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"the answer could not be written as JSON"}}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(append(data, '\n')) // the client left; nobody to tell
}
