package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/regions/discovery"
)

// Keys of a gateway's meta, besides MetaVersion.
const (
	MetaGateway = "quorate-gateway" // the gateway's name
	MetaRegion  = "quorate-region"
	MetaURL     = "quorate-url" // of its data plane
)

// GatewayService is the name in Consul under which gateways register themselves by default.
const GatewayService = "quorate"

// Gateway is a peer as the catalog names it. Like a node it is only proposed: its link proves who it is.
type Gateway struct {
	Name    string // unique in the fleet
	Region  string
	Address string // host:port of its peer listener
	URL     string // of its data plane; "" when it does not say
	Version string // for operators
}

// GatewaySet is what one datacenter's catalog said of gateways at one moment. Its fields mean what those of
// discovery.Answer mean.
type GatewaySet struct {
	Datacenter string
	Gateways   []Gateway // without this one
	Removes    bool
	Err        error
	Voice      discovery.Voice
}

// GatewaysConfig says where peers are looked for.
type GatewaysConfig struct {
	Client        *Client // required
	ConsulService string  // default GatewayService
	// Datacenters are those watched, each with the region of gateways whose meta names none; at least one.
	Datacenters map[string]string
	Self        string // this gateway's own name, which is left out; required

	// As in Config.
	Wait, MaxStale, Hold, BackoffMin, BackoffMax time.Duration
}

// Gateways watches the gateways of every datacenter, each by itself.
type Gateways struct {
	self    string
	watches map[string]*watch[Gateway]
}

// NewGateways returns a Gateways, or every problem of cfg at once.
func NewGateways(cfg GatewaysConfig) (*Gateways, error) {
	var problems []error
	if cfg.Self == "" || len(cfg.Datacenters) == 0 {
		problems = append(problems, errors.New("self and datacenters are required"))
	}
	g := &Gateways{self: cfg.Self, watches: map[string]*watch[Gateway]{}}
	for datacenter, region := range cfg.Datacenters {
		c := Config{
			Client: cfg.Client, Service: cmp.Or(cfg.ConsulService, GatewayService), Datacenter: datacenter, Region: region,
			Wait: cfg.Wait, MaxStale: cfg.MaxStale, Hold: cfg.Hold, BackoffMin: cfg.BackoffMin, BackoffMax: cfg.BackoffMax,
		}
		c.withDefaults()
		problems = append(problems, c.problems()...)
		g.watches[datacenter] = &watch[Gateway]{
			question: c.question(), items: map[string]Gateway{},
			convert: func(i *instance) (Gateway, error) { return gateway(i, region) },
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("consul: gateways: %w", err)
	}
	return g, nil
}

// Run asks until ctx ends and emits what each datacenter says, never two at once. It must not run twice at once.
func (g *Gateways) Run(ctx context.Context, emit func(GatewaySet)) error {
	var running sync.WaitGroup
	var one sync.Mutex
	for datacenter, w := range g.watches {
		running.Go(func() {
			w.run(ctx, func(o outcome[Gateway]) {
				one.Lock()
				defer one.Unlock()
				emit(g.set(datacenter, w.who(), o))
			})
		})
	}
	running.Wait()
	return nil
}

func (g *Gateways) set(datacenter, who string, o outcome[Gateway]) GatewaySet {
	return GatewaySet{
		Datacenter: datacenter, Removes: o.removes, Err: o.err,
		Gateways: slices.DeleteFunc(o.items, func(p Gateway) bool { return p.Name == g.self }),
		Voice:    discovery.Voice{Who: who, Said: line(o.said, 200), Agree: o.err == nil, Took: o.took},
	}
}

func gateway(i *instance, region string) (Gateway, error) {
	meta := i.Service.Meta
	g := Gateway{Name: meta[MetaGateway], Region: cmp.Or(meta[MetaRegion], region), URL: meta[MetaURL], Version: meta[MetaVersion]}
	port := i.port()
	switch {
	case g.Name == "":
		return g, fmt.Errorf("it has no %s", MetaGateway)
	case !word(g.Name) || !word(g.Region) || !word(g.Version) || !plainURL(g.URL):
		return g, errors.New("its meta is not printable or too long")
	case port < 1 || port > 65535:
		return g, fmt.Errorf("port %d is outside 1..65535", port)
	}
	var err error
	g.Address, err = hostPort(i.address(), port)
	g.Address = strings.Replace(g.Address, "%25", "%", 1) // no URL: a zone stands as it is
	return g, err
}

func plainURL(s string) bool {
	return len(s) <= 2048 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}
