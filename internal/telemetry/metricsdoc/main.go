// Command metricsdoc writes the documentation of the metrics from the catalogue.
// It must not describe any metric itself.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/quorate/quorate/internal/telemetry"
)

func main() {
	out := flag.String("out", "metrics.md", "file to write")
	flag.Parse()
	if err := os.WriteFile(*out, []byte(document(telemetry.Catalogue())), 0o644); err != nil { //nolint:gosec // documentation is for everybody
		fmt.Fprintln(os.Stderr, "metricsdoc:", err)
		os.Exit(1)
	}
}

const head = `<!-- Generated from internal/telemetry/catalogue.go by "make generate"; do not edit. -->
# Metrics

The admin listener serves these at ` + "`/metrics`" + ` in the Prometheus text format. With a token configured, the scraper
needs it too. The Go runtime's ` + "`go_*`" + ` and the process's ` + "`process_*`" + ` metrics are the usual ones of the Prometheus client.

A series that no longer applies (a node that left, a state that ended) is no longer exported. Labels that hold a
peer's words are cut to 128 bytes. One metric holds at most 100,000 series; what is beyond is summed under the
label ` + "`otel_metric_overflow`" + `.

`

func document(metrics []telemetry.Metric) string {
	var b strings.Builder
	b.WriteString(head)
	b.WriteString("| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, m := range metrics {
		names := make([]string, len(m.Labels))
		for i, l := range m.Labels {
			names[i] = "`" + l.Name + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, m.Kind, strings.Join(names, ", "), m.Help)
	}
	b.WriteString("\n## Labels\n\n| label | values |\n| --- | --- |\n")
	seen := map[string]bool{}
	for _, m := range metrics {
		for _, l := range m.Labels {
			row := "| `" + l.Name + "`" + of(m, l) + " | " + l.Values + " |\n"
			if !seen[row] {
				b.WriteString(row)
			}
			seen[row] = true
		}
	}
	return b.String()
}

// of says which metric a label belongs to where several labels share the name.
func of(m telemetry.Metric, l telemetry.Label) string {
	if l.Name == "state" {
		return " of `" + m.Name + "`"
	}
	return ""
}
