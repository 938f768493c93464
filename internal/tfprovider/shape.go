package tfprovider

import (
	"fmt"
	"strings"

	datasource "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/quorate/quorate/internal/config"
)

// attributes are a document's keys as attributes of a resource. They come from the description that the gateway's own
// decoder follows, so that provider and gateway never differ. No default stands in them: what nobody wrote is not sent,
// and so nothing is drift but what somebody changed.
func attributes(keys []config.Key) map[string]schema.Attribute {
	all := map[string]schema.Attribute{}
	for _, k := range keys {
		if a := attribute(k); a != nil {
			all[k.Name] = a
		}
	}
	return all
}

func attribute(k config.Key) schema.Attribute {
	doc, required := describe(k), k.Required && k.Unless == ""
	switch k.Kind {
	case config.KindSection:
		return schema.SingleNestedAttribute{Attributes: attributes(k.Keys), MarkdownDescription: doc, Required: required, Optional: !required}
	case config.KindList:
		return schema.ListNestedAttribute{NestedObject: schema.NestedAttributeObject{Attributes: attributes(k.Keys)}, MarkdownDescription: doc, Required: required, Optional: !required}
	case config.KindMap:
		return schema.MapNestedAttribute{NestedObject: schema.NestedAttributeObject{Attributes: attributes(k.Keys)}, MarkdownDescription: doc, Required: required, Optional: !required}
	case config.KindTexts:
		return schema.ListAttribute{ElementType: types.StringType, MarkdownDescription: doc, Required: required, Optional: !required}
	case config.KindWords:
		return schema.MapAttribute{ElementType: types.StringType, MarkdownDescription: doc, Required: required, Optional: !required}
	case config.KindNumber:
		return schema.Int64Attribute{MarkdownDescription: doc, Required: required, Optional: !required}
	case config.KindSwitch:
		return schema.BoolAttribute{MarkdownDescription: doc, Required: required, Optional: !required}
	}
	return schema.StringAttribute{MarkdownDescription: doc, Required: required, Optional: !required}
}

// computed are keys as attributes of a data source.
func computed(keys []config.Key) map[string]datasource.Attribute {
	all := map[string]datasource.Attribute{}
	for _, k := range keys {
		switch k.Kind {
		case config.KindSection:
			all[k.Name] = datasource.SingleNestedAttribute{Attributes: computed(k.Keys), MarkdownDescription: k.Doc, Computed: true}
		case config.KindList:
			all[k.Name] = datasource.ListNestedAttribute{NestedObject: datasource.NestedAttributeObject{Attributes: computed(k.Keys)}, MarkdownDescription: k.Doc, Computed: true}
		case config.KindTexts:
			all[k.Name] = datasource.ListAttribute{ElementType: types.StringType, MarkdownDescription: k.Doc, Computed: true}
		case config.KindNumber:
			all[k.Name] = datasource.NumberAttribute{MarkdownDescription: k.Doc, Computed: true}
		case config.KindSwitch:
			all[k.Name] = datasource.BoolAttribute{MarkdownDescription: k.Doc, Computed: true}
		default:
			all[k.Name] = datasource.StringAttribute{MarkdownDescription: k.Doc, Computed: true}
		}
	}
	return all
}

// describe is a key's meaning with its range and the gateway's default.
func describe(k config.Key) string {
	doc := k.Doc
	switch {
	case len(k.Enum) > 0:
		doc += " One of `" + strings.Join(k.Enum, "`, `") + "`."
	case k.Kind == config.KindDuration:
		doc += fmt.Sprintf(" A duration, %s to %s.", k.Min, k.Max)
	case k.Kind == config.KindSize:
		doc += fmt.Sprintf(" A size, %s to %s.", k.Min, k.Max)
	case k.Kind == config.KindNumber && k.Min != "":
		doc += fmt.Sprintf(" %s to %s.", k.Min, k.Max)
	case k.Kind == config.KindTree:
		doc += " JSON text, as `jsonencode` makes it."
	}
	if k.Default != "" && !k.Required {
		doc += " Default: `" + k.Default + "`."
	}
	return doc
}

// keysOf returns the keys of the documents of a kind, without a name.
func keysOf(section ...string) []config.Key {
	keys := config.Keys()
	for _, name := range section {
		for _, k := range keys {
			if k.Name == name {
				keys = k.Keys
				break
			}
		}
	}
	var out []config.Key
	for _, k := range keys {
		if k.Name != "name" {
			out = append(out, k)
		}
	}
	return out
}

// strategyKeys are what the two documents of strategies can have, together: which one has what is judged by its name.
func strategyKeys() []config.Key {
	var out []config.Key
	for _, k := range keysOf("services", "replication") {
		if k.Name == "strategy" {
			k.Doc, k.Required = "What `split_brain` chooses by: `winner_takes_all`, `oldest_node`, `configured_master`, `region_majority`. Where `replication` keeps sessions: `async`, `quorum`. Or the name of `plugin`.", false
		}
		k.Doc = strings.ReplaceAll(k.Doc, "As in the top-level section", "As in the section `replication` of the file")
		if k.Name == "options" || k.Name == "plugin" {
			k.Doc = map[string]string{
				"options": "Settings of the strategy, by name.",
				"plugin":  "A strategy of your own, run as a process; it must be there on every gateway. `settings` is for `replication` alone.",
			}[k.Name]
		} else if k.Name != "strategy" {
			k.Doc += " For `replication` alone."
		}
		out = append(out, k)
	}
	return append(out, config.Key{Name: "master", Kind: config.KindText, Doc: "The voter that `configured_master` needs. For `split_brain` alone."})
}
