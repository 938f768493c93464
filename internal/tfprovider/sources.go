package tfprovider

import (
	"context"
	"encoding/json"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"

	"github.com/quorate/quorate/internal/adminclient"
	"github.com/quorate/quorate/internal/config"
)

// source is a data source: an answer of the admin listener, read with a description of it.
type source struct {
	client    *adminclient.Client
	noun, doc string
	keys      []config.Key
	ask       func(context.Context, *adminclient.Client) (any, error)
}

func word(name, doc string) config.Key {
	return config.Key{Name: name, Kind: config.KindText, Doc: doc}
}
func number(name, doc string) config.Key {
	return config.Key{Name: name, Kind: config.KindNumber, Doc: doc}
}
func flag(name, doc string) config.Key {
	return config.Key{Name: name, Kind: config.KindSwitch, Doc: doc}
}

func newCluster() datasource.DataSource {
	return &source{noun: "cluster", doc: "The control group as the gateway that is asked sees it.",
		ask: func(ctx context.Context, c *adminclient.Client) (any, error) { return c.Cluster(ctx) },
		keys: []config.Key{
			word("grade", "`healthy`, `warning` or `critical`."),
			{Name: "reasons", Kind: config.KindTexts, Doc: "Why it is no better."},
			number("nodes", "Gateways and witnesses of the roster."), number("nodes_up", "How many of them answer."),
			word("id", "The cluster's id, minted at its first start."), number("generation", "One more for each time that it was forced."),
			word("gateway", "The gateway that answers."), word("leader", "The gateway that leads; empty when none is known."),
			number("term", "The leader's term."), number("declared", "Voters that the fleet is to have in the end."),
			word("problem", "Why this gateway follows the log no more; empty for none."),
			flag("partition", "Whether gateways of the roster are lost that have not left."), word("minority", "What this gateway does while it may not write."),
			{Name: "gate", Kind: config.KindSection, Doc: "Whether this gateway may write.", Keys: []config.Key{flag("open", "It may."), word("reason", "Why not, and what to do.")}},
			{Name: "rule", Kind: config.KindSection, Doc: "The quorum rule in force.", Keys: []config.Key{
				number("version", "Its version."), word("strategy", "The strategy that made it."), word("words", "The rule, such as `2 of gw-1, gw-2, gw-3`."),
				flag("changing", "The rule before it is needed too."),
			}},
			{Name: "gateways", Kind: config.KindList, Doc: "The roster.", Keys: []config.Key{
				word("gateway", "Its name."), word("region", "Its region."), word("role", "`voter`, `member` or `witness`."), flag("up", "It answers."),
				word("gate", "`open`, `closed`, `unknown` or `none`."), number("rtt_ms", "Round trip in milliseconds."), number("lag_ms", "How far it is behind, in milliseconds."),
				flag("fenced", "Its last life has ended."), word("version", "Of its build."),
			}},
		}}
}

func newNodes() datasource.DataSource {
	return &source{noun: "nodes", doc: "The nodes of all services and regions as the gateway that is asked sees them.",
		ask: func(ctx context.Context, c *adminclient.Client) (any, error) { return c.Nodes(ctx) },
		keys: []config.Key{{Name: "nodes", Kind: config.KindList, Doc: "The nodes.", Keys: []config.Key{
			word("service", "The service that it belongs to."), word("id", "Its id."), word("url", "Its MCP endpoint."), word("region", "Its region."),
			word("source", "Which source named it."), word("era", "What it speaks: `unknown`, `legacy`, `modern` or `both`."),
			word("state", "`unknown`, `healthy`, `degraded` or `unhealthy`."), word("breaker", "`closed`, `open` or `half_open`."),
			number("latency_ms", "Latency in milliseconds."), number("in_flight", "Requests in flight there."), word("problem", "Why its last check failed."),
			word("version", "Of its server."), word("group", "Its group."),
		}}}}
}

// Metadata implements datasource.DataSource.
func (s *source) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_" + s.noun
}

// Schema implements datasource.DataSource.
func (s *source) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{MarkdownDescription: s.doc, Attributes: computed(s.keys)}
}

// Configure implements datasource.DataSourceWithConfigure.
func (s *source) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	s.client = clientOf(req.ProviderData, &resp.Diagnostics)
}

// Read implements datasource.DataSource.
func (s *source) Read(ctx context.Context, _ datasource.ReadRequest, resp *datasource.ReadResponse) {
	said, err := s.ask(ctx, s.client)
	if outside(&resp.Diagnostics, err) {
		return
	}
	if err != nil {
		resp.Diagnostics.AddError("The gateway does not tell of its "+s.noun, err.Error())
		return
	}
	raw, err := json.Marshal(said)
	if err != nil {
		resp.Diagnostics.AddError("The gateway's answer cannot be read", err.Error())
		return
	}
	v, err := unmarshal(raw)
	if err != nil {
		resp.Diagnostics.AddError("The gateway's answer cannot be read", err.Error())
		return
	}
	resp.State.Raw = decode(resp.State.Schema.Type().TerraformType(ctx), v)
}
