package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

const generated = "<!-- Generated from the provider's schema by go generate; do not edit. -->\n\n"

// pages are the documents by name.
func pages(ctx context.Context, p provider.ProviderWithFunctions) map[string]string {
	all := map[string]string{}
	var index strings.Builder
	var ps provider.SchemaResponse
	p.Schema(ctx, provider.SchemaRequest{}, &ps)
	index.WriteString("# The Terraform provider\n\n" + generated + ps.Schema.MarkdownDescription + "\n\n" + setup)
	rows := map[string]field{}
	for name, a := range ps.Schema.Attributes {
		rows[name] = attributeOf(a)
	}
	index.WriteString(table(rows) + "\n## Pages\n\n")
	for _, make := range p.Resources(ctx) {
		r := make()
		var m resource.MetadataResponse
		r.Metadata(ctx, resource.MetadataRequest{ProviderTypeName: "quorate"}, &m)
		var s resource.SchemaResponse
		r.Schema(ctx, resource.SchemaRequest{}, &s)
		rows := map[string]field{}
		for name, a := range s.Schema.Attributes {
			rows[name] = attributeOf(a)
		}
		all[m.TypeName] = "# " + m.TypeName + "\n\n" + generated + s.Schema.MarkdownDescription + "\n\nImport: `terraform import " + m.TypeName + ".it NAME`.\n\n" + table(rows)
		fmt.Fprintf(&index, "- [%s](%s.md), a resource\n", m.TypeName, m.TypeName)
	}
	for _, make := range p.DataSources(ctx) {
		d := make()
		var m datasource.MetadataResponse
		d.Metadata(ctx, datasource.MetadataRequest{ProviderTypeName: "quorate"}, &m)
		var s datasource.SchemaResponse
		d.Schema(ctx, datasource.SchemaRequest{}, &s)
		rows := map[string]field{}
		for name, a := range s.Schema.Attributes {
			rows[name] = attributeOf(a)
		}
		all["data_"+m.TypeName] = "# data " + m.TypeName + "\n\n" + generated + s.Schema.MarkdownDescription + "\n\n" + table(rows)
		fmt.Fprintf(&index, "- [%s](data_%s.md), a data source\n", m.TypeName, m.TypeName)
	}
	for _, make := range p.Functions(ctx) {
		name, text := functionPage(ctx, make())
		all["function_"+name] = text
		fmt.Fprintf(&index, "- [provider::quorate::%s](function_%s.md), a function\n", name, name)
	}
	all["README"] = index.String()
	return all
}

func functionPage(ctx context.Context, f function.Function) (name, text string) {
	var m function.MetadataResponse
	f.Metadata(ctx, function.MetadataRequest{}, &m)
	var d function.DefinitionResponse
	f.Definition(ctx, function.DefinitionRequest{}, &d)
	var b strings.Builder
	b.WriteString("# provider::quorate::" + m.Name + "\n\n" + generated + d.Definition.MarkdownDescription + "\n\n")
	for _, p := range d.Definition.Parameters {
		fmt.Fprintf(&b, "- `%s`: %s\n", p.GetName(), p.GetMarkdownDescription())
	}
	return m.Name, b.String()
}

// field is an attribute as a line of a table, with those below it.
type field struct {
	kind, use, doc string
	below          map[string]field
}

// table has one line for each attribute, nested ones dotted.
func table(rows map[string]field) string {
	var b strings.Builder
	b.WriteString("| attribute | type | use | meaning |\n|---|---|---|---|\n")
	lines(&b, "", rows)
	return b.String()
}

func lines(b *strings.Builder, at string, rows map[string]field) {
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		f := rows[name]
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", at, name, f.kind, f.use, strings.ReplaceAll(f.doc, "|", `\|`))
		dot := "."
		switch f.kind {
		case "list of objects":
			dot = "[]."
		case "map of objects":
			dot = ".NAME."
		}
		lines(b, at+name+dot, f.below)
	}
}

const setup = "No registry serves it. `make install-provider` builds it into `~/.terraform.d/plugins`, or into `MIRROR=DIR`, and prints what to put\n" +
	"into `~/.terraformrc`; then `terraform init` needs no network. OpenTofu takes the same mirror.\n\n" +
	"```hcl\nterraform {\n  required_providers {\n    quorate = { source = \"quorate/quorate\" }\n  }\n}\n\n" +
	"provider \"quorate\" {\n  address = \"https://gw-1.example.com:9090\"\n  ca_file = \"admin-ca.crt\"\n  # QUORATE_ADMIN_TOKEN holds the token\n}\n\n" +
	"resource \"quorate_region\" \"eu_west\" {\n  name            = \"eu-west\"\n  gateways        = [\"10.0.2.7:9100\", \"10.0.2.8:9100\"]\n  evacuation_time = \"5m\"\n}\n```\n\n" +
	"What the fleet agrees on goes to every gateway, so one is asked, whichever. Each change is compare-and-set on the revision that\n" +
	"the plan saw: who comes second gets a conflict and plans again. What stands in a gateway's file is refused. A `terraform apply`\n" +
	"that broke off, whatever it met, is mended by the next one. Attributes without a value are not sent, so the gateway's default\n" +
	"holds and is no drift.\n\n" +
	"Modules are in [terraform/modules](../../terraform/modules), an example in\n[terraform/examples/three-regions](../../terraform/examples/three-regions). Without Terraform: [deploy](../../deploy).\n\n"
