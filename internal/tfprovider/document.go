package tfprovider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/adminclient"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/settings"
)

// document is the resource of one kind of run-time settings.
type document struct {
	client *adminclient.Client
	kind   settings.Kind
	noun   string // of the resource's name, behind quorate_
	doc    string
	keys   []config.Key
}

func newService() resource.Resource {
	return &document{kind: settings.Services, noun: "service", keys: keysOf("services"),
		doc: "A logical MCP server: the path that agents use, where its nodes are found, and its limits. What only a restart could change of a running service is refused; `terraform apply -replace` removes the service and puts it again."}
}

func newRoute() resource.Resource {
	return &document{kind: settings.Routes, noun: "route", keys: keysOf("routes"),
		doc: "What is wanted for requests of several services. Routes come after those of files and services, in the order of their names."}
}

func newStrategy() resource.Resource {
	return &document{kind: settings.Strategies, noun: "strategy", keys: strategyKeys(),
		doc: "Which side of a partition writes (name `split_brain`), or where sessions are kept (name `replication`), in place of what files say. Destroying it brings back what the files say."}
}

// Metadata implements resource.Resource.
func (d *document) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_" + d.noun
}

// Schema implements resource.Resource.
func (d *document) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	all := attributes(d.keys)
	all["name"] = schema.StringAttribute{Required: true, MarkdownDescription: "Its name, unique in the fleet.", PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}}
	all["revision"] = schema.Int64Attribute{Computed: true, MarkdownDescription: "The settings revision that it is at. A change is refused when somebody else changed it since the plan."}
	resp.Schema = schema.Schema{MarkdownDescription: d.doc, Attributes: all}
}

// Configure implements resource.ResourceWithConfigure.
func (d *document) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	d.client = clientOf(req.ProviderData, &resp.Diagnostics)
}

// ValidateConfig implements resource.ResourceWithValidateConfig: the gateway's own decoder judges, while planning.
func (d *document) ValidateConfig(_ context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	fields, err := fieldsOf(req.Config.Raw)
	if err != nil || !fields["name"].IsKnown() || fields["name"].IsNull() {
		return
	}
	name := nameOf(fields)
	e := &encoder{}
	body, err := e.body(fields, d.keys)
	if err != nil {
		resp.Diagnostics.AddError("This "+d.noun+" is not valid", err.Error())
		return
	}
	_, err = config.ParseDocument(d.kind, name, body)
	var problems config.Problems
	if !errors.As(err, &problems) {
		return
	}
	for _, p := range problems {
		if !e.hides(p.Key) {
			d.problem(&resp.Diagnostics, p.Key, p.What, p.Write)
		}
	}
}

// hides reports whether a problem may only come from what is not known yet.
func (e *encoder) hides(key string) bool {
	for _, u := range e.unknown {
		if key == "document" || key == u || strings.HasPrefix(key, u+".") || strings.HasPrefix(key, u+"[") || strings.HasPrefix(u, key+".") || strings.HasPrefix(u, key+"[") {
			return true
		}
	}
	return false
}

// problem is one thing wrong with a document, at its attribute.
func (d *document) problem(to *diag.Diagnostics, key, what, write string) {
	detail := fmt.Sprintf("%s: %s; write %s.", key, what, write)
	at, ok := pathOf(key, d.keys)
	switch {
	case ok:
		to.AddAttributeError(at, "Invalid "+d.noun, detail)
	case key == "name":
		to.AddAttributeError(path.Root("name"), "Invalid "+d.noun, detail)
	default:
		to.AddError("Invalid "+d.noun, detail)
	}
}

func (e *encoder) body(fields map[string]tftypes.Value, keys []config.Key) ([]byte, error) {
	out, err := e.section(fields, keys, "")
	if err != nil {
		return nil, err
	}
	return marshal(out)
}

func fieldsOf(raw tftypes.Value) (fields map[string]tftypes.Value, err error) {
	if raw.IsNull() {
		return map[string]tftypes.Value{}, nil
	}
	err = raw.As(&fields)
	return fields, err
}

// nameOf returns the attribute name, "" where it is not known.
func nameOf(fields map[string]tftypes.Value) string { return wordOf(fields, "name") }

func wordOf(fields map[string]tftypes.Value, name string) (s string) {
	if v, ok := fields[name]; ok && v.IsKnown() && !v.IsNull() {
		_ = v.As(&s) // a text by the schema
	}
	return s
}

func revisionOf(fields map[string]tftypes.Value) uint64 {
	v, ok := fields["revision"]
	if !ok || !v.IsKnown() || v.IsNull() {
		return 0
	}
	n := tftypesNumber(v)
	return n
}

// state is what is remembered of a document: what was written where the gateway's says the same, else the gateway's.
func (d *document) state(of tftypes.Type, prior map[string]tftypes.Value, s admin.Setting) (tftypes.Value, error) {
	object, ok := of.(tftypes.Object)
	if !ok {
		return tftypes.Value{}, fmt.Errorf("%s is no object", of)
	}
	fields := maps.Clone(prior)
	for name, t := range object.AttributeTypes {
		if v, ok := fields[name]; !ok || !v.IsKnown() {
			fields[name] = tftypes.NewValue(t, nil)
		}
	}
	written, err := (&encoder{}).body(fields, d.keys)
	if err != nil || !adminclient.SameJSON(written, s.Settings) {
		raw, err := unmarshal(s.Settings)
		if err != nil {
			return tftypes.Value{}, err
		}
		said, _ := raw.(map[string]any)
		for _, k := range d.keys {
			fields[k.Name] = decode(object.AttributeTypes[k.Name], said[k.Name])
		}
	}
	fields["name"] = tftypes.NewValue(tftypes.String, s.Name)
	fields["revision"] = tftypes.NewValue(tftypes.Number, s.Revision)
	return tftypes.NewValue(of, fields), nil
}
