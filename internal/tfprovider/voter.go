package tfprovider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/adminclient"
)

// voter is the vote of a gateway or witness.
type voter struct{ client *adminclient.Client }

func newVoter() resource.Resource { return &voter{} }

type voterModel struct {
	Name     types.String `tfsdk:"name"`
	Role     types.String `tfsdk:"role"`
	Region   types.String `tfsdk:"region"`
	Declared types.Int64  `tfsdk:"declared"`
	Revision types.Int64  `tfsdk:"revision"`
}

// Metadata implements resource.Resource.
func (v *voter) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_voter"
}

// Schema implements resource.Resource.
func (v *voter) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	replaced := []planmodifier.String{stringplanmodifier.RequiresReplace()}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The vote of a gateway or witness of the fleet in its control group. It must have joined; creating this waits until it has caught up. The first voters, of `control.expect`, are there already: import them by name.",
		Attributes: map[string]schema.Attribute{
			"name":     schema.StringAttribute{Required: true, PlanModifiers: replaced, MarkdownDescription: "The name of the gateway or witness."},
			"role":     schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString(admin.RoleVoter), PlanModifiers: replaced, MarkdownDescription: "`voter` or `witness`, as its own file says. Default: `voter`."},
			"region":   schema.StringAttribute{Optional: true, Computed: true, PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace(), stringplanmodifier.UseStateForUnknown()}, MarkdownDescription: "Its region, as its own file says. Nothing: the one that it joined from."},
			"declared": schema.Int64Attribute{Optional: true, MarkdownDescription: "How many voters there are to be in the end, 0 to 32, so that a majority of two is taken for a step on the way to three. It is not read back."},
			"revision": schema.Int64Attribute{Computed: true, MarkdownDescription: "The entry of the log that last changed it."},
		},
	}
}

// Configure implements resource.ResourceWithConfigure.
func (v *voter) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	v.client = clientOf(req.ProviderData, &resp.Diagnostics)
}

// ValidateConfig implements resource.ResourceWithValidateConfig.
func (v *voter) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m voterModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	if role := m.Role.ValueString(); role != "" && role != admin.RoleVoter && role != admin.RoleWitness {
		resp.Diagnostics.AddAttributeError(path.Root("role"), "Invalid voter", "role: "+role+" is no role of a voter; write voter or witness.")
	}
	if n := m.Declared.ValueInt64(); n < 0 || n > 32 {
		resp.Diagnostics.AddAttributeError(path.Root("declared"), "Invalid voter", "declared: is out of range; write 0 to 32.")
	}
}

func (m *voterModel) take(now admin.Voter) {
	m.Name, m.Role, m.Region = types.StringValue(now.Name), types.StringValue(now.Role), types.StringValue(now.Region)
	m.Revision = types.Int64Value(int64(now.Revision))
}

func (v *voter) put(ctx context.Context, m *voterModel, revision uint64, to *diag.Diagnostics) {
	want := admin.Voter{Name: m.Name.ValueString(), Role: m.Role.ValueString(), Region: m.Region.ValueString()}
	now, err := v.client.PutVoter(ctx, want, int(m.Declared.ValueInt64()), revision)
	if err != nil {
		explain(to, "voter", want.Name, err)
		return
	}
	m.take(now)
}

// Create implements resource.Resource.
func (v *voter) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m voterModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	if v.put(ctx, &m, adminclient.Absent, &resp.Diagnostics); !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	}
}

// Update implements resource.Resource.
func (v *voter) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, before voterModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.Append(req.State.Get(ctx, &before)...); resp.Diagnostics.HasError() {
		return
	}
	if v.put(ctx, &m, uint64(before.Revision.ValueInt64()), &resp.Diagnostics); !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	}
}

// Read implements resource.Resource.
func (v *voter) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m voterModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	now, err := v.client.Voter(ctx, m.Name.ValueString())
	switch {
	case adminclient.NotFound(err):
		resp.State.RemoveResource(ctx)
	case err != nil:
		explain(&resp.Diagnostics, "voter", m.Name.ValueString(), err)
	default:
		m.take(now)
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	}
}

// Delete implements resource.Resource.
func (v *voter) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m voterModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	if err := v.client.DeleteVoter(ctx, m.Name.ValueString(), uint64(m.Revision.ValueInt64())); err != nil {
		explain(&resp.Diagnostics, "voter", m.Name.ValueString(), err)
	}
}

// ImportState implements resource.ResourceWithImportState: by name.
func (v *voter) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	resource.ImportStatePassthroughID(ctx, path.Root("name"), req, resp)
}
