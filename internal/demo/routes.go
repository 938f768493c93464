package demo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// route is the part of a region's answers that another region gave, or itself.
type route struct {
	at, by string
	part   float64 // 0..1
}

// routes compares two counts of answers.
func routes(before, after map[string]map[string]int64) []route {
	var all []route
	for _, at := range places() {
		var some []route
		total := 0.0
		for by, n := range after[at] {
			if n -= before[at][by]; n > 0 {
				some = append(some, route{at, by, float64(n)})
				total += float64(n)
			}
		}
		for i := range some {
			some[i].part /= total
		}
		slices.SortFunc(some, func(a, b route) int { return cmp.Or(cmp.Compare(b.part, a.part), cmp.Compare(a.by, b.by)) })
		all = append(all, some...)
	}
	return all
}

// abroad says in words where the calls of each region went that were not all answered at home.
func abroad(all []route) string {
	var out []string
	for _, at := range places() {
		var parts []string
		away := false
		for _, r := range all {
			if r.at == at {
				away = away || r.by != at
				parts = append(parts, fmt.Sprintf("%s %.0f %%", r.by, 100*r.part))
			}
		}
		if away {
			out = append(out, at+": "+strings.Join(parts, ", "))
		}
	}
	if len(out) == 0 {
		return "all at home"
	}
	return strings.Join(out, "; ")
}
