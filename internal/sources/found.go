package sources

import (
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/consul"
	"github.com/quorate/quorate/regions/dns"
)

// consul adds one source for each datacenter, so that an outage of one touches no other.
func (b *builder) consul(d *config.DiscoverConsul) error {
	for _, dc := range b.cfg.DatacentersOf(d) {
		region := b.cfg.Consul.Datacenters[dc]
		if !b.straight(region) {
			continue
		}
		name := b.name("consul:" + dc + "/" + d.Service)
		source, err := consul.New(consul.Config{
			Client: b.m.client, Service: b.service.Name, ConsulService: d.Service, Datacenter: dc, Region: region,
			Tag: d.Tag, Scheme: d.Scheme, Path: d.Path, Identity: b.service.Identity.Of(),
			Wait: b.cfg.Consul.Wait, MaxStale: b.cfg.Consul.MaxStale, Known: ours(b.known[name], consul.Name),
		})
		if err != nil {
			return err
		}
		if err := b.add(name, source, d, region); err != nil {
			return err
		}
	}
	return nil
}

// ours are the proposals that a source of the kind made itself.
func ours(known []regions.Proposal, source string) (all []regions.Proposal) {
	for _, p := range known {
		if p.Source == source {
			all = append(all, p)
		}
	}
	return all
}

func (b *builder) dns(d config.DiscoverDNS) error {
	if d.Region == "" {
		d.Region = b.cfg.Region
	}
	if !b.straight(d.Region) {
		return nil
	}
	trust, err := d.Trust()
	if err != nil {
		return err
	}
	source, err := dns.New(dns.Config{
		Service: b.service.Name, Region: d.Region, Name: d.Name, Type: dns.Type(d.Type), Port: d.Port,
		Resolvers: d.Resolvers, Agree: d.Agree, Scheme: d.Scheme, Path: d.Path, DNSSEC: dns.Validation(d.DNSSEC),
		Validating: d.Validating, Identity: b.service.Identity.Of(), TargetTLSName: d.TargetName, RootCAs: trust,
		Floor: d.MinTTL, Ceiling: d.MaxTTL, Timeout: d.Timeout, Tries: d.Tries,
	})
	if err != nil {
		return err
	}
	return b.add(b.name("dns:"+d.Name), source, d)
}

// found adds the gateways of other regions that Consul names.
func (b *builder) found() {
	if b.m.peers == nil {
		return
	}
	for _, dc := range b.m.peers.datacenters() {
		name := b.name("gateways:consul/" + dc)
		_ = b.add(name, &peerSource{peers: b.m.peers, datacenter: dc, cfg: b.cfg, service: b.service}, b.cfg.Regions, b.service.Path) // plain values always encode
	}
}
