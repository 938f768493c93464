package consul

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"
)

// Bounds on what coordinates may say.
const (
	maxDimensions = 64
	maxRoundTrip  = 10 * time.Second // more is no distance on this planet
	maxServers    = 16               // of a datacenter that are compared
)

// place is a network coordinate: seconds in a space in which distance is round trip time.
type place struct {
	Vec                []float64
	Adjustment, Height float64
}

// RoundTrips estimates the round trip from the endpoint's datacenter to each region of datacenters (datacenter: region)
// from Consul's network coordinates, as a first guess until it is measured. Between datacenters it is the median over
// pairs of their servers (pool WAN), within the endpoint's own the median from its node to the others (pool LAN). What
// has no coordinates is left out. Of several datacenters in a region the nearest counts. The token needs agent:read,
// otherwise the error is ErrDenied.
func (c *Client) RoundTrips(ctx context.Context, datacenters map[string]string) (map[string]time.Duration, error) {
	var self struct {
		Config struct{ Datacenter, NodeName string }
	}
	var wan []struct {
		Datacenter, AreaID string
		Coordinates        []struct{ Coord place }
	}
	var lan []struct {
		Node  string
		Coord place
	}
	for path, into := range map[string]any{"/v1/agent/self": &self, "/v1/coordinate/datacenters": &wan, "/v1/coordinate/nodes": &lan} {
		if _, err := c.get(ctx, path, into, &api.QueryOptions{}); err != nil {
			return nil, fmt.Errorf("consul: coordinates: %s: %w", path, err)
		}
	}
	servers, nodes := map[string][]place{}, map[string][]place{}
	for _, d := range wan {
		if d.AreaID != "wan" {
			continue // areas of Consul Enterprise have spaces of their own
		}
		for _, s := range d.Coordinates[:min(len(d.Coordinates), maxServers)] {
			servers[d.Datacenter] = append(servers[d.Datacenter], s.Coord)
		}
	}
	own := self.Config.Datacenter
	for _, n := range lan {
		name := "others"
		if n.Node == self.Config.NodeName {
			name = "own"
		}
		nodes[name] = append(nodes[name], n.Coord)
	}
	near := map[string]time.Duration{}
	for datacenter, region := range datacenters {
		d, ok := median(servers[own], servers[datacenter])
		if datacenter == own {
			d, ok = median(nodes["own"], nodes["others"])
		}
		if old, known := near[region]; ok && (!known || d < old) {
			near[region] = d
		}
	}
	return near, nil
}

// median is that of the distances between two sets, if there is any.
func median(from, to []place) (time.Duration, bool) {
	var all []time.Duration
	for _, a := range from {
		for _, b := range to {
			if d, ok := a.distance(b); ok {
				all = append(all, d)
			}
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	return all[len(all)/2], true
}

// distance is the round trip between two places: the Euclidean distance and both heights, adjusted where that leaves
// more than nothing (developer.hashicorp.com/consul/docs/architecture/coordinates). It is none for places of different
// spaces or with numbers that cannot be.
func (p place) distance(q place) (time.Duration, bool) {
	if len(p.Vec) == 0 || len(p.Vec) != len(q.Vec) || len(p.Vec) > maxDimensions {
		return 0, false
	}
	sum := 0.0
	for i := range p.Vec {
		sum += (p.Vec[i] - q.Vec[i]) * (p.Vec[i] - q.Vec[i])
	}
	seconds := math.Sqrt(sum) + p.Height + q.Height
	if adjusted := seconds + p.Adjustment + q.Adjustment; adjusted > 0 {
		seconds = adjusted
	}
	if !(seconds > 0 && seconds <= maxRoundTrip.Seconds()) {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}
