// Package tfprovider is the Terraform provider: regions, services, routes, strategies and voters of a fleet as
// resources, over the admin listener of one gateway. It must not know how a gateway carries them out, and nothing of the
// gateway may depend on it.
package tfprovider

import (
	"context"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/quorate/quorate/internal/adminclient"
)

//go:generate go run ./tfdocs -out ../../docs/terraform

// Address is the provider's name for Terraform. No registry serves it: make install-provider writes a mirror.
const Address = "registry.terraform.io/quorate/quorate"

// Provider is the provider. The zero value is ready for use.
type Provider struct{ Version string }

var _ provider.ProviderWithFunctions = (*Provider)(nil)

type providerModel struct {
	Address   types.String `tfsdk:"address"`
	Token     types.String `tfsdk:"token"`
	TokenFile types.String `tfsdk:"token_file"`
	CAFile    types.String `tfsdk:"ca_file"`
	CertFile  types.String `tfsdk:"cert_file"`
	KeyFile   types.String `tfsdk:"key_file"`
	Patience  types.String `tfsdk:"patience"`
}

// Metadata implements provider.Provider.
func (p *Provider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName, resp.Version = "quorate", p.Version
}

// Schema implements provider.Provider.
func (p *Provider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	text := func(doc string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: doc}
	}
	token := text("The bearer token of the admin listener. It is sensitive and never in the state. `QUORATE_ADMIN_TOKEN` where nothing is written.")
	token.Sensitive = true
	resp.Schema = schema.Schema{
		MarkdownDescription: "Provisions a Quorate fleet through the admin listener of one of its gateways. The fleet agrees on each change; a gateway without a majority refuses it.",
		Attributes: map[string]schema.Attribute{
			"address":    text("HOST:PORT or URL of a gateway's admin listener. `QUORATE_ADMIN_URL` where nothing is written."),
			"token":      token,
			"token_file": text("A file that holds the bearer token. `QUORATE_ADMIN_TOKEN_FILE` is the gateway's own; here it has no variable."),
			"ca_file":    text("PEM certificates of the authorities that vouch for the gateway. Nothing: the system's."),
			"cert_file":  text("PEM client certificate, for mutual TLS."),
			"key_file":   text("PEM private key of the client certificate."),
			"patience":   text("How long to try again while no gateway answers or there is no majority: an election takes a second or two. 100ms to 10m. Default: `15s`."),
		},
	}
}

// Configure implements provider.Provider.
func (p *Provider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var m providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || m.Address.IsUnknown() {
		return
	}
	c := adminclient.Config{
		Address: orEnv(m.Address, "QUORATE_ADMIN_URL"), TokenFile: m.TokenFile.ValueString(), Token: m.Token.ValueString(),
		CAFile: m.CAFile.ValueString(), CertFile: m.CertFile.ValueString(), KeyFile: m.KeyFile.ValueString(),
	}
	if c.TokenFile == "" {
		c.Token = orEnv(m.Token, "QUORATE_ADMIN_TOKEN")
	}
	if text := m.Patience.ValueString(); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 100*time.Millisecond {
			resp.Diagnostics.AddAttributeError(path.Root("patience"), "Not a duration", "patience: write a duration from 100ms to 10m.")
			return
		}
		c.Patience = d
	}
	client, err := adminclient.New(c)
	if err != nil {
		resp.Diagnostics.AddError("The provider cannot be set up", err.Error())
		return
	}
	resp.ResourceData, resp.DataSourceData = client, client
}

func orEnv(s types.String, name string) string {
	if s.ValueString() != "" {
		return s.ValueString()
	}
	return os.Getenv(name)
}

// clientOf returns what Configure made; nil while the provider is not configured yet.
func clientOf(data any, to *diag.Diagnostics) *adminclient.Client {
	if data == nil {
		return nil
	}
	c, ok := data.(*adminclient.Client)
	if !ok {
		to.AddError("The provider is not what it should be", "Report this as a bug of the provider.")
	}
	return c
}

// Resources implements provider.Provider.
func (p *Provider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{newRegion, newService, newRoute, newStrategy, newVoter}
}

// DataSources implements provider.Provider.
func (p *Provider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{newCluster, newNodes}
}

// Functions implements provider.ProviderWithFunctions.
func (p *Provider) Functions(context.Context) []func() function.Function {
	return []func() function.Function{newGatewayConfig, newQuorumCheck}
}
