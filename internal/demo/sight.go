package demo

import "fmt"

// sight is something that must be seen before an act is over.
type sight interface {
	seen(v view) bool
	String() string
}

// answered: most answers that agents at a region's edge get come from a region.
type answered struct{ at, by string }

func (s answered) seen(v view) bool {
	total := 0.0
	for _, n := range v.rates[s.at] {
		total += n
	}
	return total > 0 && v.rates[s.at][s.by] > total/2
}

func (s answered) String() string { return s.at + "'s agents are answered by " + s.by }

// reached: a region's edge has measured the way to another region and found its gateway at work.
type reached struct{ at, of string }

func (s reached) seen(v view) bool {
	r := v.edges[s.at].sees[s.of]
	return r.Measured && len(r.Services) > 0 && r.Services[0].Healthy > 0
}

func (s reached) String() string { return s.at + " reaches " + s.of }

// class: a region's edge takes another region to be of a latency class.
type class struct{ at, of, is string }

func (s class) seen(v view) bool { return v.edges[s.at].sees[s.of].Class == s.is }

func (s class) String() string { return fmt.Sprintf("%s takes %s to be %s", s.at, s.of, s.is) }

// state: a region's edge takes a region, maybe its own, to be in a state.
type state struct{ at, of, is string }

func (s state) seen(v view) bool { return v.edges[s.at].sees[s.of].State == s.is }

func (s state) String() string { return fmt.Sprintf("%s takes %s to be %s", s.at, s.of, s.is) }

// up: a region's gateway finds all its nodes healthy.
type up struct{ at string }

func (s up) seen(v view) bool {
	e := v.edges[s.at]
	return e.nodes > 0 && e.healthy == e.nodes
}

func (s up) String() string { return s.at + " finds all its nodes healthy" }

// missing returns what is not seen, in words.
func missing(all []sight, v view) []string {
	var out []string
	for _, s := range all {
		if !s.seen(v) {
			out = append(out, s.String())
		}
	}
	return out
}
