package history

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/quorate/quorate/strategies"
)

// Names of what is judged, as the reliability paper numbers it. Fences and Available have no number there.
const (
	Exclusive = "I1"        // effects never rest on disjoint sets of voters at one time
	Once      = "I3"        // no call is executed twice, none that was refused, each that was answered
	Closed    = "I5"        // no effect beyond a lease after its gateway lost what the rule asks for
	Converged = "I6"        // after the heal every gateway writes again, in time
	Fences    = "fences"    // a node that checks them accepts no older fence after a newer one
	Available = "available" // the side that may write does
	Calm      = "calm"      // nothing is noticed of what must not be noticed
	Safe      = "safe"      // every read is answered
	Terms     = "terms"     // the leader is not changed for nothing
	Owner     = "owner"     // I1 for sessions: nobody writes in one that another gateway serves by now
	Lost      = "lost"      // I2, I4: what was acknowledged of a session is there
	Denied    = "denied"    // no change of a session shows of which its agent was told that nothing was done
	Linear    = "linear"    // a session's items are registers
)

// Violation is something that must not be, with how often it was.
type Violation struct {
	What  string `json:"what"`
	First Time   `json:"first"`
	Last  Time   `json:"last"`
	Count int    `json:"count"`
	Text  string `json:"text"`
}

// String is one line.
func (v Violation) String() string {
	at := seconds(v.First)
	if v.Count > 1 {
		at = fmt.Sprintf("%s to %s, %d times", at, seconds(v.Last), v.Count)
	}
	return fmt.Sprintf("%s: %s (%s)", v.What, v.Text, at)
}

// Verdict is what a history shows.
type Verdict struct {
	Violations []Violation `json:"violations"`
	Figures    Figures     `json:"figures"`
}

// Judge judges a history. An error means that it cannot be judged: it contradicts itself.
func Judge(h *History) (Verdict, error) {
	j, err := newJudge(h)
	if err != nil {
		return Verdict{}, fmt.Errorf("history: %w", err)
	}
	j.once()
	j.closed()
	j.exclusive()
	j.sealed()
	j.fences()
	j.episodes()
	j.sessions()
	j.count()
	slices.SortStableFunc(j.found, func(a, b Violation) int { return cmp.Compare(a.First, b.First) })
	return Verdict{Violations: j.found, Figures: j.figures}, nil
}

// judge is one judgement under way.
type judge struct {
	*History
	tracks  tracks
	voter   []string
	rules   []inForce
	calls   map[string]*Call
	byTime  []Effect
	found   []Violation
	groups  map[string]int // index in found
	figures Figures
}

type inForce struct {
	InForce
	rule strategies.Rule
}

func newJudge(h *History) (*judge, error) {
	j := &judge{History: h, tracks: follow(h.Changes), voter: h.voters(), calls: make(map[string]*Call, len(h.Calls)),
		byTime: slices.Clone(h.Effects), groups: map[string]int{}}
	if len(j.voter) == 0 || len(j.voter) > 64 {
		return nil, fmt.Errorf("%d voters", len(j.voter))
	}
	for _, r := range h.Rules {
		rule, err := strategies.Parse(r.Rule)
		if err != nil {
			return nil, err
		}
		j.rules = append(j.rules, inForce{r, rule})
	}
	for i := range h.Calls {
		c := &h.Calls[i]
		if j.calls[c.ID] != nil {
			return nil, fmt.Errorf("call %s was made twice", c.ID)
		}
		j.calls[c.ID] = c
	}
	for i := 1; i < len(h.Settled); i++ {
		if h.Settled[i].Rule != h.Settled[i-1].Rule && len(h.Sealings) == 0 {
			return nil, fmt.Errorf("the rule became %q and no change of it is known", h.Settled[i].Rule)
		}
	}
	if !slices.IsSortedFunc(h.Changes, func(a, b Change) int { return cmp.Compare(a.At, b.At) }) {
		return nil, fmt.Errorf("changes are not in the order of time")
	}
	slices.SortStableFunc(j.byTime, func(a, b Effect) int { return cmp.Compare(a.At, b.At) })
	return j, nil
}

// report notes a violation; those with the same text are one, with a count.
func (j *judge) report(what string, at Time, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	key := what + "\x00" + text
	i, ok := j.groups[key]
	if !ok {
		j.groups[key] = len(j.found)
		j.found = append(j.found, Violation{What: what, First: at, Last: at, Count: 1, Text: text})
		return
	}
	v := &j.found[i]
	v.First, v.Last, v.Count = min(v.First, at), max(v.Last, at), v.Count+1
}

// evidence is the set of voters that a gate open at a time may rest on.
func (j *judge) evidence(g string, at Time) (s strategies.Set) {
	for i, v := range j.voter {
		if j.tracks.mayAck(g, v, max(0, at-j.window(at)), at) {
			s |= 1 << i
		}
	}
	return s
}

// satisfied reports whether a set satisfies a rule that may have been in force within [from, until].
func (j *judge) satisfied(s strategies.Set, from, until Time) bool {
	for _, r := range j.rules {
		if r.From <= until && (r.Until == 0 || r.Until >= from) &&
			r.rule.Satisfied(func(v string) bool { return j.has(s, v) }) {
			return true
		}
	}
	return false
}

func (j *judge) has(s strategies.Set, voter string) bool {
	i := slices.Index(j.voter, voter)
	return i >= 0 && s&(1<<i) != 0
}

// names writes a set for people.
func (j *judge) names(s strategies.Set) string {
	var in []string
	for i, v := range j.voter {
		if s&(1<<i) != 0 {
			in = append(in, v)
		}
	}
	return fmt.Sprint(in)
}

func seconds(t Time) string { return fmt.Sprintf("%.3f s", t.Seconds()) }
