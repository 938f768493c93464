package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/quorate/quorate/regions/consul"
)

// endpoint tells the sources whether Consul answers: one that does not needs to be waited for only once.
type endpoint struct {
	done chan struct{} // closed when ok is known
	ok   bool
}

// await reports whether Consul answers.
func (p *endpoint) await(ctx context.Context) bool {
	select {
	case <-p.done:
		return p.ok
	case <-ctx.Done():
		return false
	}
}

// catalog is a service that a row is about.
type catalog struct {
	consul.Ask
	service int    // in the configuration
	key     string // of the source in the file
	row     *entry
}

// consul examines the endpoint, its datacenters and its catalog.
func (e *examination) consul(ctx context.Context, client *consul.Client, told *endpoint) {
	if client == nil {
		close(told.done)
		return
	}
	ctx, cancel := e.half(ctx)
	defer cancel()
	row := e.begin(place{subject: aboutConsul}, "consul", e.cfg.Consul.Address)
	datacenters := map[string]*entry{}
	for _, dc := range slices.Sorted(maps.Keys(e.cfg.Consul.Datacenters)) {
		datacenters[dc] = e.begin(place{subject: aboutDatacenter}, "consul datacenter", dc)
	}
	asked := e.catalogs()
	asks := make([]consul.Ask, len(asked))
	for i, c := range asked {
		asks[i] = c.Ask
	}
	x := client.Examine(ctx, asks)
	told.ok = x.Err == nil
	close(told.done)
	judgeEndpoint(row, x)
	for dc, row := range datacenters {
		judgeDatacenter(row, dc, x)
	}
	for i, c := range asked {
		if x.Err != nil {
			c.row.set(Fail, "not asked: Consul does not answer", "see the row consul")
			continue
		}
		e.judgeCatalog(c, x, x.Services[i], anywhere(asked, x.Services, c.service))
	}
}

// catalogs lists what is looked for in Consul and begins a row for each.
func (e *examination) catalogs() (all []catalog) {
	for i, s := range e.cfg.Services {
		for j, d := range s.Discover {
			if d.Consul == nil {
				continue
			}
			for _, dc := range e.cfg.DatacentersOf(d.Consul) {
				if e.behind(e.cfg.Consul.Datacenters[dc]) {
					continue // that region's gateways look for its nodes
				}
				name := d.Consul.Service + " in " + dc
				if d.Consul.Tag != "" {
					name += " with tag " + d.Consul.Tag
				}
				all = append(all, catalog{
					Ask: consul.Ask{ConsulService: d.Consul.Service, Datacenter: dc, Tag: d.Consul.Tag}, service: i,
					key: fmt.Sprintf("services[%d].discover[%d].consul", i, j),
					row: e.begin(place{subject: aboutCatalog, first: i, second: j}, "consul service", name),
				})
			}
		}
	}
	return all
}

func judgeEndpoint(row *entry, x consul.Examination) {
	switch {
	case errors.Is(x.Err, consul.ErrDenied):
		row.set(Fail, "permission denied", "write a token that this Consul knows into consul.token_file")
	case x.Err != nil && errors.Is(x.Err, consul.ErrTimeout):
		row.set(Fail, noAnswer, "see whether the agent hangs, or a firewall drops what is sent to it")
	case x.Err != nil:
		row.set(Fail, plainly(x.Err), "start the agent, or correct consul.address and the files beside it")
	case x.Leader == "":
		row.set(Fail, "no leader", "bring enough of its servers back; until then the catalog does not change")
	default:
		row.set(OK, fmt.Sprintf("leader %s, %s", x.Leader, short(x.Took)), "-")
	}
}

func judgeDatacenter(row *entry, dc string, x consul.Examination) {
	switch {
	case x.Err != nil:
		row.set(Fail, "not asked: Consul does not answer", "see the row consul")
	case !slices.Contains(x.Datacenters, dc):
		row.set(Fail, "unknown; there is "+list(x.Datacenters, 5), "correct consul.datacenters, or join that datacenter to this Consul")
	default:
		row.set(OK, "known", "-")
	}
}

// anywhere reports whether some datacenter has instances of a service.
func anywhere(asked []catalog, found []consul.ServiceExamination, service int) bool {
	for i, c := range asked {
		if c.service == service && found[i].Instances > 0 {
			return true
		}
	}
	return false
}

func (e *examination) judgeCatalog(c catalog, x consul.Examination, s consul.ServiceExamination, elsewhere bool) {
	missing := Fail
	if elsewhere {
		missing = Warn
	}
	grant := fmt.Sprintf("give the token of consul.token_file service:read for %s and node:read", s.ConsulService)
	said := instances(s)
	switch {
	case errors.Is(s.Err, consul.ErrDenied):
		c.row.set(Fail, "permission denied", "write a token that this Consul knows into consul.token_file, with service:read for "+s.ConsulService+" and node:read")
	case !slices.Contains(x.Datacenters, s.Datacenter):
		c.row.set(Fail, "the datacenter is unknown", "see the row consul datacenter")
	case s.Err != nil:
		c.row.set(Fail, plainly(s.Err), "see whether the servers of "+s.Datacenter+" can be reached from this Consul")
	case s.Instances == 0 && s.FilteredByACLs:
		c.row.set(missing, "permission denied: the token may not see any instance", grant)
	case s.Instances == 0 && s.Untagged > 0:
		c.row.set(missing, said, "register instances with the tag, or correct "+c.key+".tag")
	case s.Instances == 0:
		do := "register instances, or correct " + c.key + ".service"
		if e.cfg.Consul.TokenFile == "" { // without a token it does not say that it hides some
			do += "; if this Consul has ACLs, name a token in consul.token_file"
		}
		c.row.set(missing, said, do)
	case s.FilteredByACLs:
		c.row.set(Warn, said+"; the token does not see all", grant)
	case !s.KnownLeader, s.LastContact > e.cfg.Consul.MaxStale:
		c.row.set(Warn, said+"; stale: its server has not heard from a leader for "+short(s.LastContact), "see the servers of "+s.Datacenter)
	case s.Critical == s.Instances:
		c.row.set(Warn, said, "see why their checks fail; traffic goes by this gateway's own checks")
	default:
		c.row.set(OK, said+", "+short(s.Took), "-")
	}
}

// instances counts what a catalog names, in words.
func instances(s consul.ServiceExamination) string {
	if s.Instances == 0 && s.Untagged > 0 {
		return "none with the tag, " + counted(s.Untagged, "instance") + " without it"
	}
	if s.Instances == 0 {
		return "no instance"
	}
	said := []string{counted(s.Instances, "instance")}
	for _, c := range []struct {
		n    int
		what string
	}{{s.Passing, "passing"}, {s.Warning, "warning"}, {s.Critical, "critical"}, {s.Untagged, "more without the tag"}} {
		if c.n > 0 {
			said = append(said, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return strings.Join(said, ", ")
}
