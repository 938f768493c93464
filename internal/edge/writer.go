package edge

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/sources"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/verify"
)

// coalesce is how long the writer waits for more changes before it builds a table, and spacing the least time
// between two of them, so that hundreds of nodes that come and go make ten tables a second and no more. Deaths do
// not wait for it: the data plane acts on them by itself.
const (
	coalesce = 20 * time.Millisecond
	spacing  = 100 * time.Millisecond
)

// reviewEvery is how often the writer looks for nodes on which verification and data plane disagree.
const reviewEvery = time.Second

// writer is the one writer of routing tables: it merges the configuration with what verification
// sees, builds a table and publishes it. Everything of it is touched by its own goroutine only.
type writer struct {
	log      *slog.Logger
	gateway  *gateway.Gateway
	trackers *trackers
	links    *links
	region   *region
	cfg      *config.Config
	services []gateway.Service // as cfg has them
	table    *regions.Table
	built    time.Time            // when the table was
	leaving  map[string]time.Time // services whose nodes are being handed over, since when
}

// run publishes until ctx ends. reload carries configurations; each is answered on its result channel.
func (w *writer) run(ctx context.Context, reload <-chan reloading) {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	armed := false
	arm := func() {
		if !armed { // not put off by every further change: those would never be seen while they go on
			armed = true
			timer.Reset(max(coalesce, time.Until(w.built.Add(spacing))))
		}
	}
	review := time.NewTicker(reviewEvery)
	defer review.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-reload:
			r.result <- w.apply(ctx, r.cfg)
		case <-w.trackers.changed:
			arm()
		case <-review.C:
			w.straightDistances()
			if w.overlooked() || len(w.leaving) > 0 {
				arm()
			}
		case <-timer.C:
			armed = false
			if err := w.publish(w.cfg, w.services); err != nil {
				w.log.Error("routing table not published", "cause", err.Error())
			}
		}
	}
}

// overlooked reports whether a node is healthy for verification and dead for the data plane. A check that
// was under way at the death can bring that about: its sighting is too old to revive the node, and the
// later ones, which are not, change nothing that verification would announce.
func (w *writer) overlooked() bool {
	for _, s := range w.cfg.Services {
		for _, n := range w.trackers.nodes(s.Name) {
			if n.State != regions.Healthy {
				continue
			}
			if live, ok := w.gateway.Node(s.Name, n.ID); ok && (live.Dead() || live.Unproven()) {
				return true
			}
		}
	}
	return false
}

type reloading struct {
	cfg    *config.Config
	result chan error
}

// apply takes a new configuration over, whole or not at all. The old table serves until every new node
// was looked at once: a pool whose nodes all changed would otherwise be empty for a moment.
func (w *writer) apply(ctx context.Context, cfg *config.Config) error {
	services, err := gatewayServices(cfg)
	if err != nil {
		return err
	}
	if err := w.follow(cfg); err != nil {
		return err
	}
	if err := w.trackers.set(cfg); err != nil {
		return err
	}
	w.trackers.firstLook(ctx, firstLook)
	if err := w.publish(cfg, services); err != nil {
		return err
	}
	w.cfg, w.services = cfg, services
	return nil
}

// follow takes over the regions of a configuration.
func (w *writer) follow(cfg *config.Config) error {
	if err := w.links.measure(cfg); err != nil {
		return err
	}
	if err := w.links.connect(cfg); err != nil {
		return err
	}
	return w.region.driver.SetRegions(others(cfg), cfg.Regions[cfg.Region].Capacity)
}

func (w *writer) publish(cfg *config.Config, services []gateway.Service) error {
	in := regions.Input{Previous: w.table, Region: cfg.Region, Bounds: boundsOf(cfg.Classes), Regions: w.region.driver.Regions()}
	nodes := w.present
	if cfg != w.cfg { // a new file's nodes were looked at, and the old ones may be of no region of it
		nodes = w.trackers.nodes
		clear(w.leaving)
	}
	for _, s := range cfg.Services {
		in.Services = append(in.Services, regions.ServiceInput{Name: s.Name, Path: s.Path, Nodes: nodes(s.Name)})
	}
	table, err := regions.Build(in)
	if err != nil {
		return err
	}
	if err := w.gateway.Publish(table, services, allowedHosts(cfg), cfg.Listen.AllowedOrigins); err != nil {
		return err
	}
	w.table, w.built = table, time.Now()
	return nil
}

// outside lets the data plane reach verification.
type outside struct {
	trackers *trackers
	links    *links
}

// NodeFailed implements gateway.Outside.
func (o outside) NodeFailed(service string, id regions.NodeID, dead bool) {
	o.trackers.failed(service, id, dead)
}

// NodeUnproven implements gateway.Outside.
func (o outside) NodeUnproven(service string, id regions.NodeID, cause error) {
	o.trackers.unproven(service, id, cause)
}

// Alive implements gateway.Outside.
func (o outside) Alive(ctx context.Context, n regions.Proposal, hold *tls.Config) error {
	if n.Source == sources.Gateway {
		return o.links.alive(ctx, n)
	}
	return verify.Alive(ctx, verify.AliveClient(hold), n.URL)
}

// Link implements gateway.Outside.
func (o outside) Link(n regions.Proposal) http.RoundTripper { return o.links.transport(n) }
