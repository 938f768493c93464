package conformance

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Difference is one check that came out otherwise through the gateway.
type Difference struct {
	Check
	Direct, Through string // statuses; "absent" when a check was not made
	Message         string // the suite's words on the check through the gateway
	Reason          string // why it is expected; "" makes the row fail
}

// String is a line of the report.
func (d Difference) String() string {
	s := fmt.Sprintf("%s: %s (%s): direct %s, through %s", d.Scenario, d.ID, d.Name, d.Direct, d.Through)
	if d.Message != "" {
		s += ": " + strings.Join(strings.Fields(d.Message), " ")
	}
	if d.Reason != "" {
		s += "; explained: " + d.Reason
	}
	return s
}

// Compare returns every check whose statuses are not the same. Better is a difference too: a gateway
// that hides what a node does is not transparent.
func Compare(direct, through Outcome) []Difference {
	var diffs []Difference
	for c, d := range direct.Statuses {
		if t := through.Statuses[c]; !slices.Equal(d, t) {
			diffs = append(diffs, Difference{Check: c, Direct: said(d), Through: said(t), Message: through.Messages[c]})
		}
	}
	for c, t := range through.Statuses {
		if _, ok := direct.Statuses[c]; !ok {
			diffs = append(diffs, Difference{Check: c, Direct: said(nil), Through: said(t), Message: through.Messages[c]})
		}
	}
	slices.SortFunc(diffs, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Scenario, b.Scenario), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name))
	})
	return diffs
}

func said(statuses []string) string {
	if len(statuses) == 0 {
		return "absent"
	}
	return strings.Join(statuses, "+")
}
