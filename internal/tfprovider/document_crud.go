package tfprovider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/adminclient"
)

// Create implements resource.Resource.
func (d *document) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	d.put(ctx, req.Plan.Raw, adminclient.Absent, &resp.State, &resp.Diagnostics)
}

// Update implements resource.Resource.
func (d *document) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	before, err := fieldsOf(req.State.Raw)
	if err != nil {
		resp.Diagnostics.AddError("The state cannot be read", err.Error())
		return
	}
	d.put(ctx, req.Plan.Raw, revisionOf(before), &resp.State, &resp.Diagnostics)
}

// put sets the document at a revision, and remembers it. It reports whether it did.
func (d *document) put(ctx context.Context, plan tftypes.Value, revision uint64, state *tfsdk.State, to *diag.Diagnostics) bool {
	fields, err := fieldsOf(plan)
	if err != nil {
		to.AddError("The plan cannot be read", err.Error())
		return false
	}
	body, err := (&encoder{}).body(fields, d.keys)
	if err != nil {
		to.AddError("This "+d.noun+" is not valid", err.Error())
		return false
	}
	s, err := d.client.PutSetting(ctx, d.kind, nameOf(fields), body, revision)
	if err != nil {
		d.explain(to, nameOf(fields), err)
		return false
	}
	for _, p := range s.Problems {
		to.AddWarning("The gateway that was asked does not follow the "+d.noun+" "+s.Name, p.Attribute+": "+p.Problem+"; write "+p.Write)
	}
	return d.remember(state, fields, s, to)
}

func (d *document) remember(state *tfsdk.State, fields map[string]tftypes.Value, s admin.Setting, to *diag.Diagnostics) bool {
	raw, err := d.state(state.Schema.Type().TerraformType(context.Background()), fields, s)
	if err != nil {
		to.AddError("The gateway's answer cannot be read", err.Error())
		return false
	}
	state.Raw = raw
	return true
}

// Read implements resource.Resource.
func (d *document) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	d.read(ctx, req.State.Raw, &resp.State, &resp.Diagnostics)
}

// read refreshes a state, and reports whether the document is there.
func (d *document) read(ctx context.Context, prior tftypes.Value, state *tfsdk.State, to *diag.Diagnostics) bool {
	fields, err := fieldsOf(prior)
	if err != nil {
		to.AddError("The state cannot be read", err.Error())
		return false
	}
	name := nameOf(fields)
	s, err := d.client.Setting(ctx, d.kind, name)
	switch {
	case adminclient.NotFound(err):
		state.RemoveResource(ctx)
		return false
	case err != nil:
		d.explain(to, name, err)
		return false
	case s.Source != admin.SourceAPI:
		to.AddAttributeError(path.Root("name"), "The "+d.noun+" "+name+" stands in a file",
			"It stands at "+s.At+" of the gateway that was asked and can only be changed there. Remove it from the file, or from this configuration.")
		return false
	}
	return d.remember(state, fields, s, to)
}

// Delete implements resource.Resource.
func (d *document) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	fields, err := fieldsOf(req.State.Raw)
	if err != nil {
		resp.Diagnostics.AddError("The state cannot be read", err.Error())
		return
	}
	if err := d.client.DeleteSetting(ctx, d.kind, nameOf(fields), revisionOf(fields)); err != nil {
		d.explain(&resp.Diagnostics, nameOf(fields), err)
	}
}

// ImportState implements resource.ResourceWithImportState: by name.
func (d *document) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	resource.ImportStatePassthroughID(ctx, path.Root("name"), req, resp)
}
