package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/settings"
)

const toolsBody = `{"path":"/tools","discover":[{"static":{"nodes":[{"id":"a","url":"http://127.0.0.1:9001/mcp"}]}}]}`

func TestDocumentsAreReadAsTheFileIs(t *testing.T) {
	tests := []struct {
		name string
		kind settings.Kind
		of   string
		body string
		want []string // problems
		to   string   // canonical body
	}{
		{"service", settings.Services, "tools", toolsBody, nil, `{"discover":[{"static":{"nodes":[{"id":"a","url":"http://127.0.0.1:9001/mcp"}]}}],"path":"/tools"}`},
		{"its own name", settings.Services, "tools", strings.Replace(toolsBody, "{", "{\n\t\"name\" : \"tools\",\r\n", 1), nil, `{"discover":[{"static":{"nodes":[{"id":"a","url":"http://127.0.0.1:9001/mcp"}]}}],"path":"/tools"}`},
		{"a word for a section, escapes", settings.Services, "tools", strings.Replace(toolsBody, "{", `{"identity":"none",`, 1), nil, `{"discover":[{"static":{"nodes":[{"id":"a","url":"http://127.0.0.1:9001/mcp"}]}}],"identity":"none","path":"/tools"}`},
		{"region", settings.Regions, "eu.west", `{"gateways":["10.0.0.1:9100"],"rtt":"80ms","capacity":5}`, nil, `{"capacity":5,"gateways":["10.0.0.1:9100"],"rtt":"80ms"}`},
		{"route", settings.Routes, "10-charge", `{"match":{"tool":"\u0063<&*"},"retry_class":"once"}`, nil, `{"match":{"tool":"c<&*"},"retry_class":"once"}`},
		{"strategy", settings.Strategies, "split_brain", `{"strategy":"configured_master","master":"gw-1"}`, nil, `{"master":"gw-1","strategy":"configured_master"}`},
		{"plugin", settings.Strategies, "split_brain", `{"strategy":"mine","plugin":{"path":"/p","sha256":"` + strings.Repeat("aB", 32) + `"}}`, nil, `{"plugin":{"path":"/p","sha256":"` + strings.Repeat("aB", 32) + `"},"strategy":"mine"}`},

		{"everything wrong at once", settings.Services, "tools", "{\"path\":5,\n\"checks\":{\"interval\":\"5\",\"failures\":\"3\"},\n\"pth\":1,\"path\":\"/a\"}", []string{
			`services/tools:1: path: "5" is not text but a number; write it in quotes: "5"`,
			`services/tools:1: discover: is missing; write discover: [{static: {nodes: [{id: a, url: "http://127.0.0.1:9001/mcp"}]}}]`,
			`services/tools:2: checks.interval: "5" is not a duration; write a number with a unit such as 5s`,
			`services/tools:2: checks.failures: "3" is text; write it without quotes, such as 3`,
			`services/tools:3: pth: is not a known key; write path`,
			`services/tools:3: path: is given twice, first in line 1; write it once`,
		}, ""},
		{"another name", settings.Services, "tools", strings.Replace(toolsBody, "{", `{"name":"other",`, 1), []string{
			`services/tools:1: name: "other" is not the name in the path; write tools, or leave it out`}, ""},
		{"a fraction", settings.Regions, "eu", `{"capacity":1.5}`, []string{`regions/eu:1: capacity: "1.5" is not a whole number; write a number such as 0`}, ""},
		{"a control character", settings.Routes, "a", `{"match":{"tool":"a\u0000"}}`, []string{`routes/a:1: match.tool: holds a control character; write it without`}, ""},
		{"no match", settings.Routes, "a", `{}`, []string{`routes/a:1: match: is missing; write match: {tool: "charge_*"}`}, ""},
		{"a list", settings.Regions, "eu", `[]`, []string{`regions/eu:1: document: is a list, not an object; write one JSON object in UTF-8`}, ""},
		{"nothing", settings.Regions, "eu", ``, []string{`regions/eu:1: document: is not JSON: unexpected end of JSON input; write one JSON object in UTF-8`}, ""},
		{"two", settings.Regions, "eu", "{}\n{}", []string{`regions/eu:2: document: is not JSON: invalid character '{' after top-level value; write one JSON object in UTF-8`}, ""},
		{"no text", settings.Regions, "eu", "{\"a\":\"\xff\"}", []string{`regions/eu:1: document: holds bytes that are not UTF-8; write one JSON object in UTF-8`}, ""},
		{"deep", settings.Regions, "eu", `{"pools":` + strings.Repeat("[", 60) + strings.Repeat("]", 60) + `}`, []string{`regions/eu:1: pools` + strings.Repeat("[0]", 32) + `: is nested deeper than 32 levels; write fewer levels`}, ""},
		{"a kind", "planets", "mars", `{}`, []string{`planets/mars:1: document: "planets" is no kind of settings; write regions, routes, services or strategies`}, ""},
		{"a name", settings.Regions, "a b", `{}`, []string{`regions/a b:1: name: "a b" is not a name; write 1 to 64 letters, digits, dots, hyphens and underscores such as us-east-1`}, ""},
		{"a strategy's name", settings.Strategies, "placement", `{}`, []string{`strategies/placement:1: name: "placement" is not a strategy that can be set; write split_brain or replication`}, ""},
		{"replication", settings.Strategies, "replication", `{"factor":0,"strategy":"mine","plugin":{"path":"/p","sha256":"` + strings.Repeat("0f", 32) + `","settings":{"b":[1.50],"a":null}}}`, nil, `{"factor":0,"plugin":{"path":"/p","settings":{"a":null,"b":[1.50]},"sha256":"` + strings.Repeat("0f", 32) + `"},"strategy":"mine"}`},
		{"replication that is none", settings.Strategies, "replication", `{"strategy":"mine","factor":9,"max_record":"1MiB"}`, []string{
			`strategies/replication:1: factor: "9" is out of range; write 0 to 8`,
			`strategies/replication:1: max_record: is not a known key; write strategy, factor, timeout, retries, max_lag, options or plugin`,
			`strategies/replication:1: strategy: "mine" is not built in; write async, quorum or jetstream, or name its program under plugin`}, ""},
		{"a strategy that is none", settings.Strategies, "split_brain", `{"strategy":"mine"}`, []string{
			`strategies/split_brain:1: strategy: "mine" is not built in; write winner_takes_all, oldest_node, configured_master or region_majority, or the plugin's path and sha256`}, ""},
		{"a master that is none", settings.Strategies, "split_brain", `{"strategy":"configured_master","options":{"a b":"c"}}`, []string{
			`strategies/split_brain:1: master: is missing with configured_master; write master: NAME, a voter`,
			`strategies/split_brain:1: options.a b: is not an option; write a name with a value of at most 1024 bytes`}, ""},
		{"a plugin without a checksum", settings.Strategies, "split_brain", `{"strategy":"mine","plugin":{"path":"p","sha256":"x"}}`, []string{
			`strategies/split_brain:1: plugin.path: "p" is not an absolute path; write a path such as /usr/lib/quorate/my-strategy`,
			`strategies/split_brain:1: plugin.sha256: is not a SHA-256 checksum; write the 64 hexadecimal digits that sha256sum prints`}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := ParseDocument(tt.kind, tt.of, []byte(tt.body))
			var got []string
			var problems Problems
			if errors.As(err, &problems) {
				got = strings.Split(problems.Error(), "\n")
			} else if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems differ (-want +got):\n%s", diff)
			}
			if string(d.Body) != tt.to {
				t.Errorf("canonical %s", d.Body)
			}
		})
	}
	if _, err := ParseDocument(settings.Routes, "a", []byte(`{"x":"`+strings.Repeat("x", settings.MaxBody)+`"}`)); err == nil {
		t.Error("a document beyond the bound is taken")
	}
}

// What stands in the file is shown as a document of the same meaning.
func TestFileIsShownAsDocuments(t *testing.T) {
	path := write(t, "quorate.yaml", head+tail+`    identity: none
    retry: {attempts: 2}
  - {name: "7", path: /seven, affinity: {request_state: true}, checks: , discover: [{static: {nodes: []}}]}
regions:
  eu:
    via: direct
    rtt: 80ms
    pools: {tools: {nodes: [{id: b, url: "http://10.0.0.1/mcp", weight: 010}]}}
routes:
  - {match: {header: {Mcp-Param-X: "<*>"}}, limit: 5}
`)
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, kind := range settings.Kinds() {
		for _, f := range c.Filed(kind) {
			got = append(got, string(f.Kind)+" "+f.Name+" "+strings.TrimPrefix(f.At, path)+" "+string(f.Body))
			name := strings.NewReplacer("[", "-", "]", "").Replace(f.Name)
			if d, err := ParseDocument(f.Kind, name, f.Body); err != nil || string(d.Body) != string(f.Body) {
				t.Errorf("as a document: %s %v", d.Body, err)
			}
		}
	}
	want := []string{
		`regions eu :11 {"pools":{"tools":{"nodes":[{"id":"b","url":"http://10.0.0.1/mcp","weight":10}]}},"rtt":"80ms","via":"direct"}`,
		`routes routes[0] :16 {"limit":5,"match":{"header":{"Mcp-Param-X":"<*>"}}}`,
		`services tools :4 {"discover":[{"static":{"nodes":[{"id":"a","url":"http://127.0.0.1:9001/mcp"}]}}],"identity":"none","path":"/mcp","retry":{"attempts":2}}`,
		`services 7 :9 {"affinity":{"request_state":true},"checks":null,"discover":[{"static":{"nodes":[]}}],"path":"/seven"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if f, ok := c.At(settings.Services, "tools"); !ok || f.At != path+":4" {
		t.Errorf("%+v", f)
	}
	if _, ok := c.At(settings.Regions, "tools"); ok {
		t.Error("a service counts as a region")
	}
}

// A file may be the parser's idea of a strategy without choosing one: what a minority does is each gateway's own.
func TestSectionChoosesAStrategyOnlyByItsKeys(t *testing.T) {
	for text, want := range map[string]string{
		"split_brain: {minority: reject}":                        "",
		"split_brain: {minority: reject, strategy: oldest_node}": `{"strategy":"oldest_node"}`,
		"split_brain:": "",
	} {
		r := newReport("f")
		if _, ok := r.document([]byte(text)); !ok {
			t.Fatal(r.all)
		}
		got, err := r.filed()
		if err != nil || len(got) > 1 || len(got) == 0 && want != "" || len(got) == 1 && string(got[0].Body) != want {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
}
