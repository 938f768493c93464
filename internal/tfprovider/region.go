package tfprovider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/quorate/quorate/internal/adminclient"
	"github.com/quorate/quorate/internal/settings"
)

// What is wanted of a region, and the times of a drain where nothing is written.
const (
	stateOn, stateDraining, stateOff = "on", "draining", "off"
	defaultEvacuation                = "30s"
	defaultDrain                     = "10m"
)

// region is a document with an order: what a region is, and what is wanted of it.
type region struct{ document }

var (
	_ resource.ResourceWithImportState    = (*region)(nil)
	_ resource.ResourceWithModifyPlan     = (*region)(nil)
	_ resource.ResourceWithValidateConfig = (*region)(nil)
)

func newRegion() resource.Resource {
	return &region{document{kind: settings.Regions, noun: "region", keys: keysOf("regions"),
		doc: "A failure domain: how the other regions reach its gateways, and what is wanted of it. It is destroyed in this order: drain, wait until nothing is in flight there, remove. The last region in service cannot be drained, turned off or destroyed, nor one without whose voters nobody may write be turned off or destroyed."}}
}

// Schema implements resource.Resource.
func (r *region) Schema(ctx context.Context, req resource.SchemaRequest, resp *resource.SchemaResponse) {
	r.document.Schema(ctx, req, resp)
	word := func(def, doc string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString(def), MarkdownDescription: doc}
	}
	resp.Schema.Attributes["state"] = word(stateOn, "What is wanted of the region: `on`; `draining`, which shifts its traffic away while it may still serve what nobody else can; `off`, which does the same and then sends nothing there. An apply ends when the traffic is gone. Default: `on`.")
	resp.Schema.Attributes["evacuation_time"] = word(defaultEvacuation, "Time over which traffic is shifted away when it is drained, turned off or destroyed, 0s to 24h. Default: `30s`.")
	resp.Schema.Attributes["drain_timeout"] = word(defaultDrain, "How long to wait, after that time, until nothing is in flight there, 0s to 24h. Default: `10m`.")
}

// ValidateConfig implements resource.ResourceWithValidateConfig.
func (r *region) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	r.document.ValidateConfig(ctx, req, resp)
	fields, err := fieldsOf(req.Config.Raw)
	if err != nil {
		return
	}
	switch s := wordOf(fields, "state"); s {
	case "", stateOn, stateDraining, stateOff:
	default:
		resp.Diagnostics.AddAttributeError(path.Root("state"), "Invalid region", "state: "+s+" is no state; write on, draining or off.")
	}
	for _, name := range []string{"evacuation_time", "drain_timeout"} {
		if s := wordOf(fields, name); s != "" {
			if d, err := time.ParseDuration(s); err != nil || d < 0 || d > 24*time.Hour {
				resp.Diagnostics.AddAttributeError(path.Root(name), "Invalid region", name+": is no such time; write a duration from 0s to 24h.")
			}
		}
	}
}

// wanted is the order that a plan or state holds.
type wanted struct {
	name, state string
	over, wait  time.Duration
}

func wantedOf(fields map[string]tftypes.Value) wanted {
	w := wanted{name: nameOf(fields), state: wordOf(fields, "state")}
	w.over, w.wait = duration(wordOf(fields, "evacuation_time"), defaultEvacuation), duration(wordOf(fields, "drain_timeout"), defaultDrain)
	if w.state == "" {
		w.state = stateOn
	}
	return w
}

func duration(text, otherwise string) time.Duration {
	if d, err := time.ParseDuration(text); err == nil {
		return d
	}
	d, _ := time.ParseDuration(otherwise)
	return d
}

// Create implements resource.Resource. A region that cannot get its order is taken back.
func (r *region) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	if !r.put(ctx, req.Plan.Raw, adminclient.Absent, &resp.State, &resp.Diagnostics) {
		return
	}
	fields, err := fieldsOf(resp.State.Raw)
	if err != nil {
		resp.Diagnostics.AddError("The state cannot be read", err.Error())
		return
	}
	w := wantedOf(fields)
	if err := r.order(ctx, w); err != nil {
		r.refused(&resp.Diagnostics, w, err)
		if r.client.DeleteSetting(ctx, r.kind, w.name, revisionOf(fields)) == nil {
			resp.State.RemoveResource(ctx)
		}
	}
}

// Update implements resource.Resource. What has happened is remembered, whatever comes after it.
func (r *region) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	before, err := fieldsOf(req.State.Raw)
	if err != nil {
		resp.Diagnostics.AddError("The state cannot be read", err.Error())
		return
	}
	if !r.put(ctx, req.Plan.Raw, revisionOf(before), &resp.State, &resp.Diagnostics) {
		return
	}
	fields, err := fieldsOf(resp.State.Raw)
	if err != nil {
		resp.Diagnostics.AddError("The state cannot be read", err.Error())
		return
	}
	w := wantedOf(fields)
	if err := r.order(ctx, w); err != nil {
		r.refused(&resp.Diagnostics, w, err)
		setWord(&resp.State, "state", wordOf(before, "state"))
		return
	}
	if w.state == stateOn || wordOf(before, "state") == w.state {
		return
	}
	if err := r.gone(ctx, w); err != nil {
		resp.Diagnostics.AddAttributeWarning(path.Root("drain_timeout"), "The region "+w.name+" is not empty yet", err.Error())
	}
}

func setWord(state *tfsdk.State, name, word string) {
	fields, err := fieldsOf(state.Raw)
	if err != nil {
		return
	}
	fields[name] = tftypes.NewValue(tftypes.String, word)
	state.Raw = tftypes.NewValue(state.Raw.Type(), fields)
}

// Read implements resource.Resource.
func (r *region) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	if !r.read(ctx, req.State.Raw, &resp.State, &resp.Diagnostics) {
		return
	}
	fields, err := fieldsOf(resp.State.Raw)
	if err != nil {
		resp.Diagnostics.AddError("The state cannot be read", err.Error())
		return
	}
	name := nameOf(fields)
	now, there, err := r.now(ctx, name)
	if err != nil {
		r.explain(&resp.Diagnostics, name, err)
		return
	}
	if there { // one that this gateway leaves out has no order here
		setWord(&resp.State, "state", ordered(now))
		if over := orderedOver(now); over != "" && wordOf(fields, "evacuation_time") == "" {
			setWord(&resp.State, "evacuation_time", over)
		}
	}
	for name, otherwise := range map[string]string{"state": stateOn, "evacuation_time": defaultEvacuation, "drain_timeout": defaultDrain} {
		if fields, err := fieldsOf(resp.State.Raw); err == nil && wordOf(fields, name) == "" {
			setWord(&resp.State, name, otherwise)
		}
	}
}

// Delete implements resource.Resource: drain, wait, remove.
func (r *region) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	fields, err := fieldsOf(req.State.Raw)
	if err != nil {
		resp.Diagnostics.AddError("The state cannot be read", err.Error())
		return
	}
	w := wantedOf(fields)
	if why := r.needed(ctx, w.name); why != "" {
		resp.Diagnostics.AddAttributeError(path.Root("state"), "The region "+w.name+" cannot be destroyed", why)
		return
	}
	if w.state == stateOn {
		w.state = stateDraining
	}
	if err := r.order(ctx, w); err != nil && !adminclient.NotFound(err) {
		r.refused(&resp.Diagnostics, w, err)
		return
	}
	setWord(&resp.State, "state", w.state)
	if err := r.gone(ctx, w); err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("drain_timeout"), "The region "+w.name+" is drained but not empty, and was not removed",
			fmt.Sprintf("%v. Apply again, or with a longer drain_timeout; with 0s it is removed as it is.", err))
		return
	}
	r.document.Delete(ctx, req, resp)
}
