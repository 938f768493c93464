package edge

import (
	"encoding/json"
	"log/slog"

	"github.com/quorate/quorate/gateway"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/regional"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/failover"
)

// region is this gateway's part in regional failover: it gathers what the driver judges by, and carries
// its views to other gateways and theirs to it.
type region struct {
	log      *slog.Logger
	gateway  *gateway.Gateway
	trackers *trackers
	links    *links
	driver   *regional.Driver
}

func failoverOf(f config.Failover) failover.Config {
	return failover.Config{
		Interval: f.Interval, Failures: f.Failures, Vantages: f.Vantages, HoldDown: f.HoldDown, MaxHoldDown: f.MaxHoldDown,
		Ramp: f.Ramp, Evacuate: f.Evacuate, Timeout: f.Timeout,
	}
}

// openRegion makes the driver of regional failover.
func (e *Edge) openRegion(cfg *config.Config) error {
	r := &region{log: e.log, gateway: e.gateway, trackers: e.trackers, links: e.links}
	c := regional.Config{
		Gateway: cfg.Name, Region: cfg.Region, Regions: others(cfg), Capacity: cfg.Regions[cfg.Region].Capacity,
		Bounds: boundsOf(cfg.Classes), DataDir: cfg.DataDir, Failover: failoverOf(cfg.Failover), Gather: r.gather,
		Changed: e.trackers.signal, Publish: func(regional.View) { r.announce() }, Logger: e.log,
	}
	if e.opts.Group != nil || cfg.Controlled() {
		c.Agreed, c.Propose = e.orders, e.proposeOrder
	}
	var err error
	r.driver, err = regional.New(c)
	e.region = r
	return err
}

// announce tells other gateways at once.
func (r *region) announce() {
	if r.links.peers != nil {
		r.links.peers.Announce()
	}
}

// others lists the other regions of a configuration.
func others(cfg *config.Config) []regional.Remote {
	var all []regional.Remote
	for name, r := range cfg.Regions {
		if name != cfg.Region {
			all = append(all, regional.Remote{Name: name, Via: viaOf(r.Via), Seed: r.RTT, Capacity: r.Capacity})
		}
	}
	return all
}

func viaOf(word string) regions.Via {
	if word == regions.ViaDirect.String() {
		return regions.ViaDirect
	}
	return regions.ViaGateway
}

// gather shows the driver every region as it stands.
func (r *region) gather() []regional.Evidence {
	table := r.gateway.Table()
	if table == nil {
		return nil
	}
	traffic := make(map[string]gateway.RegionFigures)
	for _, f := range r.gateway.Regions() {
		traffic[f.Name] = f
	}
	all := make([]regional.Evidence, 0, len(table.Regions))
	for i := range table.Regions {
		all = append(all, r.evidence(table, i, traffic[table.Regions[i].Name]))
	}
	return all
}

func (r *region) evidence(table *regions.Table, i int, f gateway.RegionFigures) regional.Evidence {
	info := &table.Regions[i]
	e := regional.Evidence{
		Region: info.Name, BreakerOpen: f.Breaker == "open", RTT: info.RTT, Class: info.Class,
		Demand: float64(f.InFlight), Capacity: float64(info.Capacity),
	}
	healthy := 0
	for _, s := range table.ByName {
		for _, n := range r.trackers.nodes(s.Name) {
			if n.Region != info.Name {
				continue
			}
			switch {
			case n.State == regions.Healthy, n.State == regions.Degraded:
				healthy, e.Nodes = healthy+1, e.Nodes+1
			case n.State == regions.Unhealthy, n.Unproven: // one that was never seen is no loss: its region may have nothing to offer
				e.Nodes++
			}
		}
	}
	if e.Nodes > 0 {
		e.Health = float64(healthy) / float64(e.Nodes)
	}
	e.Reachable = healthy > 0 || r.links.up(info.Name)
	if i > 0 {
		e.RTT, e.Class, _ = r.links.distance(info.Name)
	}
	return e
}

// report is what this gateway tells the others: its opinion of every region, and operators' orders.
func (r *region) report() []byte {
	b, err := json.Marshal(r.driver.View())
	if err != nil {
		r.log.Error("no view for other gateways", "cause", err.Error())
	}
	return b
}

// received takes in what another gateway says. It is believed as far as its certificate goes: to be that gateway.
func (r *region) received(from peer.Identity, payload []byte) {
	var v regional.View
	if err := json.Unmarshal(payload, &v); err != nil {
		r.log.Debug("view of another gateway not understood", "gateway", from.Gateway, "cause", err.Error())
		return
	}
	v.Region = from.Region // by the certificate, not by its own word
	r.driver.Receive(from.Gateway, v)
}
