package config

import (
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity"
)

// Consul is the catalog that nodes and gateways are found in. It only proposes.
type Consul struct {
	Address     string            `yaml:"address" is:"url" example:"http://127.0.0.1:8500" restart:"true" doc:"URL of the Consul agent. Empty: Consul is not used."`
	TokenFile   string            `yaml:"token_file" is:"file" example:"/etc/quorate/consul.token" restart:"true" doc:"File with the ACL token; it is read again for every request."`
	CAFile      string            `yaml:"ca_file" is:"file" example:"/etc/quorate/consul-ca.crt" restart:"true" doc:"PEM certificates of the authorities that may vouch for an https address. Empty: the system's."`
	CertFile    string            `yaml:"cert_file" is:"file" example:"/etc/quorate/consul.crt" restart:"true" doc:"PEM client certificate, read again for every handshake."`
	KeyFile     string            `yaml:"key_file" is:"file" example:"/etc/quorate/consul.key" restart:"true" doc:"PEM private key of the client certificate."`
	TLSName     string            `yaml:"tls_name" is:"host" example:"server.dc1.consul" restart:"true" doc:"The name that the agent's certificate must be issued for. Empty: the host of address."`
	Datacenters map[string]string `yaml:"datacenters" is:"name" max:"64" example:"us-east" restart:"true" doc:"Region by Consul datacenter."`
	Service     string            `yaml:"service" default:"quorate" is:"name" example:"quorate" restart:"true" doc:"The name under which gateways are registered."`
	Register    bool              `yaml:"register" default:"false" restart:"true" doc:"Register this gateway, with a check, and deregister it when it shuts down."`
	Advertise   string            `yaml:"advertise" is:"address" example:"10.0.1.5:9100" restart:"true" doc:"HOST:PORT of the peer listener as other gateways reach it, for register. Empty: peer.advertise, or peer.address."`
	Peers       bool              `yaml:"peers" default:"false" restart:"true" doc:"Find the gateways of the other regions, those of the datacenters, beside those under regions."`
	Wait        time.Duration     `yaml:"wait" default:"30s" min:"1s" max:"10m" restart:"true" doc:"How long Consul holds a question open while nothing changes. A server that hangs is noticed a little after it."`
	Timeout     time.Duration     `yaml:"timeout" default:"5s" min:"100ms" max:"1m" restart:"true" doc:"How long an answer may take beyond that."`
	MaxStale    time.Duration     `yaml:"max_stale" default:"10s" min:"1ms" max:"1h" restart:"true" doc:"How long ago the server that answers may have heard from its leader. An older answer only proposes."`
}

// Enabled reports whether Consul is used.
func (c Consul) Enabled() bool { return c.Address != "" }

// DiscoverConsul finds a service's nodes in Consul.
type DiscoverConsul struct {
	Service     string   `yaml:"service" required:"true" is:"name" example:"mcp-search" doc:"The service's name in Consul."`
	Datacenters []string `yaml:"datacenters" is:"name" max:"64" example:"us-east" doc:"Datacenters to look in, of consul.datacenters. Empty: all of them."`
	Tag         string   `yaml:"tag" is:"name" example:"stable" doc:"Tag that an instance must have. Empty: any."`
	Scheme      string   `yaml:"scheme" enum:"http,https" doc:"Scheme of a node's URL where its meta quorate-scheme says nothing. Empty: https for nodes that have to prove an identity, else http."`
	Path        string   `yaml:"path" default:"/mcp" is:"path" example:"/mcp" doc:"The MCP endpoint's path where meta quorate-path says nothing."`
}

// DiscoverDNS finds a service's nodes in DNS.
type DiscoverDNS struct {
	Name       string        `yaml:"name" required:"true" is:"domain" example:"_mcp._tcp.search.example.com" doc:"The name to ask for. Without a dot at its end the search domains apply, as in resolv.conf."`
	Type       string        `yaml:"type" default:"SRV" enum:"SRV,A,AAAA,ADDRESS" doc:"Records that name the nodes: SRV, or addresses (ADDRESS: A and AAAA)."`
	Port       int           `yaml:"port" default:"0" min:"0" max:"65535" doc:"The nodes' port, for addresses; an SRV record has its own."`
	Region     string        `yaml:"region" is:"name" example:"us-east" doc:"Region of the nodes. Empty: this gateway's own."`
	Resolvers  []string      `yaml:"resolvers" is:"resolver" max:"16" example:"tls://192.0.2.1:853#dns.example" doc:"Resolvers to ask, each on its own: IP:PORT (UDP, TCP for long answers), tcp://IP:PORT or tls://IP:PORT#NAME. Empty: the system's."`
	Agree      int           `yaml:"agree" default:"0" min:"0" max:"16" doc:"How many resolvers must name the same service, target and port. 0: all but one of three or more, both of two, the only one. 1 is accepted only with an identity."`
	Scheme     string        `yaml:"scheme" default:"https" enum:"http,https" doc:"Scheme of the nodes' URLs."`
	Path       string        `yaml:"path" default:"/mcp" is:"path" example:"/mcp" doc:"The MCP endpoint's path."`
	DNSSEC     string        `yaml:"dnssec" default:"off" enum:"off,prefer,require" doc:"What the AD bit of a validating resolver decides. It is trusted over loopback and TLS only."`
	Validating []string      `yaml:"validating" is:"resolver" max:"16" example:"127.0.0.1:5353" doc:"Those of resolvers whose AD bit is trusted. Empty: all that are reached over loopback or TLS."`
	CAFile     string        `yaml:"ca_file" is:"file" example:"/etc/quorate/dns-ca.crt" doc:"PEM certificates of the authorities that may vouch for resolvers asked over TLS. Empty: the system's."`
	TargetName bool          `yaml:"target_tls_name" default:"false" doc:"Every node must prove the name under which it was found: its SRV target, or name. In place of identity.tls_name."`
	MinTTL     time.Duration `yaml:"min_ttl" default:"5s" min:"100ms" max:"1h" doc:"Least time between two questions, whatever the answer's time to live."`
	MaxTTL     time.Duration `yaml:"max_ttl" default:"5m" min:"100ms" max:"24h" doc:"Longest time between two questions."`
	Timeout    time.Duration `yaml:"timeout" default:"2s" min:"10ms" max:"1m" doc:"How long one query may take."`
	Tries      int           `yaml:"tries" default:"2" min:"1" max:"10" doc:"Queries to one resolver for one question."`
}

// Identity is what every node of a service must prove by its certificate on every connection.
type Identity struct {
	TLSName string `yaml:"tls_name" is:"pattern" example:"*.search.example.com" doc:"Name that the certificate must be issued for by a trusted authority; *. stands for one label."`
	SPIFFE  string `yaml:"spiffe_id" example:"spiffe://example.com/search" doc:"URI name of the certificate, issued by a trusted authority; one that ends in /* takes all below it."`
	SPKI    string `yaml:"spki_sha256" example:"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" doc:"SHA-256 of the certificate's public key (SubjectPublicKeyInfo) in hexadecimal digits. No authority is asked."`
	CAFile  string `yaml:"ca_file" is:"file" example:"/etc/quorate/nodes-ca.crt" doc:"PEM certificates of the authorities that may vouch for nodes. Empty: the system's. They count for every https node of the service."`
	None    bool   `yaml:"none" default:"false" doc:"Nothing has to be proven, as if this section were left out; status then says unverified identity."`
}

// Of returns the identity in the regions' vocabulary.
func (i Identity) Of() regions.Identity {
	return regions.Identity{TLSName: i.TLSName, SPIFFE: i.SPIFFE, SPKI: strings.ToLower(i.SPKI)}
}

// Trust reads the authorities of CAFile, nil for the system's.
func (i Identity) Trust() (*x509.CertPool, error) { return readPool(i.CAFile) }

// Trust reads the authorities of CAFile, nil for the system's.
func (d DiscoverDNS) Trust() (*x509.CertPool, error) { return readPool(d.CAFile) }

func readPool(name string) (*x509.CertPool, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // no pool is the system's
	}
	data, err := readFile(name)
	if err != nil {
		return nil, fmt.Errorf("config: %s cannot be read: %s", name, reason(err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("config: %s holds no PEM certificate", name)
	}
	return pool, nil
}

// sourced returns the regions that nodes of the i-th service are found in, besides those under regions.
func (c *Config) sourced(i int) map[string]bool {
	found := map[string]bool{}
	for _, d := range c.Services[i].Discover {
		switch {
		case d.Static != nil && d.Static.Region != "":
			found[d.Static.Region] = true
		case d.DNS != nil && d.DNS.Region != "":
			found[d.DNS.Region] = true
		case d.Consul != nil:
			for _, dc := range c.DatacentersOf(d.Consul) {
				if region := c.Consul.Datacenters[dc]; region != "" {
					found[region] = true
				}
			}
		}
	}
	return found
}

// DatacentersOf returns the datacenters that a source looks in.
func (c *Config) DatacentersOf(d *DiscoverConsul) []string {
	if len(d.Datacenters) > 0 {
		return d.Datacenters
	}
	return slices.Sorted(maps.Keys(c.Consul.Datacenters))
}

// implyRegions adds regions that only sources name: their nodes are reached straight.
func (c *Config) implyRegions() {
	for i := range c.Services {
		for name := range c.sourced(i) {
			if _, known := c.Regions[name]; known || name == c.Region {
				continue
			}
			if c.Regions == nil {
				c.Regions = map[string]Region{}
			}
			c.Regions[name] = Region{Via: regions.ViaDirect.String()}
		}
	}
}

// checkConsul reports what the section says against itself and others.
func (c *Config) checkConsul(r *report) {
	checkPair(r, "consul", c.Consul.CertFile, c.Consul.KeyFile)
	if !c.Consul.Enabled() {
		if c.Consul.Register || c.Consul.Peers {
			r.add("consul.address", "is missing", "the agent's URL such as http://127.0.0.1:8500")
		}
		return
	}
	if len(c.Consul.Datacenters) == 0 && c.asksConsul() {
		r.add("consul.datacenters", "is missing", "datacenters: {DATACENTER: REGION}")
	}
	if (c.Consul.Register || c.Consul.Peers) && !c.Peer.Enabled() {
		r.add("consul", "finds peers for a gateway without an identity", "peer.ca_file, cert_file and key_file")
	}
	if c.Consul.Register && c.Consul.Advertise == "" && openTo(c.Peer.Reached()) {
		r.add("consul.advertise", "is missing, and peer.address is no address that others can use", "advertise: HOST:PORT as other gateways reach this one")
	}
}

// asksConsul reports whether anything is looked for in Consul.
func (c *Config) asksConsul() bool {
	for _, s := range c.Services {
		for _, d := range s.Discover {
			if d.Consul != nil {
				return true
			}
		}
	}
	return c.Consul.Peers
}

// openTo reports an address that names no host that others could connect to.
func openTo(address string) bool {
	return address == "" || strings.HasPrefix(address, ":") || strings.HasPrefix(address, "0.0.0.0:") || strings.HasPrefix(address, "[::]:")
}

// checkSources reports what a service's sources and identity say against each other.
func (c *Config) checkSources(r *report, s *Service, at string) {
	id := s.Identity.Of()
	switch err := identity.Check(id); {
	case s.Identity.None && !id.None():
		r.add(at+".identity.none", "is set beside what must be proven", "either of them")
	case err != nil:
		r.add(at+".identity", err.Error(), "what it says")
	}
	for i, d := range s.Discover {
		source := fmt.Sprintf("%s.discover[%d]", at, i)
		switch {
		case d.Consul != nil:
			c.checkDiscoverConsul(r, d.Consul, id, source+".consul")
		case d.DNS != nil:
			d.DNS.check(r, s, source+".dns")
		case d.Static != nil:
			d.Static.checkIdentity(r, id, source+".static")
		}
	}
}

func (c *Config) checkDiscoverConsul(r *report, d *DiscoverConsul, id regions.Identity, at string) {
	if !c.Consul.Enabled() {
		r.add(at, "needs Consul's address", "consul: {address: \"http://127.0.0.1:8500\", datacenters: {DATACENTER: REGION}}")
		return
	}
	if d.Scheme == "http" && !id.None() {
		r.add(at+".scheme", "http cannot prove the service's identity", "scheme: https, or none")
	}
	for i, dc := range d.Datacenters {
		if c.Consul.Datacenters[dc] == "" {
			r.add(fmt.Sprintf("%s.datacenters[%d]", at, i), show(dc)+" has no region", "it under consul.datacenters too")
		}
	}
}

func (d *DiscoverDNS) check(r *report, s *Service, at string) {
	id := s.Identity.Of()
	switch {
	case d.Type == "SRV" && d.Port != 0:
		r.add(at+".port", "is set although SRV records have ports", "no port, or type: ADDRESS")
	case d.Type != "SRV" && d.Port == 0:
		r.add(at+".port", "is missing with type: "+d.Type, "the nodes' port")
	}
	if n := len(d.Resolvers); n > 0 && d.Agree > n {
		r.add(at+".agree", fmt.Sprintf("is more than the %d resolvers", n), fmt.Sprintf("1 to %d", n))
	}
	if (d.Agree == 1 || d.Agree == 0 && len(d.Resolvers) == 1) && id.None() && (!d.TargetName || d.Type == "SRV") {
		r.add(at+".agree", "1 believes a single resolver, and no node has to prove anything", "agree: 2 with two resolvers or more, or the service's identity")
	}
	if d.Scheme == "http" && (!id.None() || d.TargetName) {
		r.add(at+".scheme", "http cannot prove an identity", "scheme: https")
	}
	if d.MaxTTL < d.MinTTL {
		r.add(at+".max_ttl", d.MaxTTL.String()+" is less than min_ttl", "at least "+d.MinTTL.String())
	}
}

func (s *Static) checkIdentity(r *report, id regions.Identity, at string) {
	if id.None() {
		return
	}
	for i, n := range s.Nodes {
		if strings.HasPrefix(strings.ToLower(n.URL), "http:") {
			r.add(fmt.Sprintf("%s.nodes[%d].url", at, i), "http cannot prove the service's identity", "an https URL")
		}
	}
}

// checkSourceFiles reports files of authorities that cannot serve.
func (c *Config) checkSourceFiles(r *report) {
	r.checkPool("consul.ca_file", func() (*x509.CertPool, error) { return readPool(c.Consul.CAFile) })
	r.checkKeyPair("consul", c.Consul.CertFile, c.Consul.KeyFile)
	if name := c.Consul.TokenFile; name != "" {
		r.read("consul.token_file", name)
	}
	for i := range c.Services {
		c.Services[i].checkFiles(r, fmt.Sprintf("services[%d]", i))
	}
}

// checkFiles is checkSourceFiles of one service.
func (s *Service) checkFiles(r *report, at string) {
	r.checkPool(at+".identity.ca_file", s.Identity.Trust)
	for j, d := range s.Discover {
		if d.DNS != nil {
			r.checkPool(fmt.Sprintf("%s.discover[%d].dns.ca_file", at, j), d.DNS.Trust)
		}
	}
}

// checkPool reports authorities that cannot be read.
func (r *report) checkPool(path string, read func() (*x509.CertPool, error)) {
	if _, err := read(); err != nil {
		r.add(path, strings.TrimPrefix(err.Error(), "config: "), "a readable file with the authorities' certificates in PEM")
	}
}

// found reports whether a source names nodes of the region.
func (c *Config) found(region string) bool {
	for i := range c.Services {
		if c.sourced(i)[region] {
			return true
		}
	}
	return false
}

// finds reports whether gateways of the region are looked for in Consul.
func (c Consul) finds(region string) bool {
	if !c.Enabled() || !c.Peers {
		return false
	}
	for _, r := range c.Datacenters {
		if r == region {
			return true
		}
	}
	return false
}
