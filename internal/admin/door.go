package admin

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// door decides who gets in.
type door struct {
	token Token
	certs bool
	hosts map[string]bool
}

// refusal is why a request was turned away.
type refusal struct {
	status        int
	code, message string
}

var (
	badHost     = &refusal{http.StatusForbidden, "forbidden_host", "this Host is not served here"}
	crossSite   = &refusal{http.StatusForbidden, "cross_site", "requests from other sites are refused"}
	noIdentity  = &refusal{http.StatusUnauthorized, "unauthorized", "credentials are required"}
	badIdentity = &refusal{http.StatusForbidden, "forbidden", "these credentials are not accepted"}
)

// check returns why r must not pass, or nil. open says that the path needs no credentials.
func (d *door) check(r *http.Request, open bool) *refusal {
	switch {
	case !d.hostAllowed(r):
		return badHost
	case fromElsewhere(r):
		return crossSite
	case open:
		return nil
	}
	return d.identify(r)
}

// identify returns nil when r carries credentials that count, or when none are asked for.
func (d *door) identify(r *http.Request) *refusal {
	if d.token == nil && !d.certs {
		return nil
	}
	// VerifiedChains, not PeerCertificates: only the former were checked against the client CAs.
	if d.certs && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return nil
	}
	if r.Header.Get("Authorization") == "" {
		return noIdentity
	}
	if word, ok := bearer(r); ok && d.token != nil && d.token.Match(word) {
		return nil
	}
	return badIdentity
}

// bearer returns the token of the Authorization header (RFC 6750 §2.1; the scheme's case is free).
func bearer(r *http.Request) (string, bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, word, ok := strings.Cut(values[0], " ")
	return strings.TrimSpace(word), ok && strings.EqualFold(scheme, "Bearer")
}

// fromElsewhere reports whether a browser sent r on behalf of another site. An Origin must be this
// very server; tools send none.
func fromElsewhere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site": // another port of this machine is same-site, and not us
		return true
	}
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return false
	}
	u, err := url.Parse(origins[0])
	if len(origins) > 1 || err != nil || u.Host == "" {
		return true
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return u.Scheme != scheme || !strings.EqualFold(u.Host, r.Host)
}

// hostAllowed guards loopback listeners only: behind a real address there is no rebinding to fear,
// since a page could reach that address as well by its own name.
func (d *door) hostAllowed(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || !loopback(local.String()) {
		return true
	}
	return loopback(r.Host) || d.hosts[hostName(r.Host)]
}

// loopback reports whether HOST or HOST:PORT is this machine as seen only by itself.
func loopback(hostport string) bool {
	name := hostName(hostport)
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true // RFC 6761 §6.3: never resolved to anything else
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}

// hostName strips port and brackets and lowers the case.
func hostName(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		hostport = host
	}
	return strings.ToLower(strings.Trim(hostport, "[]"))
}

func hostSet(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[hostName(n)] = true
	}
	return set
}
