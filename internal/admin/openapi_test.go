package admin

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestSchemasAreTheAnswers: what the description requires of an answer is what the answer has, and its examples are
// answers.
func TestSchemasAreTheAnswers(t *testing.T) {
	var doc struct {
		Paths      map[string]map[string]yaml.Node
		Components struct{ Schemas map[string]schema }
	}
	if err := yaml.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	answers := map[string]any{
		"Cluster":     &Cluster{Reasons: []string{}, LastFailover: &Failover{}, Forced: []Forcing{{}}, Gateways: []Member{{}}},
		"Agreement":   &Agreement{Replies: []Compared{{}}, Copies: []ComparedCopies{{Differ: []Differed{{}}}}, Dropped: []Dropped{{}}},
		"Events":      &Events{Events: []Event{{}}},
		"SessionList": &SessionList{Reasons: []string{}, States: map[string]int{}, Owners: []SessionOwner{{}}},
		"Session":     &Session{Copies: []Copy{{}}},
		"DroppedList": &DroppedList{Dropped: []Dropped{{}}},
	}
	for name, answer := range answers {
		data, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		var is any
		if err := json.Unmarshal(data, &is); err != nil {
			t.Fatal(err)
		}
		doc.Components.Schemas[name].compare(t, name, is)
	}
	for at, into := range map[string]any{"/v1/cluster get": &Cluster{}, "/v1/cluster/verify post": &Agreement{}, "/v1/events get": &Events{}} {
		path, method, _ := strings.Cut(at, " ")
		var o operation
		described := doc.Paths[path][method]
		if err := described.Decode(&o); err != nil {
			t.Fatal(err)
		}
		example, err := json.Marshal(o.Responses["200"].Content["application/json"].Example)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(bytes.NewReader(example))
		d.DisallowUnknownFields()
		if err := d.Decode(into); err != nil || len(example) < 50 {
			t.Errorf("the example of %s: %v: %s", at, err, example)
		}
	}
}

type operation struct {
	Responses map[string]struct {
		Content map[string]struct{ Example any }
	}
}

type schema struct {
	Required   []string
	Properties map[string]schema
	Items      *schema
}

// compare checks that an answer has what the schema requires and describes, and nothing else.
func (s schema) compare(t *testing.T, at string, answer any) {
	t.Helper()
	if list, ok := answer.([]any); ok && s.Items != nil && len(list) > 0 {
		s.Items.compare(t, at+"[]", list[0])
		return
	}
	object, ok := answer.(map[string]any)
	if !ok || s.Properties == nil {
		return
	}
	has := slices.Sorted(maps.Keys(object))
	required, described := slices.Sorted(slices.Values(s.Required)), slices.Sorted(maps.Keys(s.Properties))
	if !slices.Equal(has, required) || !slices.Equal(has, described) {
		t.Errorf("%s has %v; the schema requires %v and describes %v", at, has, required, described)
	}
	for key, value := range object {
		s.Properties[key].compare(t, at+"."+key, value)
	}
}
