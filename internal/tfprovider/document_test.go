package tfprovider

import (
	"maps"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/settings"
)

// documents of every kind, with every shape of key.
func documents() map[*document]string {
	of := func(r resource.Resource) *document {
		if g, ok := r.(*region); ok {
			return &g.document
		}
		return r.(*document)
	}
	return map[*document]string{
		of(newService()):  `{"affinity":{"request_state":true},"discover":[{"static":{"nodes":[{"id":"a","url":"http://a:1/mcp","weight":3}],"region":"eu"}},{"dns":{"name":"_mcp._tcp.example.com","resolvers":["10.0.0.1:53"]}}],"limits":{"max":9},"path":"/x","replication":{"plugin":{"path":"/p","settings":{"urls":["nats://x"]}}},"retry":{"attempts":2}}`,
		of(newRegion()):   `{"gateways":["a:1","b:1"],"pools":{"tools":{"nodes":[{"id":"a","url":"http://a:1/mcp"}]}},"rtt":"80ms"}`,
		of(newRoute()):    `{"deadline":"1500ms","limit":7,"match":{"header":{"X-Tenant":"eu-*"},"tool":"<&>*"}}`,
		of(newStrategy()): `{"master":"gw-1","options":{"a":"b"},"strategy":"configured_master"}`,
	}
}

// typeOf is a resource's object type.
func typeOf(t *testing.T, d *document) tftypes.Object {
	t.Helper()
	var resp resource.SchemaResponse
	d.Schema(t.Context(), resource.SchemaRequest{}, &resp)
	if bad := resp.Schema.ValidateImplementation(t.Context()); bad.HasError() {
		t.Fatal(bad)
	}
	object, ok := resp.Schema.Type().TerraformType(t.Context()).(tftypes.Object)
	if !ok {
		t.Fatal("no object")
	}
	return object
}

// What a gateway holds becomes a state, and the state the same document.
func TestDocumentsSurviveTheWayThere(t *testing.T) {
	for d, body := range documents() {
		object := typeOf(t, d)
		raw, err := d.state(object, map[string]tftypes.Value{}, admin.Setting{Name: "x", Revision: 7, Settings: []byte(body)})
		if err != nil {
			t.Fatal(d.noun, err)
		}
		fields, err := fieldsOf(raw)
		if err != nil || nameOf(fields) != "x" || revisionOf(fields) != 7 {
			t.Errorf("%s: name %q at %d, %v", d.noun, nameOf(fields), revisionOf(fields), err)
		}
		e := &encoder{}
		if got, err := e.body(fields, d.keys); err != nil || string(got) != body {
			t.Errorf("%s: %v\n got %s\nwant %s", d.noun, err, got, body)
		}
		// What was written stays as it was written while the gateway's says the same.
		spaced := maps.Clone(fields)
		again, err := d.state(object, spaced, admin.Setting{Name: "x", Revision: 8, Settings: []byte(strings.ReplaceAll(body, ":", ": "))})
		if strings.Contains(body, "http") {
			continue // that has changed a URL
		}
		if now, _ := fieldsOf(again); err != nil || revisionOf(now) != 8 {
			t.Errorf("%s: %v", d.noun, err)
		}
	}
}

// Every key of every document is an attribute, and every problem finds its attribute.
func TestEveryKeyIsAnAttribute(t *testing.T) {
	for d := range documents() {
		object := typeOf(t, d)
		for _, k := range d.keys {
			if object.AttributeTypes[k.Name] == nil {
				t.Errorf("%s has no %s", d.noun, k.Name)
			}
		}
	}
}

func TestPathOf(t *testing.T) {
	for key, want := range map[string]string{
		"path":                            "path",
		"discover[1].static.nodes[0].url": "discover[1].static.nodes[0].url",
		"limits.max":                      "limits.max",
		"routes[0].match.header.X-Tenant": `routes[0].match.header["X-Tenant"]`,
		"discover[1].nonsense":            "discover[1]",
		"document":                        "",
	} {
		got, ok := pathOf(key, keysOf("services"))
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if got, _ := pathOf("pools.tools.nodes[0].id", keysOf("regions")); got.String() != `pools["tools"].nodes[0].id` {
		t.Error(got)
	}
}

// A problem that only stands for what is not known yet is no problem.
func TestUnknownsHideProblems(t *testing.T) {
	e := &encoder{unknown: []string{"discover[0].static.nodes"}}
	for key, hidden := range map[string]bool{"discover[0].static.nodes": true, "discover[0].static.nodes[1].id": true, "discover": true, "path": false, "discover[1]": false, "document": true} {
		if e.hides(key) != hidden {
			t.Errorf("%s: hidden %v", key, !hidden)
		}
	}
}

// The four documents are good ones where they are whole: the gateway's decoder takes what the provider makes.
func TestJudgedByTheGatewaysDecoder(t *testing.T) {
	if _, err := config.ParseDocument(settings.Routes, "x", []byte(`{"match":{"tool":"a"},"limit":7}`)); err != nil {
		t.Error(err)
	}
	if _, err := config.ParseDocument(settings.Routes, "x", []byte(`{"match":{"tool":"a"},"limt":7}`)); err == nil {
		t.Error("an unknown key passes")
	}
}
