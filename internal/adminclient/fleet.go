package adminclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/quorate/quorate/internal/admin"
)

const voters = "voters"

// Voter reads one voter.
func (c *Client) Voter(ctx context.Context, name string) (v admin.Voter, err error) {
	err = c.read(ctx, pathOf(voters, name), &v)
	return v, err
}

// PutVoter makes a gateway a voter, or declares how many there are to be.
func (c *Client) PutVoter(ctx context.Context, want admin.Voter, declared int, revision uint64) (v admin.Voter, err error) {
	body, err := json.Marshal(struct {
		Role     string `json:"role"`
		Region   string `json:"region,omitempty"`
		Declared int    `json:"declared,omitempty"`
	}{want.Role, want.Region, declared})
	if err != nil {
		return v, fmt.Errorf("adminclient: voter: %w", err)
	}
	q := request{method: http.MethodPut, path: pathOf(voters, want.Name), body: body}
	q.condition(revision)
	a, err := c.do(ctx, q)
	if err != nil {
		if a.unsure && Conflict(err) { // an earlier try may have made it one
			if v, rerr := c.Voter(ctx, want.Name); rerr == nil && v.Role == want.Role {
				return v, nil
			}
		}
		return v, err
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		return v, fmt.Errorf("adminclient: voter: %w", err)
	}
	return v, nil
}

// DeleteVoter takes a vote away; one that is gone already is no error.
func (c *Client) DeleteVoter(ctx context.Context, name string, revision uint64) error {
	return c.remove(ctx, pathOf(voters, name), revision)
}

// Regions reads the regions as the gateway sees them.
func (c *Client) Regions(ctx context.Context) (r admin.Regions, err error) {
	err = c.read(ctx, "/v1/regions", &r)
	return r, err
}

// Order says what is wanted of a region: on, draining or off, over a time.
func (c *Client) Order(ctx context.Context, region, state string, over time.Duration) (r admin.Region, err error) {
	body, err := json.Marshal(map[string]string{"state": state, "over": over.String()})
	if err != nil {
		return r, fmt.Errorf("adminclient: order: %w", err)
	}
	a, err := c.do(ctx, request{method: http.MethodPut, path: "/v1/regions/" + url.PathEscape(region) + "/order", body: body})
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(a.body, &r); err != nil {
		return r, fmt.Errorf("adminclient: order: %w", err)
	}
	return r, nil
}

// Cluster reads the control group as the gateway sees it. A gateway that others do not answer takes a second for it.
func (c *Client) Cluster(ctx context.Context) (s admin.Cluster, err error) {
	err = c.read(ctx, "/v1/cluster", &s)
	return s, err
}

// Nodes reads the nodes of all services and regions.
func (c *Client) Nodes(ctx context.Context) (n admin.Nodes, err error) {
	err = c.read(ctx, "/v1/nodes", &n)
	return n, err
}
