package edge

import (
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/gateway"
	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/regional"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/failover"
)

// Regions gathers what /v1/regions shows.
func (e *Edge) Regions() []admin.Region {
	traffic := make(map[string]gateway.RegionFigures)
	for _, f := range e.gateway.Regions() {
		traffic[f.Name] = f
	}
	all := e.region.driver.Status()
	out := make([]admin.Region, 0, len(all))
	for i := range all {
		out = append(out, e.regionStatus(&all[i], traffic[all[i].Name]))
	}
	return out
}

func (e *Edge) regionStatus(s *regional.Status, f gateway.RegionFigures) admin.Region {
	_, _, measured := e.links.distance(s.Name)
	r := admin.Region{
		Name: s.Name, Local: s.Local, State: s.State.String(), Cause: s.Cause, Since: admin.Time{Time: s.Since},
		Share: s.Share, Weight: s.Weight, RTTMS: milliseconds(s.RTT), Measured: measured, Class: s.Class.String(),
		Via: s.Via.String(), Capacity: s.Capacity, InFlight: f.InFlight, Breaker: f.Breaker,
		Services: e.regionServices(s.Name),
	}
	if s.Local {
		r.Breaker = "closed"
	}
	if o := s.Order; o != nil {
		r.Order = &admin.OrderStatus{State: o.State.String(), Over: o.Over.String(), By: o.By, At: admin.Time{Time: o.At}, Gateway: o.Gateway, Refused: o.Refused}
	}
	for _, v := range s.Vantages {
		r.Vantages = append(r.Vantages, admin.Vantage{Gateway: v.Gateway, Opinion: v.Opinion, AgeMS: v.Age.Milliseconds()})
	}
	for _, c := range s.History {
		r.History = append(r.History, admin.Change{At: admin.Time{Time: c.At}, From: c.From.String(), To: c.To.String(), Cause: c.Cause})
	}
	for _, l := range e.links.list() {
		if l.Region == s.Name {
			r.Links = append(r.Links, admin.Link{Gateway: l.Gateway, Address: l.Address, Up: l.Up, Since: admin.Time{Time: l.Since},
				RTTMS: milliseconds(l.RTT), Version: l.Version, Error: l.Error})
		}
	}
	return r
}

func (e *Edge) regionServices(region string) []admin.RegionService {
	table := e.gateway.Table()
	if table == nil {
		return nil
	}
	var out []admin.RegionService
	for _, c := range e.cfg.Load().Services {
		s := admin.RegionService{Name: c.Name}
		for _, n := range e.trackers.nodes(c.Name) {
			if n.Region != region {
				continue
			}
			s.Nodes++
			if n.State == regions.Healthy {
				s.Healthy++
			}
		}
		out = append(out, s)
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Order carries an operator's order out.
func (e *Edge) Order(o admin.Order) error {
	state := map[string]failover.OrderState{"on": failover.OrderOn, "draining": failover.OrderDraining, "off": failover.OrderOff}[o.State]
	err := e.region.driver.Order(o.Region, regional.Order{State: state, Over: o.Over, By: o.By})
	switch {
	case errors.Is(err, regional.ErrUnknownRegion):
		return fmt.Errorf("%w: %q", admin.ErrUnknownRegion, o.Region)
	case errors.Is(err, regional.ErrLastRegion):
		return fmt.Errorf("%w: %w", admin.ErrRefused, err)
	case errors.Is(err, regional.ErrNotSaved):
		e.log.Warn("order is in force but not saved; saving is tried again", "region", o.Region, "cause", err.Error())
		return nil
	case errors.Is(err, regional.ErrBadOrder):
		return fmt.Errorf("%w: %w", admin.ErrBadOrder, err)
	}
	return err
}
