package strategyv1

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/strategies"
)

func TestPlanGoesThereAndBack(t *testing.T) {
	in := strategies.PlanInput{
		Service: "tools", Factor: 2, Timeout: 1500 * time.Millisecond, Retries: 3, Options: map[string]string{"a": "b"},
		Roster: strategies.Roster{{Name: "a", Region: "x", Role: strategies.Voter, Weight: 3, JoinIndex: 1 << 60}},
	}
	got, err := FromPlanInput(in).Input()
	if diff := cmp.Diff(in, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for name, spoil := range map[string]func(*PlanRequest){
		"a huge factor": func(r *PlanRequest) { r.Factor = 1<<32 - 1 },
		"a long time":   func(r *PlanRequest) { r.TimeoutMs = 1<<32 - 1 },
		"many tries":    func(r *PlanRequest) { r.Retries = 1<<32 - 1 },
		"no roster":     func(r *PlanRequest) { r.Roster = nil },
	} {
		request := FromPlanInput(in)
		spoil(request)
		if _, err := request.Input(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	plan := strategies.Plan{Class: strategies.Stored, Copies: 8, Timeout: time.Minute, Retries: 10, Spread: strategies.SpreadNone}
	if got, err := FromPlan(plan).Valid(); err != nil || got != plan {
		t.Errorf("%v, %v", got, err)
	}
	for name, x := range map[string]*PlanResponse{
		"nothing":             nil,
		"a class to come":     {Class: 4, TimeoutMs: 1000, Retries: 1, Spread: 1},
		"a class that wraps":  {Class: 257, TimeoutMs: 1000, Retries: 1, Spread: 1},
		"a negative spread":   {Class: 1, TimeoutMs: 1000, Retries: 1, Spread: -255},
		"many copies":         {Class: 1, Copies: 1<<32 - 1, TimeoutMs: 1000, Retries: 1, Spread: 1},
		"no time":             {Class: 1, Retries: 1, Spread: 1},
		"copies below bounds": FromPlan(strategies.Plan{Class: strategies.Async, Copies: -5, Retries: -1, Timeout: -1}),
	} {
		if got, err := x.Valid(); err == nil {
			t.Errorf("%s is accepted as %v", name, got)
		}
	}
	told := strategies.Settings{Gateway: "a", Region: "b", JSON: "{}"}
	if got, err := FromSettings(told).Told(); err != nil || got != told {
		t.Errorf("%v, %v", got, err)
	}
}

func TestRecordsGoThereAndBack(t *testing.T) {
	r := strategies.Record{Key: "s/a", Service: "tools", Owner: "gw-1", Ballot: 1 << 60, Version: 7, Until: 1 << 40, Contents: []byte("x")}
	if got, err := FromRecord(r).Valid(); err != nil || !cmp.Equal(got, r) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := (*Record)(nil).Valid(); err == nil {
		t.Error("no record is one")
	}
	h := r.Head()
	h.Revision = 9
	if got, err := FromHead(h).Valid(); err != nil || got != h {
		t.Errorf("%+v, %v", got, err)
	}
	for name, spoil := range map[string]func(*Head){
		"no digest":   func(x *Head) { x.Digest = nil },
		"a huge size": func(x *Head) { x.Size = 1<<64 - 1 },
		"no key":      func(x *Head) { x.Key = "" },
	} {
		x := FromHead(h)
		spoil(x)
		if _, err := x.Valid(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	q := strategies.Query{Key: "s/a", Ballot: 5, Until: 1 << 40}
	if got, err := FromQuery(q).Valid(); err != nil || got != q {
		t.Errorf("%+v, %v", got, err)
	}
	a := strategies.Answer{Found: true, Record: r, Promised: 5, Revision: 3, Old: true}
	if got, err := FromAnswer(a).Valid(q); err != nil || !cmp.Equal(got, a) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := FromAnswer(strategies.Answer{Promised: 6}).Valid(q); err != nil || got.Found {
		t.Errorf("%+v, %v", got, err)
	}
	for want, x := range map[string]*Answer{
		"ballot 5 was to be promised": {Promised: 4},
		"instead of":                  {Promised: 5, Record: FromRecord(strategies.Record{Key: "s/b", Service: "tools", Owner: "gw-1", Until: 1})},
		"is not a key":                {Promised: 5, Record: &Record{}},
	} {
		if _, err := x.Valid(q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	w := strategies.Written{Outcome: strategies.Stale, Standing: strategies.Standing{Known: true, Ballot: 1, Version: 2, Deleted: true, Promised: 3}, Revision: 4}
	if got, err := FromWritten(w).Valid(); err != nil || got != w {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := (&Written{Outcome: 5}).Valid(); err == nil {
		t.Error("an outcome to come is accepted")
	}
	if got := (&Finding{Text: "a\x1b" + strings.Repeat("x", 9000)}).Found(); len(got.Text) != 512 || strings.Contains(got.Text, "\x1b") {
		t.Errorf("%q", got.Text)
	}
}

// FuzzStore: no bytes from a plugin do harm, and what is valid goes back and forth.
func FuzzStore(f *testing.F) {
	seed, _ := proto.Marshal(FromRecord(strategies.Record{Key: "s/a", Service: "tools", Owner: "gw-1", Until: 1, Contents: []byte("x")}))
	f.Add(seed)
	seed, _ = proto.Marshal(FromPlan(strategies.Plan{Class: strategies.Async, Copies: 2, Timeout: time.Second, Retries: 3, Spread: strategies.SpreadRegion}))
	f.Add(seed)
	f.Fuzz(func(t *testing.T, wire []byte) {
		var (
			plan   PlanResponse
			record Record
			head   Head
			writ   Written
		)
		if proto.Unmarshal(wire, &plan) == nil {
			if p, err := plan.Valid(); err == nil {
				if again, err := FromPlan(p).Valid(); err != nil || again != p {
					t.Errorf("%v comes back as %v: %v", p, again, err)
				}
			}
		}
		if proto.Unmarshal(wire, &record) == nil {
			if r, err := record.Valid(); err == nil {
				if again, err := FromRecord(r).Valid(); err != nil || !cmp.Equal(again, r) {
					t.Errorf("%v comes back as %v: %v", r, again, err)
				}
			}
		}
		if proto.Unmarshal(wire, &head) == nil {
			_, _ = head.Valid()
		}
		if proto.Unmarshal(wire, &writ) == nil {
			_, _ = writ.Valid()
		}
	})
}
