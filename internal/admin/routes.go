package admin

import (
	_ "embed" // the API's description
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// route is a path's handlers by method.
type route struct {
	open    bool // needs no credentials
	methods map[string]http.Handler
	allow   string // value of the Allow header
	maxBody int64  // of a request, in bytes
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
		"/ready":           get(true, ready(c.Settled)),
		"/health":          get(true, health(c)),
		"/writez":          get(true, writable(c.Gate)),
		"/metrics":         get(false, c.Metrics.ServeHTTP),
		"/v1/status":       get(false, status(c.Status)),
		"/v1/nodes":        get(false, nodesOf(c.Status)),
		"/v1/openapi.yaml": get(false, document),
	}
	if c.Regions != nil {
		all["/v1/regions"] = get(false, regionsOf(c.Regions, c.Settings))
		all[orderPath] = newRoute(false, map[string]http.Handler{http.MethodPut: order(c)})
	}
	if c.Events != nil {
		all["/v1/events"] = get(false, eventsAfter(c.Events))
	}
	if c.Control != nil {
		maps.Copy(all, controlRoutes(c.Control))
	}
	if c.Settings != nil {
		maps.Copy(all, settingRoutes(c.Settings))
	}
	if c.Sessions != nil {
		maps.Copy(all, sessionRoutes(c.Sessions))
	}
	if c.Voters != nil {
		maps.Copy(all, voterRoutes(c.Voters))
	}
	return all
}

func controlRoutes(c *Control) map[string]*route {
	post := func(h http.HandlerFunc) *route {
		return newRoute(false, map[string]http.Handler{http.MethodPost: single(patient(orderLimit, h))})
	}
	snapshot := newRoute(false, map[string]http.Handler{
		http.MethodGet: single(patient(snapshotLimit, saveSnapshot(c))),
		http.MethodPut: single(patient(snapshotLimit, restoreSnapshot(c))),
	})
	snapshot.maxBody = MaxSnapshot
	return map[string]*route{
		"/v1/cluster":           get(false, cluster(c)),
		"/v1/cluster/leader":    post(lead(c)),
		"/v1/cluster/reconcile": post(agreement(c.Reconcile)),
		"/v1/cluster/verify":    post(agreement(c.Verify)),
		"/v1/cluster/snapshot":  snapshot,
	}
}

// at returns the route of a path, nil for none.
func (h *handler) at(path string) *route {
	if r := h.routes[path]; r != nil {
		return r
	}
	if regionIn(path) != "" {
		return h.routes[orderPath]
	}
	if sessionIn(path) != "" {
		return h.routes[sessionPath]
	}
	if kind, _, ok := settingIn(path); ok {
		return h.routes[settingPath(kind)]
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
	return &route{open: open, methods: methods, allow: strings.Join(names, ", "), maxBody: maxBodyBytes}
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
	r.Body = http.MaxBytesReader(w, r.Body, at.maxBody)
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
