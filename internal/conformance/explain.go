package conformance

// explanation is a check that stays a warning in front of a pool, with the reason. A check that fails
// is never explained, and with one node nothing is.
type explanation struct {
	check  Check
	reason string
}

// explained is empty: every check comes out the same in front of three nodes. What is added here has
// to be modern, a warning, and explained in words that a user of the gateway understands.
var explained []explanation

// explain marks the differences that are expected with this many nodes and returns those that are not.
func explain(diffs []Difference, row Row, nodes int, known []explanation) (unexplained []Difference) {
	for i := range diffs {
		d := &diffs[i]
		if row.Stateless && nodes > 1 && d.Through == "WARNING" {
			d.Reason = reasonFor(d.Check, known)
		}
		if d.Reason == "" {
			unexplained = append(unexplained, *d)
		}
	}
	return unexplained
}

func reasonFor(c Check, known []explanation) string {
	for _, e := range known {
		if e.check == c {
			return e.reason
		}
	}
	return ""
}
