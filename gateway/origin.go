package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// guard decides from Host and Origin whether a browser was tricked into speaking to this gateway
// (DNS rebinding; MCP transport specification, security warning).
type guard struct {
	hosts   []string // lower case, without port; "*" allows any
	origins []string // lower case scheme://host[:port]; "*" allows any
}

func newGuard(hosts, origins []string) guard {
	lower := func(in []string) []string {
		out := make([]string, 0, len(in))
		for _, s := range in {
			out = append(out, strings.ToLower(s))
		}
		return out
	}
	return guard{hosts: lower(hosts), origins: lower(origins)}
}

// allows returns why a request is refused, or "".
func (g guard) allows(r *http.Request) string {
	host := hostname(r.Host)
	if !g.allowsHost(host, r) {
		return "host not allowed"
	}
	origin := r.Header.Get("Origin")
	if origin == "" || g.allowsOrigin(origin, r.Host) {
		return ""
	}
	return "origin not allowed"
}

// allowsHost: without a list, a connection to a loopback address must name a loopback host, since that
// is what rebinding abuses; on any other address every host is taken.
func (g guard) allowsHost(host string, r *http.Request) bool {
	if len(g.hosts) > 0 {
		return slices.Contains(g.hosts, host) || slices.Contains(g.hosts, "*")
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || !loopbackAddr(local) {
		return true
	}
	return loopbackName(host)
}

// allowsOrigin: without a list, a page may speak only to the host it came from, or from loopback to loopback.
func (g guard) allowsOrigin(origin, requestHost string) bool {
	origin = strings.ToLower(origin)
	if slices.Contains(g.origins, origin) || slices.Contains(g.origins, "*") {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if strings.EqualFold(u.Host, requestHost) {
		return true
	}
	return len(g.origins) == 0 && loopbackName(u.Hostname()) && loopbackName(hostname(requestHost))
}

// cors lets a page of an allowed origin read the answer; nothing is said to others.
func (g guard) cors(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate, Retry-After")
}

func hostname(hostport string) string {
	if i := strings.LastIndexByte(hostport, ':'); i >= 0 && !strings.HasSuffix(hostport, "]") {
		if strings.Count(hostport, ":") == 1 || hostport[0] == '[' {
			hostport = hostport[:i]
		}
	}
	return strings.ToLower(strings.Trim(hostport, "[]"))
}

func loopbackName(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func loopbackAddr(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
