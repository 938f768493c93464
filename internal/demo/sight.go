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

// gate: a region's gateway may write, or may not.
type gate struct {
	at   string
	open bool
}

func (s gate) seen(v view) bool {
	e := v.edges[s.at]
	return e.gate == gateWord(s.open)
}

func (s gate) String() string { return fmt.Sprintf("%s's write gate is %s", s.at, gateWord(s.open)) }

// refused: agents at a region's edge have writes refused, all of them, and go on reading.
type refused struct{ at string }

func (s refused) seen(v view) bool {
	w := v.writes[s.at]
	return w.Refused > 0 && w.Done == 0 && len(v.rates[s.at]) > 0
}

func (s refused) String() string {
	return s.at + "'s agents are refused their writes and go on reading"
}

// written: agents at a region's edge have their writes done, all of them.
type written struct{ at string }

func (s written) seen(v view) bool {
	w := v.writes[s.at]
	return w.Done > 0 && w.Refused == 0
}

func (s written) String() string { return s.at + "'s agents write" }

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
