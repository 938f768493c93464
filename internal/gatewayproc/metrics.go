package gatewayproc

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Sample is one line of the metrics: a name, its labels as written and a value.
type Sample struct {
	Name, Labels string
	Value        float64
}

// Label returns the value of one label, "" when the sample has none of that name. Values with escaped
// quotes are not understood; the gateway's labels are names and numbers.
func (s Sample) Label(name string) string {
	for rest := s.Labels; ; {
		at := strings.Index(rest, name+`="`)
		if at < 0 {
			return ""
		}
		value := rest[at+len(name)+2:]
		if at == 0 || rest[at-1] == ',' {
			v, _, _ := strings.Cut(value, `"`)
			return v
		}
		rest = value
	}
}

// Metrics reads /metrics and returns the samples of one name.
func (g *Gateway) Metrics(ctx context.Context, name string) ([]Sample, error) {
	body, err := g.Admin(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	return samples(body, name)
}

func samples(body []byte, name string) ([]Sample, error) {
	var out []Sample
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s, ok, err := sample(lines.Text(), name)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, s)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("gatewayproc: metrics: %w", err)
	}
	return out, nil
}

func sample(line, name string) (Sample, bool, error) {
	rest, ok := strings.CutPrefix(line, name)
	if !ok || rest == "" || (rest[0] != '{' && rest[0] != ' ') {
		return Sample{}, false, nil
	}
	var labels string
	if rest[0] == '{' {
		if labels, rest, ok = strings.Cut(rest[1:], "} "); !ok {
			return Sample{}, false, fmt.Errorf("gatewayproc: metrics: line %q", line)
		}
	}
	word, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	v, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return Sample{}, false, fmt.Errorf("gatewayproc: metrics: line %q: %w", line, err)
	}
	return Sample{name, labels, v}, true, nil
}

// Requests returns how many requests the gateway has counted.
func (g *Gateway) Requests(ctx context.Context) (int, error) {
	all, err := g.Metrics(ctx, "quorate_requests_total")
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, s := range all {
		sum += s.Value
	}
	return int(sum), nil
}

// NodesUsed returns the attempts on every node that had any, by the node's id.
func (g *Gateway) NodesUsed(ctx context.Context) (map[string]int, error) {
	all, err := g.Metrics(ctx, "quorate_attempts_total")
	if err != nil {
		return nil, err
	}
	used := map[string]int{}
	for _, s := range all {
		if id := s.Label("node"); id != "" && s.Value > 0 {
			used[id] += int(s.Value)
		}
	}
	return used, nil
}
