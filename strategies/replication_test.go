package strategies_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/strategies"
)

func goodInput() strategies.PlanInput {
	return strategies.PlanInput{
		Service: "tools", Factor: 2, Timeout: time.Second, Retries: 3,
		Roster: strategies.Roster{
			{Name: "a", Region: "x", Role: strategies.Voter, JoinIndex: 1},
			{Name: "b", Region: "y", Role: strategies.Member, JoinIndex: 2},
			{Name: "w", Region: "z", Role: strategies.Witness, JoinIndex: 3},
		},
	}
}

func TestPlanInput(t *testing.T) {
	if err := goodInput().Validate(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*strategies.PlanInput){
		"is not a name":      func(in *strategies.PlanInput) { in.Service = "" },
		"9 copies":           func(in *strategies.PlanInput) { in.Factor = 9 },
		"-1 copies":          func(in *strategies.PlanInput) { in.Factor = -1 },
		"timeout 1ms":        func(in *strategies.PlanInput) { in.Timeout = time.Millisecond },
		"timeout 1h0m0s":     func(in *strategies.PlanInput) { in.Timeout = time.Hour },
		"0 tries":            func(in *strategies.PlanInput) { in.Retries = 0 },
		"11 tries":           func(in *strategies.PlanInput) { in.Retries = 11 },
		"0 voters":           func(in *strategies.PlanInput) { in.Roster = nil },
		"is not a name with": func(in *strategies.PlanInput) { in.Options = map[string]string{"a b": ""} },
	} {
		in := goodInput()
		spoil(&in)
		if err := in.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestPlan(t *testing.T) {
	good := strategies.Plan{Class: strategies.Async, Copies: 8, Timeout: time.Second, Retries: 1, Spread: strategies.SpreadNone}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*strategies.Plan){
		"class 0":  func(p *strategies.Plan) { p.Class = 0 },
		"class 4":  func(p *strategies.Plan) { p.Class = 4 },
		"spread 3": func(p *strategies.Plan) { p.Spread = 3 },
		"9 copies": func(p *strategies.Plan) { p.Copies = 9 },
		"0 tries":  func(p *strategies.Plan) { p.Retries = 0 },
		"timeout":  func(p *strategies.Plan) { p.Timeout = 0 },
	} {
		p := good
		spoil(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	roster := goodInput().Roster
	if got := good.Within(roster); got.Copies != 1 { // a witness holds none
		t.Errorf("%v", got)
	}
	if got := good.Within(nil); got.Copies != 0 {
		t.Errorf("%v", got)
	}
	if got := good.String(); got != "async, 8 copies, spread over none, 1 tries of 1s" {
		t.Error(got)
	}
}

func TestSettings(t *testing.T) {
	for want, s := range map[string]strategies.Settings{
		"":              {Gateway: "a", Region: "b", JSON: "{}"},
		"are not names": {Gateway: "a"},
		"at most 16384": {Gateway: "a", Region: "b", JSON: strings.Repeat("x", 16385)},
	} {
		if err := s.Validate(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestOrderOfRecords has what a store holds of a key, and what a Put has to come to.
func TestOrderOfRecords(t *testing.T) {
	put := func(ballot, version uint64) strategies.Record {
		return strategies.Record{Ballot: ballot, Version: version}
	}
	deleted := func(ballot, version uint64) strategies.Record {
		return strategies.Record{Ballot: ballot, Version: version, Deleted: true}
	}
	at := func(ballot, version, promised uint64) strategies.Standing {
		return strategies.Standing{Known: true, Ballot: ballot, Version: version, Promised: promised}
	}
	gone := strategies.Standing{Known: true, Ballot: 2, Version: 3, Deleted: true}
	for name, tc := range map[string]struct {
		has     strategies.Standing
		r       strategies.Record
		want    strategies.Outcome
		changes bool
	}{
		"the first":                    {strategies.Standing{}, put(0, 0), strategies.Kept, true},
		"the first after a promise":    {strategies.Standing{Promised: 4}, put(4, 0), strategies.Kept, true},
		"too late for a promise":       {strategies.Standing{Promised: 4}, put(3, 9), strategies.Stale, false},
		"a newer version":              {at(2, 3, 2), put(2, 4), strategies.Kept, true},
		"an older version":             {at(2, 3, 0), put(2, 2), strategies.Stale, false},
		"a newer ballot":               {at(2, 3, 0), put(3, 0), strategies.Kept, true},
		"an older ballot":              {at(2, 3, 0), put(1, 9), strategies.Stale, false},
		"the same":                     {at(2, 3, 0), put(2, 3), strategies.Kept, false},
		"the same after a promise":     {at(2, 3, 9), put(2, 3), strategies.Kept, false},
		"newer, below a promise":       {at(2, 3, 9), put(8, 1), strategies.Stale, false},
		"a deletion":                   {at(2, 3, 0), deleted(2, 4), strategies.Kept, true},
		"a deletion of the same":       {at(2, 3, 0), deleted(2, 3), strategies.Stale, false},
		"a deletion below a promise":   {at(2, 3, 9), deleted(2, 4), strategies.Stale, false},
		"a deletion of nothing":        {strategies.Standing{}, deleted(1, 1), strategies.Kept, true},
		"a deletion again":             {gone, deleted(2, 3), strategies.Kept, false},
		"another deletion":             {gone, deleted(2, 4), strategies.Gone, false},
		"after a deletion":             {gone, put(9, 9), strategies.Gone, false},
		"what was before the deletion": {gone, put(2, 3), strategies.Gone, false},
	} {
		if got, changes := tc.has.Judge(tc.r); got != tc.want || changes != tc.changes {
			t.Errorf("%s: %s, changes %t", name, got, changes)
		}
	}
}

func TestRecord(t *testing.T) {
	good := strategies.Record{Key: "s/a-B_9=", Service: "tools", Owner: "gw-1", Until: 1, Contents: make([]byte, strategies.MaxContents)}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*strategies.Record){
		"is not a key": func(r *strategies.Record) { r.Key = strings.Repeat("a", strategies.MaxKey+1) },
		"not names":    func(r *strategies.Record) { r.Owner = "" },
		"no end":       func(r *strategies.Record) { r.Until = 0 },
		"has contents": func(r *strategies.Record) { r.Deleted = true },
		"3145729":      func(r *strategies.Record) { r.Contents = make([]byte, strategies.MaxContents+1) },
	} {
		r := good
		spoil(&r)
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.200v, want %q", err, want)
		}
	}
	for _, key := range []string{"", "/", "/a", "a/", "a//b", "a.b", "a b", "a*", "ä", "a>"} {
		if err := (strategies.Query{Key: key}).Validate(); err == nil {
			t.Errorf("%q is a key", key)
		}
	}
	for want, q := range map[string]strategies.Query{
		"promises nothing": {Key: "a", Ballot: 1, Until: 1, Hint: true},
		"has no end":       {Key: "a", Ballot: 1},
	} {
		if err := q.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if h := good.Head(); h.Size != strategies.MaxContents || h.Key != good.Key || h.Digest == [32]byte{} {
		t.Errorf("%+v", h)
	}
}

func TestWords(t *testing.T) {
	var words []string
	for i := range 5 {
		words = append(words, strategies.Class(i).String(), strategies.Spread(i).String(), strategies.Outcome(i).String())
	}
	if got, want := strings.Join(words, " "), "invalid invalid invalid async region kept quorum none stale store invalid deleted invalid invalid too large"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := strategies.Refusal("refused: no\x1bway"); !errors.Is(err, strategies.ErrRefused) || err.Error() != "refused: no way" {
		t.Error(err)
	}
}
