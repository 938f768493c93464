package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/consul"
)

// peers examines this gateway's certificate, and the gateways that the file and Consul name.
func (e *examination) peers(ctx context.Context, client *consul.Client, consulAnswers *endpoint) {
	p := e.cfg.Peer
	if !p.Enabled() {
		return
	}
	row := e.begin(place{subject: aboutCertificate}, "peer certificate", p.CertFile)
	c, err := peer.LoadCredentials(p.CAFile, p.CertFile, p.KeyFile)
	if err != nil {
		row.set(Fail, plainly(err), "make a new one with "+issue(e.cfg))
		return
	}
	from, until := c.Validity()
	got := fmt.Sprintf("%s, expires in %s", c.Identity(), short(time.Until(until)))
	if ca.Ending(from, until, time.Now()) {
		row.set(Warn, got, "renew it with "+issue(e.cfg))
	} else {
		row.set(OK, got, "-")
	}
	for _, region := range slices.Sorted(maps.Keys(e.cfg.Regions)) {
		if !e.behind(region) {
			continue
		}
		for _, address := range e.cfg.Regions[region].Gateways {
			e.peer(ctx, c, peer.Remote{Region: region, Address: address}, 0)
		}
	}
	if e.cfg.Consul.Peers && consulAnswers.await(ctx) {
		e.gateways(ctx, c, client)
	}
}

// behind reports whether a region is reached through its gateways.
func (e *examination) behind(region string) bool {
	r, known := e.cfg.Regions[region]
	return known && region != e.cfg.Region && r.Via != regions.ViaDirect.String()
}

// gateways examines those of other regions that Consul names.
func (e *examination) gateways(ctx context.Context, c *peer.Credentials, client *consul.Client) {
	asking, cancel := e.half(ctx)
	defer cancel()
	settings := e.cfg.Consul
	rows := map[string]*entry{}
	for _, dc := range slices.Sorted(maps.Keys(settings.Datacenters)) {
		if e.behind(settings.Datacenters[dc]) {
			rows[dc] = e.begin(place{subject: aboutCatalog, first: len(e.cfg.Services)}, "consul service", settings.Service+" in "+dc)
		}
	}
	watch, err := consul.NewGateways(consul.GatewaysConfig{
		Client: client, ConsulService: settings.Service, Datacenters: settings.Datacenters, Self: e.cfg.Name,
		Wait: settings.Wait, MaxStale: settings.MaxStale,
	})
	if err != nil {
		for _, row := range rows {
			row.set(Fail, plainly(err), "correct the section consul")
		}
		return
	}
	left := maps.Clone(rows)
	if len(left) == 0 {
		return
	}
	_ = watch.Run(asking, func(s consul.GatewaySet) { // it ends with asking
		if row := left[s.Datacenter]; row != nil {
			judgeGateways(row, s)
			for _, g := range s.Gateways {
				if e.behind(g.Region) {
					e.peer(ctx, c, peer.Remote{Region: g.Region, Address: g.Address}, 1)
				}
			}
		}
		if delete(left, s.Datacenter); len(left) == 0 {
			cancel()
		}
	})
}

func judgeGateways(row *entry, s consul.GatewaySet) {
	switch {
	case s.Err != nil && !errors.Is(s.Err, consul.ErrEmptied):
		row.set(Fail, plainly(s.Err), "see the rows consul and consul datacenter")
	case len(s.Gateways) == 0:
		row.set(Warn, "no other gateway is registered", "write consul.register: true in the gateways there")
	default:
		row.set(OK, counted(len(s.Gateways), "gateway"), "-")
	}
}

func issue(cfg *config.Config) string { return "quorate ca issue " + cfg.Region + " " + cfg.Name }

// peer starts the examination of one gateway, if it is not under way. Those of the file, by 0, come before those of
// Consul, by 1.
func (e *examination) peer(ctx context.Context, c *peer.Credentials, to peer.Remote, by int) {
	if !e.once(to) {
		return
	}
	row := e.begin(place{subject: aboutPeer, first: by}, "peer gateway", to.Region+" at "+to.Address)
	e.work.Go(func() {
		if !e.turn(ctx) {
			return
		}
		defer e.leave()
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		x, err := peer.Examine(ctx, c, to, e.Version)
		if err != nil {
			got, do := refusal(to, c.Identity(), err)
			row.set(Fail, got, do)
			return
		}
		judgePeer(row, x)
	})
}

// once reports whether a gateway was not asked yet.
func (e *examination) once(to peer.Remote) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.linked[to] {
		return false
	}
	e.linked[to] = true
	return true
}

func judgePeer(row *entry, x peer.Examination) {
	got := fmt.Sprintf("%s, %s", x.Identity, short(x.Took))
	if ca.Ending(x.Issued, x.Expires, time.Now()) {
		row.set(Warn, fmt.Sprintf("%s; its certificate expires in %s", got, short(time.Until(x.Expires))),
			fmt.Sprintf("renew it with quorate ca issue %s %s", x.Identity.Region, x.Identity.Gateway))
		return
	}
	row.set(OK, got, "-")
}

// refusal says why there is no link with a gateway, and what to do.
func refusal(to peer.Remote, me peer.Identity, err error) (got, do string) {
	text := certificate(err)
	switch {
	case errors.Is(err, peer.ErrRegion):
		return clause(err, peer.ErrRegion), "write the address under the region it belongs to, or correct it"
	case errors.Is(err, peer.ErrSelf), errors.Is(err, peer.ErrTwin):
		return "a gateway with this gateway's name, " + me.String(), "take the address out of regions, or give one of the two another name"
	case errors.Is(err, peer.ErrVersion):
		return clause(err, peer.ErrVersion), "upgrade the older of the two gateways"
	case errors.Is(err, peer.ErrIdentity):
		return "its certificate names no gateway", "give it one made by quorate ca issue " + to.Region + " NAME"
	case strings.Contains(text, "expired"):
		return text, "renew it with quorate ca issue " + to.Region + " NAME"
	case text != "":
		return text, "give it one of this fleet's authority: quorate ca issue " + to.Region + " NAME"
	case denied(err):
		return "it refuses this gateway's certificate", "use the same authorities in peer.ca_file of both gateways"
	case late(err):
		return noAnswer, "see whether it hangs, or a firewall drops what is sent to it"
	}
	return plainly(err), "start that gateway with peer.address, or correct gateways of region " + to.Region
}

// denied reports that the other side has ended the handshake.
func denied(err error) bool { return strings.Contains(err.Error(), "remote error: tls:") }

// clause is an error's text from a sentinel on.
func clause(err, sentinel error) string {
	text := err.Error()
	if at := strings.Index(text, sentinel.Error()); at >= 0 {
		return text[at:]
	}
	return text
}
