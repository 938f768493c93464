package telemetry

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func start(t testing.TB, c Config) *Telemetry {
	t.Helper()
	tel, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return tel
}

func scrapeText(t testing.TB, tel *Telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("scrape: %d %v", w.Code, err)
	}
	return string(body)
}

// everything makes each metric of the catalogue export one series, its labels' values being their names.
func everything(t testing.TB, tel *Telemetry) {
	t.Helper()
	for _, m := range Catalogue() {
		names := make([]string, len(m.Labels))
		for i, l := range m.Labels {
			names[i] = l.Name
		}
		if m.Kind == Histogram {
			tel.Duration(names[0], names[1], names[2]).Record(3 * time.Millisecond)
			continue
		}
		err := tel.Observe(m.Name, func(emit Emit) { emit(1, names...) })
		if err != nil && !errors.Is(err, errObservedTwice) {
			t.Fatal(err)
		}
	}
}

// TestDocsAgree compares three lists of names and kinds: the catalogue, the scrape and the documentation.
func TestDocsAgree(t *testing.T) {
	tel := start(t, Config{Gateway: "gw-1", Region: "us-east", Version: "v1"})
	everything(t, tel)
	var scraped, documented, catalogue []string
	lines := bufio.NewScanner(strings.NewReader(scrapeText(t, tel)))
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 4 && f[1] == "TYPE" && strings.HasPrefix(f[2], "quorate_") {
			scraped = append(scraped, f[2]+" "+f[3])
		}
	}
	doc, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(quorate_[a-z_]+)` \\| (\\w+) ").FindAllStringSubmatch(string(doc), -1) {
		documented = append(documented, row[1]+" "+row[2])
	}
	for _, m := range Catalogue() {
		catalogue = append(catalogue, m.Name+" "+m.Kind.String())
	}
	slices.Sort(scraped)
	slices.Sort(documented)
	slices.Sort(catalogue)
	if !slices.Equal(scraped, catalogue) {
		t.Errorf("/metrics has\n%v\nthe catalogue has\n%v", scraped, catalogue)
	}
	if !slices.Equal(documented, catalogue) {
		t.Errorf("docs/metrics.md has\n%v\nthe catalogue has\n%v; run make generate", documented, catalogue)
	}
}

func TestLabelsAreTheCatalogues(t *testing.T) {
	tel := start(t, Config{})
	everything(t, tel)
	got := scrapeText(t, tel)
	for _, want := range []string{
		`quorate_requests_total{era="era",method_class="method_class",outcome="outcome",service="service"} 1`,
		`quorate_request_duration_seconds_bucket{era="era",method_class="method_class",service="service",le="0.005"} 1`,
		`quorate_request_duration_seconds_bucket{era="era",method_class="method_class",service="service",le="0.0025"} 0`,
		`quorate_node_state{node="node",service="service",state="state"} 1`,
		"quorate_table_version 1", "go_goroutines ", "process_cpu_seconds_total ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
}

func TestBuildInfo(t *testing.T) {
	got := scrapeText(t, start(t, Config{Gateway: "gw-1", Region: "us-east", Version: "v1"}))
	if !regexp.MustCompile(`quorate_build_info{gateway="gw-1",goversion="go[^"]+",region="us-east",version="v1"} 1`).MatchString(got) {
		t.Errorf("no build info in\n%s", got)
	}
}

func TestObserveRefuses(t *testing.T) {
	tel := start(t, Config{})
	none := func(Emit) {}
	if err := tel.Observe(Retries, none); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"quorate_other": errUnknownMetric, RequestDuration: errNotObservable, Retries: errObservedTwice} {
		if err := tel.Observe(name, none); !errors.Is(err, want) {
			t.Errorf("Observe(%s) = %v, want %v", name, err, want)
		}
	}
}

// TestSeriesFollowTheirSource: values are read at each scrape, and what is not emitted is gone.
func TestSeriesFollowTheirSource(t *testing.T) {
	tel := start(t, Config{})
	nodes := map[string]float64{"a": 1, "b": 2}
	err := tel.Observe(NodeInFlight, func(emit Emit) {
		for id, n := range nodes {
			emit(n, "tools", id)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := scrapeText(t, tel); !strings.Contains(got, `node="a",service="tools"} 1`) || !strings.Contains(got, `node="b",service="tools"} 2`) {
		t.Errorf("first scrape\n%s", got)
	}
	delete(nodes, "a")
	nodes["b"] = 7
	if got := scrapeText(t, tel); strings.Contains(got, `node="a"`) || !strings.Contains(got, `node="b",service="tools"} 7`) {
		t.Errorf("second scrape\n%s", got)
	}
}

// TestBadLabelsHideNothingElse: a wiring mistake in one metric leaves the others on the page.
func TestBadLabelsHideNothingElse(t *testing.T) {
	tel := start(t, Config{})
	if err := tel.Observe(Sessions, func(emit Emit) { emit(1); emit(2, "tools") }); err != nil {
		t.Fatal(err)
	}
	if err := tel.Observe(TableVersion, func(emit Emit) { emit(9) }); err != nil {
		t.Fatal(err)
	}
	got := scrapeText(t, tel)
	if !strings.Contains(got, `quorate_sessions{service="tools"} 2`) || !strings.Contains(got, "quorate_table_version 9") {
		t.Errorf("scrape\n%s", got)
	}
}

func TestLongLabelsAreCut(t *testing.T) {
	tel := start(t, Config{})
	long := strings.Repeat("ä", 500)
	if err := tel.Observe(Sessions, func(emit Emit) { emit(1, long+"\xff") }); err != nil {
		t.Fatal(err)
	}
	if got := scrapeText(t, tel); !strings.Contains(got, `{service="`+strings.Repeat("ä", 64)+`"}`) {
		t.Errorf("scrape\n%s", got)
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	d := start(t, Config{}).Duration("tools", "modern", "call")
	if n := testing.AllocsPerRun(1000, func() { d.Record(time.Millisecond) }); n != 0 {
		t.Errorf("Record allocates %v times", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	d := start(b, Config{}).Duration("tools", "modern", "call")
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.Record(time.Millisecond)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				d.Record(time.Millisecond)
			}
		})
	})
}
