package consul

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/sync/errgroup"
)

// Ask is a service in a datacenter that an examination looks at.
type Ask struct {
	ConsulService string
	Datacenter    string // "": the agent's own
	Tag           string // "": any
}

// Examination is what a Consul endpoint said when it was asked once, for a table.
type Examination struct {
	Address     string
	Leader      string   // of the endpoint's datacenter; "" when it knows none
	Datacenters []string // that it knows, nearest first
	Took        time.Duration
	Err         error // why it said nothing; then the rest is empty
	Services    []ServiceExamination
}

// ServiceExamination is what a datacenter's catalog names of one service.
type ServiceExamination struct {
	Ask
	Instances                  int // with the tag
	Untagged                   int // without it
	Passing, Warning, Critical int // of those with the tag
	KnownLeader                bool
	LastContact                time.Duration
	FilteredByACLs             bool // the token sees only a part
	Took                       time.Duration
	Err                        error
}

// Examine asks the endpoint once for its leader, its datacenters and every service, each question bounded by the client's
// timeout. Its breaker is not asked and not told.
func (c *Client) Examine(ctx context.Context, asks []Ask) Examination {
	e := Examination{Address: c.cfg.Address}
	began := time.Now()
	if _, e.Err = c.once(ctx, "/v1/status/leader", &e.Leader, &api.QueryOptions{}); e.Err == nil {
		_, e.Err = c.once(ctx, "/v1/catalog/datacenters", &e.Datacenters, &api.QueryOptions{})
	}
	e.Took = time.Since(began)
	if e.Err != nil {
		return e
	}
	e.Services = make([]ServiceExamination, len(asks))
	var running errgroup.Group
	running.SetLimit(8)
	for i, ask := range asks {
		running.Go(func() error {
			e.Services[i] = c.examine(ctx, ask)
			return nil
		})
	}
	_ = running.Wait() // each keeps its own error
	return e
}

func (c *Client) once(ctx context.Context, path string, out any, q *api.QueryOptions) (*api.QueryMeta, error) {
	limited, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	meta, err := c.api.Raw().Query(path, out, q.WithContext(limited))
	return meta, c.plain(err)
}

func (c *Client) examine(ctx context.Context, ask Ask) ServiceExamination {
	e := ServiceExamination{Ask: ask}
	if !catalogName(ask.ConsulService) {
		e.Err = fmt.Errorf("consul: service %q is not a name", ask.ConsulService)
		return e
	}
	began := time.Now()
	var list []instance
	meta, err := c.once(ctx, "/v1/health/service/"+ask.ConsulService, &list, &api.QueryOptions{Datacenter: ask.Datacenter, AllowStale: true})
	if e.Took, e.Err = time.Since(began), err; err != nil {
		return e
	}
	e.KnownLeader, e.LastContact, e.FilteredByACLs = meta.KnownLeader, meta.LastContact, meta.ResultsFilteredByACLs
	for i := range list {
		if ask.Tag != "" && !list[i].hasTag(ask.Tag) {
			e.Untagged++
			continue
		}
		e.Instances++
		switch list[i].status() {
		case passing:
			e.Passing++
		case warning:
			e.Warning++
		default:
			e.Critical++
		}
	}
	return e
}
