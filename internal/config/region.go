package config

import (
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/quorate/quorate/regions"
)

// Peer is this gateway's identity towards the gateways of other regions, and the listener for them.
type Peer struct {
	Address   string `yaml:"address" is:"address" example:"127.0.0.1:9100" restart:"true" doc:"HOST:PORT of the listener for other gateways: mutual TLS, nothing else is served. Empty: none, so that no other region can send traffic here."`
	Advertise string `yaml:"advertise" is:"address" example:"10.0.1.7:9100" restart:"true" doc:"HOST:PORT at which other gateways reach that listener. Empty: address."`
	CAFile    string `yaml:"ca_file" is:"file" example:"/etc/quorate/ca.crt" restart:"true" doc:"PEM certificates of the fleet's authorities; two while one replaces the other. A changed file is read again without a restart."`
	CertFile  string `yaml:"cert_file" is:"file" example:"/etc/quorate/us-east-gw-1.crt" restart:"true" doc:"PEM certificate chain whose URI name is quorate://gateway/REGION/NAME of this file, for servers and clients. Made by quorate ca issue, or by your own authority. A changed file is read again without a restart."`
	KeyFile   string `yaml:"key_file" is:"file" example:"/etc/quorate/us-east-gw-1.key" restart:"true" doc:"PEM private key of the certificate."`
}

// Enabled reports whether this gateway has an identity towards others.
func (p Peer) Enabled() bool { return p.CertFile != "" }

// Reached returns the address at which other gateways reach the listener.
func (p Peer) Reached() string { return cmp.Or(p.Advertise, p.Address) }

// Region is another failure domain and the way there; of this gateway's own only Capacity counts.
type Region struct {
	Gateways []string        `yaml:"gateways" is:"address" max:"64" example:"127.0.0.1:9101" doc:"HOST:PORT of the peer listeners of the region's gateways."`
	Via      string          `yaml:"via" default:"gateway" enum:"gateway,direct" doc:"How traffic gets there: through the region's gateways, which know its nodes best, or straight to the nodes under pools."`
	RTT      time.Duration   `yaml:"rtt" default:"0s" min:"0s" max:"10s" doc:"Round trip to expect until it is measured."`
	Capacity int             `yaml:"capacity" default:"0" min:"0" max:"1000000" doc:"Requests of other regions in flight there at once. For this gateway's own region: what it takes from others; for another one: what this gateway sends. 0: what its pool is found to bear."`
	Pools    map[string]Pool `yaml:"pools" is:"name" max:"1000" doc:"The region's nodes by service, for via: direct."`
}

// Pool is a service's nodes in another region.
type Pool struct {
	Nodes []Node `yaml:"nodes" required:"true" max:"10000" example:"[{id: eu-a, url: \"http://10.0.2.7:9001/mcp\"}]" doc:"The nodes. Their ids are unique in the service over all regions."`
}

// Classes are the largest round trips of the latency classes.
type Classes struct {
	Fast   time.Duration `yaml:"fast" default:"10ms" min:"1us" max:"10s" doc:"Largest round trip to a region for requests of class fast."`
	Medium time.Duration `yaml:"medium" default:"50ms" min:"1us" max:"10s" doc:"The same for medium; more than fast."`
	Slow   time.Duration `yaml:"slow" default:"100ms" min:"1us" max:"10s" doc:"The same for slow; more than medium."`
}

// Failover says when a region's traffic is moved, and how it comes back.
type Failover struct {
	Interval    time.Duration `yaml:"interval" default:"5s" min:"100ms" max:"1h" restart:"true" doc:"Time between two judgements of a region."`
	Failures    int           `yaml:"failures" default:"3" min:"1" max:"100" restart:"true" doc:"Bad judgements in a row after which a region fails for this gateway."`
	Vantages    int           `yaml:"vantages" default:"2" min:"1" max:"16" restart:"true" doc:"Regions, this one included, whose gateways must see a region fail before its traffic is moved. 1 lets one cut link move it."`
	HoldDown    time.Duration `yaml:"hold_down" default:"5m" min:"1ms" max:"24h" restart:"true" doc:"How long a region must be well before traffic comes back; doubled when it fails again."`
	MaxHoldDown time.Duration `yaml:"max_hold_down" default:"1h" min:"1ms" max:"168h" restart:"true" doc:"The most that doubling makes of hold_down."`
	Ramp        time.Duration `yaml:"ramp" default:"1m" min:"1ms" max:"24h" restart:"true" doc:"Time over which traffic comes back."`
	Evacuate    time.Duration `yaml:"evacuate" default:"30s" min:"1ms" max:"24h" restart:"true" doc:"Time over which traffic is moved away from a region that fails."`
	Timeout     time.Duration `yaml:"timeout" default:"10s" min:"100ms" max:"1h" restart:"true" doc:"If nothing takes the traffic for this long, the least bad region serves it."`
}

// Limits bound what a service's pool in this region has in flight.
type Limits struct {
	Adaptive      bool `yaml:"adaptive" default:"true" restart:"true" doc:"Learn the limit from latency. false: max alone bounds it."`
	Max           int  `yaml:"max" default:"10000" min:"1" max:"1000000" restart:"true" doc:"Requests in flight in the pool at once, at most."`
	Min           int  `yaml:"min" default:"8" min:"1" max:"1000000" restart:"true" doc:"The limit that learning never goes below, and begins with where it is more than 32 for each node. Raise it for nodes that bear many long calls at once: of those little is learned for a while."`
	FastPercent   int  `yaml:"fast_percent" default:"100" min:"1" max:"100" restart:"true" doc:"Share of the limit up to which requests of class fast are let in."`
	MediumPercent int  `yaml:"medium_percent" default:"90" min:"1" max:"100" restart:"true" doc:"The same for medium."`
	SlowPercent   int  `yaml:"slow_percent" default:"70" min:"1" max:"100" restart:"true" doc:"The same for slow: it is shed first."`
	Reserve       int  `yaml:"reserve" default:"16" min:"0" max:"10000" restart:"true" doc:"Places beyond the limit for handshakes, pings and checks."`
}

// RoutesOf returns the routes of the i-th service: its own, then those at the top level that mean it.
func (c *Config) RoutesOf(i int) []Route {
	all := slices.Clone(c.Services[i].Routes)
	for _, r := range c.Routes {
		if globMatches(r.Service, c.Services[i].Name) {
			all = append(all, r.Route())
		}
	}
	return all
}

// checkRegions reports what the sections about regions say against each other.
func (c *Config) checkRegions(r *report) {
	c.implyRegions()
	c.checkConsul(r)
	c.Peer.check(r)
	if c.Classes.Medium <= c.Classes.Fast {
		r.add("classes.medium", c.Classes.Medium.String()+" is not more than fast", "a round trip over "+c.Classes.Fast.String())
	} else if c.Classes.Slow <= c.Classes.Medium {
		r.add("classes.slow", c.Classes.Slow.String()+" is not more than medium", "a round trip over "+c.Classes.Medium.String())
	}
	if len(c.Regions) > regions.MaxRegions-1 {
		r.add("regions", fmt.Sprintf("has %d entries", len(c.Regions)), fmt.Sprintf("at most %d", regions.MaxRegions-1))
	}
	addresses := map[string]string{c.Peer.Address: "peer.address"}
	for _, name := range c.inOrder() {
		at := "regions." + name
		for i, address := range c.Regions[name].Gateways {
			r.unique(addresses, address, fmt.Sprintf("%s.gateways[%d]", at, i), "an address of its own")
		}
		c.checkRegion(r, name, at)
	}
}

// inOrder returns the names of the regions, those of documents last: what they share with another one is their fault.
func (c *Config) inOrder() []string {
	return slices.SortedFunc(maps.Keys(c.Regions), func(a, b string) int {
		return cmp.Or(cmp.Compare(c.added[a], c.added[b]), cmp.Compare(a, b))
	})
}

func (c *Config) checkRegion(r *report, name, at string) {
	region := c.Regions[name]
	switch {
	case name == c.Region && (len(region.Gateways) > 0 || len(region.Pools) > 0):
		r.add(at, "is this gateway's own region", "only its capacity here; its nodes stand under services")
	case name == c.Region:
	case region.Via == regions.ViaDirect.String() && len(region.Pools) == 0 && !c.found(name):
		r.add(at+".pools", "is missing with via: direct", "pools: {SERVICE: {nodes: [...]}}")
	case region.Via == regions.ViaGateway.String() && len(region.Gateways) == 0 && !c.Consul.finds(name):
		r.add(at+".gateways", "is missing with via: gateway", `gateways: ["HOST:PORT"], the peer addresses of its gateways`)
	case region.Via == regions.ViaGateway.String() && !c.Peer.Enabled():
		r.add(at+".gateways", "need an identity of this gateway", "peer.ca_file, cert_file and key_file; quorate ca init and quorate ca issue "+c.Region+" "+c.Name+" make them")
	}
	for service := range region.Pools {
		if !slices.ContainsFunc(c.Services, func(s Service) bool { return s.Name == service }) {
			r.add(at+".pools."+service, "names no service of this file", "the name of a service")
		}
	}
}

func (p Peer) check(r *report) {
	given := 0
	for _, name := range []string{p.CAFile, p.CertFile, p.KeyFile} {
		if name != "" {
			given++
		}
	}
	if given > 0 && given < 3 {
		r.add("peer", "has only a part of ca_file, cert_file and key_file", "all three")
	}
	if p.Advertise != "" && !reachable(p.Advertise) {
		r.add("peer.advertise", show(p.Advertise)+" is no address that others can use", "HOST:PORT as other gateways reach this one, such as 10.0.1.7:9100")
	}
	if given == 0 && p.Address != "" {
		r.add("peer.address", "needs a certificate to be served with", "ca_file, cert_file and key_file beside it; quorate ca init and quorate ca issue REGION NAME make them")
	}
}

// checkPeerFiles reports certificates that other gateways would refuse.
func (c *Config) checkPeerFiles(r *report) {
	if c.Peer.CAFile == "" || !c.Peer.Enabled() || c.Peer.KeyFile == "" {
		return
	}
	authorities, ok := r.read("peer.ca_file", c.Peer.CAFile)
	if !ok {
		return
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authorities) {
		r.add("peer.ca_file", show(c.Peer.CAFile)+" holds no PEM certificate", "a file with the authorities' certificates in PEM")
		return
	}
	r.checkKeyPair("peer", c.Peer.CertFile, c.Peer.KeyFile)
	if r.bad["peer.cert_file"] || r.bad["peer.key_file"] {
		return
	}
	chain, ok := r.read("peer.cert_file", c.Peer.CertFile)
	if !ok {
		return
	}
	cert, err := firstCertificate(chain)
	if err != nil {
		return // reported with the pair
	}
	c.checkIdentity(r, cert, chain, pool)
}

func (c *Config) checkIdentity(r *report, cert *x509.Certificate, chain []byte, authorities *x509.CertPool) {
	const at = "peer.cert_file"
	want := "quorate://gateway/" + c.Region + "/" + c.Name
	issue := fmt.Sprintf("one made by quorate ca issue %s %s", c.Region, c.Name)
	if !slices.ContainsFunc(cert.URIs, func(u *url.URL) bool { return u.String() == want }) {
		r.add(at, show(c.Peer.CertFile)+" is not this gateway's: its URI name is not "+want, issue)
		return
	}
	_, err := cert.Verify(x509.VerifyOptions{Roots: authorities, Intermediates: rest(chain), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err == nil {
		_, err = cert.Verify(x509.VerifyOptions{Roots: authorities, Intermediates: rest(chain), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	}
	if err != nil {
		r.add(at, show(c.Peer.CertFile)+" would be refused by other gateways: "+err.Error(), issue)
	}
}

// rest returns the certificates of a chain, of which the first does no harm.
func rest(chain []byte) *x509.CertPool {
	pool := x509.NewCertPool()
	for {
		var block *pem.Block
		if block, chain = pem.Decode(chain); block == nil {
			return pool
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			pool.AddCert(cert)
		}
	}
}
