package authority

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"
)

// threshold is the rule of these tests: enough weight among its members, each a voter or a rule again.
type threshold struct {
	Need    int
	Members []weighted
}

type weighted struct {
	Weight int
	Voter  string     `json:",omitempty"`
	Rule   *threshold `json:",omitempty"`
}

func (r *threshold) Satisfied(has func(string) bool) bool {
	sum := 0
	for i := range r.Members {
		if m := &r.Members[i]; m.Rule == nil && has(m.Voter) || m.Rule != nil && m.Rule.Satisfied(has) {
			sum += m.Weight
		}
	}
	return sum >= r.Need
}

func (r *threshold) voters() []string {
	var all []string
	for _, m := range r.Members {
		if m.Rule != nil {
			all = append(all, m.Rule.voters()...)
		} else {
			all = append(all, m.Voter)
		}
	}
	return all
}

func (r *threshold) source() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return b
}

// intersects tries every set against its complement.
func (r *threshold) intersects() bool {
	voters := r.voters()
	for set := range 1 << len(voters) {
		has := func(v string) bool { return set>>slices.Index(voters, v)&1 == 1 }
		if r.Satisfied(has) && r.Satisfied(func(v string) bool { return !has(v) }) {
			return false
		}
	}
	return true
}

// thresholds is the Rules of these tests. It keeps what it parsed.
type thresholds struct{ parsed map[string]*threshold }

func newThresholds() *thresholds { return &thresholds{map[string]*threshold{}} }

func (p *thresholds) Parse(source []byte) (Rule, error) {
	if r := p.parsed[string(source)]; r != nil {
		return r, nil
	}
	r := &threshold{}
	if err := json.Unmarshal(source, r); err != nil {
		return nil, err
	}
	if len(r.voters()) > 12 {
		return nil, errors.New("too many voters to try every set")
	}
	if !r.intersects() {
		return nil, errors.New("two disjoint sets satisfy it")
	}
	p.parsed[string(source)] = r
	return r, nil
}

func (*thresholds) Admit(rule Rule, voters []Member, declared int) error {
	if r, ok := rule.(*threshold); ok && len(voters) == 2 && r.Need == 2 && declared < 3 {
		return errors.New("a majority of two stops when either is lost: add a witness")
	}
	return nil
}

func majority(voters ...string) *threshold {
	r := &threshold{Need: len(voters)/2 + 1}
	for _, v := range voters {
		r.Members = append(r.Members, weighted{Weight: 1, Voter: v})
	}
	return r
}

// regional is a majority within a majority of regions.
func regional(regions ...[]string) *threshold {
	r := &threshold{Need: len(regions)/2 + 1}
	for _, voters := range regions {
		r.Members = append(r.Members, weighted{Weight: 1, Rule: majority(voters...)})
	}
	return r
}

func member(name string) Member {
	return Member{VoterID: VoterID{name, name + "-store"}, Region: "r"}
}

func quorum(r *threshold, p time.Duration, voters ...string) Quorum {
	q := Quorum{Source: r.source(), Promise: p}
	for _, v := range voters {
		q.Voters = append(q.Voters, member(v))
	}
	return q
}

func TestDeadline(t *testing.T) {
	ids := map[string]VoterID{"a": {"a", "a-store"}, "b": {"b", "b-store"}, "c": {"c", "c-store"}, "other b": {"b", "another"}}
	for _, c := range []struct {
		name  string
		rule  *threshold
		until map[string]time.Duration
		want  time.Duration
	}{
		{"the second latest of three", majority("a", "b", "c"), map[string]time.Duration{"a": 5, "b": 9, "c": 7}, 7},
		{"no majority", majority("a", "b", "c"), map[string]time.Duration{"a": 5}, 0},
		{"another store is a stranger", majority("a", "b", "c"), map[string]time.Duration{"a": 5, "other b": 9}, 0},
		{"a master alone", majority("b"), map[string]time.Duration{"a": 50, "b": 9}, 9},
		{"equal times", majority("a", "b", "c"), map[string]time.Duration{"a": 5, "b": 5, "c": 5}, 5},
		{"nested", regional([]string{"a"}, []string{"b"}, []string{"c"}), map[string]time.Duration{"a": 3, "b": 2, "c": 1}, 2},
	} {
		q := quorum(c.rule, time.Second, "a", "b", "c")
		q.Rule = c.rule
		until := map[VoterID]time.Duration{}
		for v, d := range c.until {
			until[ids[v]] = d
		}
		if got := q.deadline(until); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		old := quorum(majority("a"), time.Second, "a")
		old.Rule = majority("a")
		joint := Ruling{Now: q, Before: &old}
		if got, want := joint.deadline(until), min(c.want, until[ids["a"]]); got != want {
			t.Errorf("%s, joint with a alone: %s, want %s", c.name, got, want)
		}
	}
}

func TestDefaultPromise(t *testing.T) {
	for _, c := range [][3]time.Duration{
		{200 * ms, 0, 800 * ms}, {100 * ms, 0, 600 * ms}, {200 * ms, 250 * ms, 1800 * ms}, {0, time.Hour, MostPromise},
	} {
		if got := DefaultPromise(c[0], c[1]); got != c[2] {
			t.Errorf("interval %s, round trip %s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

func TestTestRulesIntersect(t *testing.T) {
	if (&threshold{Need: 1, Members: majority("a", "b", "c").Members}).intersects() {
		t.Error("one of three passes")
	}
	for _, r := range []*threshold{majority("a"), majority("a", "b"), majority("a", "b", "c", "d"), regional([]string{"a", "b"}, []string{"c"}, []string{"d"})} {
		if !r.intersects() {
			t.Errorf("%+v does not", r)
		}
	}
}
