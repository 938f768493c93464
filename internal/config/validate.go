package config

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/quorate/quorate/gateway/mcp"
)

// check reports what single keys cannot show: what contradicts, repeats or leaves a door open.
func (c *Config) check(r *report) {
	c.Listen.TLS.check(r)
	c.Admin.check(r)
	if c.Listen.Address == c.Admin.Address && !strings.HasSuffix(c.Admin.Address, ":0") {
		r.add("admin.address", "is the address of listen too", "another port, such as 127.0.0.1:9090")
	}
	c.checkRegions(r)
	c.checkControl(r)
	c.checkSplitBrain(r)
	c.checkReplication(r)
	for i := range c.Routes {
		c.Routes[i].Match.check(r, fmt.Sprintf("routes[%d].match", i))
	}
	byName, byPath := map[string]string{}, map[string]string{}
	for i := range c.Services {
		s, at := &c.Services[i], fmt.Sprintf("services[%d]", i)
		r.unique(byName, s.Name, at+".name", "a name of its own")
		r.unique(byPath, s.Path, at+".path", "a path of its own")
		s.check(r, at)
		c.checkSources(r, s, at)
	}
}

// unique reports a value that an earlier key has already; empty values are reported elsewhere.
func (r *report) unique(seen map[string]string, value, path, write string) {
	if value == "" {
		return
	}
	if first, ok := seen[value]; ok {
		r.add(path, show(value)+" is taken by "+first, write)
		return
	}
	seen[value] = path
}

func (t ListenTLS) check(r *report) {
	checkPair(r, "listen.tls", t.CertFile, t.KeyFile)
}

// checkPair reports a certificate without its key and a key without its certificate.
func checkPair(r *report, path, cert, key string) {
	switch {
	case cert != "" && key == "":
		r.add(path+".key_file", "is missing beside cert_file", "key_file: FILE, the certificate's private key")
	case cert == "" && key != "":
		r.add(path+".cert_file", "is missing beside key_file", "cert_file: FILE, the key's certificate")
	}
}

func (a Admin) check(r *report) {
	checkPair(r, "admin.tls", a.TLS.CertFile, a.TLS.KeyFile)
	if a.TLS.ClientCAFile != "" && a.TLS.CertFile == "" && a.TLS.KeyFile == "" {
		r.add("admin.tls.client_ca_file", "asks for client certificates without TLS", "cert_file and key_file beside it")
	}
	if a.TokenFile == "" && a.TLS.ClientCAFile == "" && !isLoopback(a.Address) {
		r.add("admin.address", show(a.Address)+" is open to other machines without authentication",
			"a loopback address such as 127.0.0.1:9090, or set admin.token_file or admin.tls.client_ca_file")
	}
}

// isLoopback reports whether only this machine can reach the address. Names other than localhost
// are not looked up: what they mean can change.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func (s *Service) check(r *report, at string) {
	ids, urls := map[string]string{}, map[string]string{}
	for i, d := range s.Discover {
		source := fmt.Sprintf("%s.discover[%d]", at, i)
		if d.Static == nil && d.Consul == nil && d.DNS == nil && !r.bad[source] && !r.badBelow(source) {
			r.add(source, "names no source", "static: {nodes: [...]}, consul: {service: NAME} or dns: {name: NAME}")
		}
		if d.Static != nil && (d.Consul != nil || d.DNS != nil) || d.Consul != nil && d.DNS != nil {
			r.add(source, "names two sources", "an entry of its own for each")
		}
		if d.Static == nil {
			continue
		}
		for j, n := range d.Static.Nodes {
			node := fmt.Sprintf("%s.static.nodes[%d]", source, j)
			r.unique(ids, n.ID, node+".id", "an id of its own")
			r.unique(urls, n.URL, node+".url", "a URL of its own: one process would count as two nodes")
		}
	}
	for i, route := range s.Routes {
		route.Match.check(r, fmt.Sprintf("%s.routes[%d].match", at, i))
	}
	switch name := http.CanonicalHeaderKey(s.Ledger.IdentityHeader); {
	case name != "" && !isToken(name):
		r.add(at+".ledger.identity_header", show(name)+" is not a header field", "a name such as Authorization")
	case mcp.PerConnection(name) || strings.HasPrefix(name, mcp.OwnPrefix):
		r.add(at+".ledger.identity_header", show(name)+" does not come along to the gateway that owns a session, where all callers would be one",
			"one that does, such as Authorization")
	}
}

// check reports patterns that no request can fit together.
func (m Match) check(r *report, at string) {
	var set []string
	for _, p := range []struct{ key, pattern string }{{"tool", m.Tool}, {"prompt", m.Prompt}, {"resource", m.Resource}} {
		if p.pattern != "" {
			set = append(set, p.key)
		}
	}
	for name := range m.Header {
		if !isToken(name) {
			r.add(at+".header."+name, show(name)+" is not a header field", "a name such as Mcp-Param-Region")
		}
	}
	if len(set) > 1 {
		r.add(at+"."+set[1], "can never match together with "+set[0], "a route of its own for each")
	}
}
