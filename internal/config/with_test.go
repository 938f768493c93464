package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/settings"
)

// doc is a document that was created at the given revision.
func doc(t *testing.T, created uint64, path, body string) Document {
	t.Helper()
	kind, name, _ := strings.Cut(path, "/")
	d, err := ParseDocument(settings.Kind(kind), name, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	d.Created = created
	return d
}

func service(path, more string) string {
	return fmt.Sprintf(`{"path":%q,"discover":[{"static":{"nodes":[{"id":"a","url":"http://127.0.0.1:9001/mcp"}]}}]%s}`, path, more)
}

func misfitLines(t *testing.T, all []Misfit, file string) []string {
	t.Helper()
	var lines []string
	for _, m := range all {
		for _, p := range m.Problems {
			line := fmt.Sprintf("%s/%s: %s: %s", m.Kind, m.Name, p.Key, p.What)
			lines = append(lines, strings.ReplaceAll(line, file, "F"))
		}
	}
	return lines
}

func TestDocumentsJoinTheFile(t *testing.T) {
	c := load(t, head+tail+"regions:\n  us-east: {capacity: 7}\nroutes: [{match: {tool: a}, limit: 1}]\n")
	documents := []Document{
		doc(t, 3, "services/b", service("/b", "")),
		doc(t, 2, "services/a", service("/a", `,"checks":{"interval":"1s"}`)),
		doc(t, 1, "routes/20", `{"match":{"tool":"b"},"limit":2}`),
		doc(t, 4, "routes/10", `{"match":{"tool":"c"},"limit":3}`),
		doc(t, 5, "regions/eu", `{"via":"direct","pools":{"b":{"nodes":[{"id":"z","url":"http://10.0.0.1/mcp"}]}}}`),
		doc(t, 6, "strategies/split_brain", `{"strategy":"oldest_node"}`),
	}
	next, misfits := c.With(documents, nil)
	if len(misfits) > 0 {
		t.Fatalf("%+v", misfits)
	}
	var names []string
	for _, s := range next.Services {
		names = append(names, s.Name)
	}
	var limits []int
	for _, r := range next.Routes {
		limits = append(limits, r.Limit)
	}
	if diff := cmp.Diff([]string{"tools", "a", "b"}, names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 3, 2}, limits); diff != "" {
		t.Error(diff)
	}
	if s, ok := next.Strategy("split_brain"); !ok || s.Strategy != "oldest_node" {
		t.Errorf("%+v", s)
	}
	if next.Services[1].Checks.Interval != time.Second || next.Services[2].Retry.Attempts != 3 || next.Regions["us-east"].Capacity != 7 || next.Regions["eu"].Via != "direct" {
		t.Errorf("%+v", next)
	}
	if len(c.Services) != 1 || len(c.Routes) != 1 || len(c.Regions) != 1 {
		t.Error("the file's configuration changed")
	}
	if err := CheckReload(c, next); err != nil {
		t.Error(err)
	}
}

func TestDocumentsThatDoNotFitAreLeftOut(t *testing.T) {
	file := head + tail + "regions:\n  eu: {via: direct, pools: {tools: {nodes: []}}}\n"
	tests := []struct {
		name      string
		documents func(t *testing.T) []Document
		misfits   []string
		services  int
	}{
		{"names of the file", func(t *testing.T) []Document {
			return []Document{doc(t, 1, "services/tools", service("/x", "")), doc(t, 2, "regions/eu", `{"via":"direct"}`)}
		}, []string{
			"services/tools: name: stands in this gateway's file at F:4",
			"regions/eu: name: stands in this gateway's file at F:8",
		}, 1},
		{"paths taken", func(t *testing.T) []Document {
			return []Document{doc(t, 9, "services/a", service("/z", "")), doc(t, 5, "services/b", service("/z", "")), doc(t, 7, "services/c", service("/mcp", ""))}
		}, []string{
			`services/c: path: "/mcp" is taken by services[0].path`,
			`services/a: path: "/z" is taken by services/b.path`,
		}, 2},
		{"what depends on it goes too", func(t *testing.T) []Document {
			return []Document{doc(t, 1, "services/a", service("/mcp", "")), doc(t, 2, "regions/ap", `{"via":"direct","pools":{"a":{"nodes":[]}}}`), doc(t, 3, "services/b", service("/b", ""))}
		}, []string{
			`services/a: path: "/mcp" is taken by services[0].path`,
			`regions/ap: pools.a: names no service of this file`,
		}, 2},
		{"a gateway that this one cannot reach", func(t *testing.T) []Document {
			return []Document{doc(t, 1, "regions/a.b", `{"gateways":["10.0.0.1:9100"]}`), doc(t, 2, "regions/a", `{"via":"direct","pools":{"tools":{"nodes":[]}}}`)}
		}, []string{`regions/a.b: gateways: need an identity of this gateway`}, 1},
		{"its own region is told by its capacity", func(t *testing.T) []Document {
			return []Document{doc(t, 1, "regions/us-east", `{"gateways":["10.0.0.1:9100"],"capacity":5}`)}
		}, nil, 1},
		{"a problem that stands in the file", func(t *testing.T) []Document {
			return []Document{
				doc(t, 1, "services/a", service("/a", "")),
				doc(t, 2, "services/b", `{"path":"/b","discover":[{"consul":{"service":"b"}}]}`),
			}
		}, []string{`services/b: discover[0].consul: needs Consul's address`}, 2},
		{"a file that is not there", func(t *testing.T) []Document {
			return []Document{doc(t, 1, "services/a", service("/a", `,"identity":{"tls_name":"a.example","ca_file":"none.crt"}`))}
		}, []string{
			`services/a: discover[0].static.nodes[0].url: http cannot prove the service's identity`,
			`services/a: identity.ca_file: D/none.crt cannot be read: no such file or directory`,
		}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := load(t, file)
			next, misfits := c.With(tt.documents(t), nil)
			got := misfitLines(t, misfits, c.source.path)
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], filepath.Dir(c.source.path), "D")
			}
			if diff := cmp.Diff(tt.misfits, got); diff != "" {
				t.Errorf("misfits differ (-want +got):\n%s", diff)
			}
			if len(next.Services) != tt.services {
				t.Errorf("%d services", len(next.Services))
			}
		})
	}
}

// A problem that documents cause and that stands at no document's keys: who came first stays.
func TestProblemsOfTheWholeAreFoundOneByOne(t *testing.T) {
	c := load(t, head+tail+"consul: {address: \"http://127.0.0.1:8500\"}\n")
	next, misfits := c.With([]Document{
		doc(t, 1, "services/a", service("/a", "")),
		doc(t, 2, "services/b", `{"path":"/b","discover":[{"consul":{"service":"b"}}]}`),
		doc(t, 3, "services/c", service("/c", "")),
	}, nil)
	if diff := cmp.Diff([]string{"services/b: consul.datacenters: is missing"}, misfitLines(t, misfits, c.source.path)); diff != "" {
		t.Error(diff)
	}
	if len(next.Services) != 3 {
		t.Errorf("%d services", len(next.Services))
	}
}

func TestRunningServiceKeepsWhatNeedsARestart(t *testing.T) {
	c := load(t, head+tail)
	running, misfits := c.With([]Document{doc(t, 1, "services/a", service("/a", `,"session":{"idle":"1m"}`))}, nil)
	if len(misfits) > 0 {
		t.Fatal(misfits)
	}
	changed := []Document{doc(t, 1, "services/a", service("/b", `,"session":{"idle":"2m"}`))}
	next, misfits := c.With(changed, running)
	if len(misfits) != 1 || !misfits[0].Restart || misfits[0].Problems[0].Key != "session.idle" || next.Services[1].Path != "/a" {
		t.Errorf("%+v, path %s", misfits, next.Services[1].Path)
	}
	if err := CheckReload(running, next); err != nil {
		t.Error(err)
	}
	if next, misfits = c.With(changed, nil); len(misfits) > 0 || next.Services[1].Path != "/b" {
		t.Errorf("after a restart: %+v", misfits)
	}
}

func TestFilesOfDocumentsAreInTheFilesDirectory(t *testing.T) {
	c := load(t, head+tail)
	dir := filepath.Dir(c.source.path)
	keyPairOf(t, dir, "nodes") // writes tls.crt
	d := doc(t, 1, "services/a", `{"path":"/a","identity":{"ca_file":"tls.crt"},"discover":[{"dns":{"name":"a.example.com.","ca_file":"tls.crt"}}]}`)
	next, misfits := c.With([]Document{d}, nil)
	if len(misfits) > 0 || next.Services[1].Identity.CAFile != filepath.Join(dir, "tls.crt") || next.Services[1].Discover[0].DNS.CAFile != filepath.Join(dir, "tls.crt") {
		t.Errorf("%+v %+v", misfits, next.Services)
	}
	if s, ok := d.value.(Service); !ok || s.Discover[0].DNS.CAFile != "tls.crt" {
		t.Error("the document changed")
	}
}

func TestDocumentsAreBounded(t *testing.T) {
	c := load(t, head+tail)
	var all []Document
	for i := range 1000 {
		all = append(all, doc(t, uint64(i+1), fmt.Sprint("services/s", i), service(fmt.Sprint("/", i), "")))
	}
	for i := range 100 {
		all = append(all, doc(t, uint64(2000+i), fmt.Sprint("regions/r", i), `{"via":"direct","pools":{"tools":{"nodes":[]}}}`))
	}
	start := cpuTime(t)
	next, misfits := c.With(all, nil)
	if len(next.Services) != 1000 || len(next.Regions) != 63 || len(misfits) != 1+37 {
		t.Errorf("%d services, %d regions, %d misfits", len(next.Services), len(next.Regions), len(misfits))
	}
	if took := cpuTime(t) - start; took > 10*time.Second { // measured: well under 1 s
		t.Errorf("took %s", took)
	}
}

// Every service implies a region of its own: problems of the whole, as many as there can be.
func TestImpliedRegionsAreBounded(t *testing.T) {
	c := load(t, head+tail)
	var all []Document
	for i := range 200 {
		all = append(all, doc(t, uint64(i+1), fmt.Sprint("services/s", i),
			fmt.Sprintf(`{"path":"/%d","discover":[{"static":{"region":"r%d","nodes":[]}}]}`, i, i)))
	}
	start := cpuTime(t)
	next, misfits := c.With(all, nil)
	if len(next.Services) != 1+63 || len(misfits) != 200-63 {
		t.Errorf("%d services, %d misfits", len(next.Services), len(misfits))
	}
	if took := cpuTime(t) - start; took > 20*time.Second {
		t.Errorf("took %s", took)
	}
}
