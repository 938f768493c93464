package tfprovider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/adminclient"
	"github.com/quorate/quorate/strategies"
)

const (
	// look is the time between two looks at a region.
	look = 250 * time.Millisecond
	// appears bounds how long a gateway may take until a new region takes orders.
	appears = 10 * time.Second
)

var errNotEmpty = errors.New("requests are still in flight there")

// now is a region as the gateway sees it.
func (r *region) now(ctx context.Context, name string) (admin.Region, bool, error) {
	all, err := r.client.Regions(ctx)
	if err != nil {
		return admin.Region{}, false, err
	}
	i := slices.IndexFunc(all.Regions, func(o admin.Region) bool { return o.Name == name })
	if i < 0 {
		return admin.Region{}, false, nil
	}
	return all.Regions[i], true, nil
}

func ordered(r admin.Region) string {
	if r.Order == nil || r.Order.Refused {
		return stateOn
	}
	return r.Order.State
}

func orderedOver(r admin.Region) string {
	if ordered(r) == stateOn {
		return ""
	}
	return r.Order.Over
}

// order says what is wanted, unless that is what was said last. A region that is new needs a moment to take orders.
func (r *region) order(ctx context.Context, w wanted) error {
	ctx, cancel := context.WithTimeout(ctx, appears+adminclient.DefaultPatience)
	defer cancel()
	for end := time.Now().Add(appears); ; {
		now, there, err := r.now(ctx, w.name)
		if err != nil {
			return err
		}
		if there && ordered(now) == w.state {
			return nil
		}
		if there || time.Now().After(end) {
			_, err := r.client.Order(ctx, w.name, w.state, w.over)
			return err
		}
		if err := wait(ctx, look); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gone waits until a region that was ordered away has no share of the traffic and nothing in flight. Every gateway
// shifts over the same time, so that time is waited for, whatever the one that is asked has come to.
func (r *region) gone(ctx context.Context, w wanted) error {
	over := time.Now().Add(w.over)
	for end := over.Add(w.wait); ; {
		now, there, err := r.now(ctx, w.name)
		if err != nil {
			return err
		}
		passed := !time.Now().Before(over) || there && now.Order != nil && time.Since(now.Order.At.Time) > w.over
		if !there || passed && now.Share == 0 && now.InFlight == 0 {
			return nil
		}
		if time.Now().After(end) {
			if w.wait == 0 {
				return nil
			}
			return fmt.Errorf("%w: %d, at a share of %.2f, after %s", errNotEmpty, now.InFlight, now.Share, w.over+w.wait)
		}
		if err := wait(ctx, look); err != nil {
			return err
		}
	}
}

// refused explains an order that was not taken.
func (r *region) refused(to *diag.Diagnostics, w wanted, err error) {
	var no *adminclient.Refusal
	if errors.As(err, &no) && no.Code == "refused" {
		to.AddAttributeError(path.Root("state"), "The region "+w.name+" cannot be "+w.state, no.Message+". Turn another region on first.")
		return
	}
	r.explain(to, w.name, err)
}

// ModifyPlan implements resource.ResourceWithModifyPlan: what would take the last region or the majority away fails
// before anything is changed.
func (r *region) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.client == nil || req.State.Raw.IsNull() {
		return
	}
	before, err := fieldsOf(req.State.Raw)
	if err != nil {
		return
	}
	destroyed := req.Plan.Raw.IsNull()
	w := wantedOf(before)
	if !destroyed {
		after, err := fieldsOf(req.Plan.Raw)
		if err != nil {
			return
		}
		if now := wantedOf(after); now.state != w.state {
			w.state = now.state
		} else {
			return
		}
	}
	if !destroyed && w.state == stateOn {
		return
	}
	verb := map[bool]string{true: "destroyed", false: w.state}[destroyed]
	if why := r.last(ctx, w.name); why != "" {
		resp.Diagnostics.AddAttributeError(path.Root("state"), "The region "+w.name+" cannot be "+verb, why)
		return
	}
	why := r.needed(ctx, w.name)
	switch {
	case why == "" || w.state == stateDraining && !destroyed:
	case destroyed: // the same apply may take the votes away first
		resp.Diagnostics.AddAttributeWarning(path.Root("state"), "The region "+w.name+" holds votes that writes need", why)
	default:
		resp.Diagnostics.AddAttributeError(path.Root("state"), "The region "+w.name+" cannot be "+verb, why)
	}
}

// last says why no region would be left in service, "" when one would. Where nobody answers, the apply will tell.
func (r *region) last(ctx context.Context, name string) string {
	all, err := r.client.Regions(ctx)
	if err != nil {
		return ""
	}
	for _, o := range all.Regions {
		if o.Name != name && ordered(o) == stateOn && o.State != stateOff {
			return ""
		}
	}
	return "It is the last region in service. Add another region, or turn one on (state = \"on\"), and wait until it serves."
}

// needed says why nobody could write without the region's voters, "" when the others could.
func (r *region) needed(ctx context.Context, name string) string {
	c, err := r.client.Cluster(ctx)
	if err != nil || len(c.Rule.Definition) == 0 {
		return ""
	}
	rule, err := strategies.Decode(c.Rule.Definition)
	if err != nil {
		return ""
	}
	voters := rule.Voters()
	compiled, err := strategies.Compile(voters, rule)
	if err != nil {
		return ""
	}
	var theirs, others []string
	for _, m := range c.Gateways {
		switch {
		case !slices.Contains(voters, m.Gateway):
		case m.Region == name:
			theirs = append(theirs, m.Gateway)
		default:
			others = append(others, m.Gateway)
		}
	}
	if len(theirs) == 0 || compiled.Satisfied(strategies.MakeSet(voters, others...)) {
		return ""
	}
	return fmt.Sprintf("Writes need %s, which the voters outside this region cannot be: it holds %s. Make gateways of other regions voters first (quorate_voter), or take the votes of this region away.",
		c.Rule.Words, strings.Join(theirs, ", "))
}
