package history

import (
	"strings"
	"testing"
	"time"
)

// rover tells what an agent of a session does, one operation each 100 ms through gateways in turn.
type rover struct {
	h  *story
	at Time
}

// roving adds sessions of a class to a story, and opens one at gw-1.
func roving(h *story, class string) *rover {
	h.Episodes[0].Start = h.Episodes[0].Begin
	h.Sessions = &Sessions{Class: class, Sampling: 250 * ms}
	r := &rover{h: h, at: 9 * s}
	r.op(Op{Kind: Open})
	return r
}

func (r *rover) op(o Op) *Op {
	gateways := [...]string{"gw-1", "gw-2"}
	o.Session = "x"
	if o.Gateway == "" {
		o.Gateway = gateways[len(r.h.Sessions.Ops)%2]
	}
	if o.Outcome == "" {
		o.Outcome = OK
	}
	r.at += 100 * ms
	o.Invoke, o.Return = r.at, r.at+50*ms
	r.h.Sessions.Ops = append(r.h.Sessions.Ops, o)
	return &r.h.Sessions.Ops[len(r.h.Sessions.Ops)-1]
}

func (r *rover) set(value string) *Op { return r.op(Op{Kind: Set, Item: "level", Value: value}) }

func (r *rover) sees(value string) *Op {
	return r.op(Op{Kind: Look, Seen: map[string]string{"level": value}})
}

// Each session is good but for one thing.
func TestSessions(t *testing.T) {
	for name, tc := range map[string]struct {
		class string
		tell  func(r *rover)
		want  string // what is violated; "" for nothing
		lost  int
	}{
		"what was set is seen":             {Quorum, func(r *rover) { r.set("a"); r.sees("a"); r.set("b"); r.sees("b") }, "", 0},
		"nothing set, nothing seen":        {Quorum, func(r *rover) { r.sees(""); r.set("a"); r.sees("a") }, "", 0},
		"an acknowledged change is gone":   {Quorum, func(r *rover) { r.set("a"); r.set("b"); r.sees("a") }, Lost, 1},
		"the first one is gone":            {Quorum, func(r *rover) { r.set("a"); r.sees("") }, Lost, 1},
		"gone for a while":                 {Quorum, func(r *rover) { r.set("a"); r.set("b"); r.sees("a"); r.sees("b") }, Lost, 1},
		"unknown, and made":                {Quorum, func(r *rover) { r.set("a"); r.set("b").Outcome = Unknown; r.sees("b") }, "", 0},
		"unknown, and not made":            {Quorum, func(r *rover) { r.set("a"); r.set("b").Outcome = Unknown; r.sees("a") }, "", 0},
		"unknown, and made later":          {Quorum, func(r *rover) { r.set("a"); r.set("b").Outcome = Unknown; r.sees("a"); r.sees("b") }, "", 0},
		"unknown, made and unmade":         {Quorum, func(r *rover) { r.set("a"); r.set("b").Outcome = Unknown; r.sees("b"); r.sees("a") }, Linear, 0},
		"refused, and made":                {Quorum, func(r *rover) { r.set("a"); r.set("b").Outcome = Refused; r.sees("b") }, Denied, 0},
		"refused":                          {Quorum, func(r *rover) { r.set("a"); r.set("b").Outcome = Refused; r.sees("a") }, "", 0},
		"a tail that is gone":              {Quorum, func(r *rover) { r.set("a"); r.set("b").Minority = true; r.sees("a") }, "", 0},
		"a minority is behind":             {Quorum, func(r *rover) { r.set("a"); r.set("b"); r.sees("a").Minority = true; r.sees("b") }, "", 0},
		"never set by anybody":             {Quorum, func(r *rover) { r.set("a").Outcome = Unknown; r.sees("c") }, Linear, 0},
		"the session is gone":              {Quorum, func(r *rover) { r.set("a"); gone(r) }, Lost, 1},
		"a minority's session is gone":     {Quorum, func(r *rover) { r.h.Sessions.Ops[0].Minority = true; gone(r) }, "", 0},
		"aside: lost within the lag":       {Async, func(r *rover) { r.until(9900 * ms); r.set("a"); r.until(15 * s); r.sees("") }, "", 1},
		"aside: lost beyond the lag":       {Async, func(r *rover) { r.set("a"); r.until(15 * s); r.sees("") }, Lost, 1},
		"aside: lost within a longer lag":  {Async, func(r *rover) { r.lag(900 * ms); r.set("a"); r.until(15 * s); r.sees("") }, "", 1},
		"aside: lost without any fault":    {Async, func(r *rover) { r.until(30 * s); r.set("a"); r.sees("") }, Lost, 1},
		"aside: acknowledged in the fault": {Async, func(r *rover) { r.until(10500 * ms); r.set("a"); r.until(15 * s); r.sees("") }, "", 1},
	} {
		h := isolated()
		tc.tell(roving(h, tc.class))
		v := verdict(t, h)
		if got := strings.Join(found(v), ","); got != tc.want || v.Figures.Sessions.Lost != tc.lost {
			t.Errorf("%s: %q and %d lost, want %q and %d: %v", name, got, v.Figures.Sessions.Lost, tc.want, tc.lost, v.Violations)
		}
	}
}

func gone(r *rover) { r.op(Op{Kind: Look, Outcome: Refused, Gone: true}) }

// until lets time pass.
func (r *rover) until(at Time) { r.at = at - 100*ms }

// lag is what a gateway says of its copies, around the fault.
func (r *rover) lag(d time.Duration) {
	r.h.Sessions.Lags = append(r.h.Sessions.Lags, Lag{Gateway: "gw-3", At: 9900 * ms, Lag: d})
}

// A fleet that refuses every change loses none, and is found.
func TestNothingChanged(t *testing.T) {
	for outcome, want := range map[Outcome]string{OK: "", Refused: Available} {
		h := isolated()
		r := roving(h, Quorum)
		r.until(12200 * ms)
		for range enoughAsked {
			r.set("a").Outcome = outcome
		}
		v := verdict(t, h)
		if got := strings.Join(found(v), ","); got != want || v.Figures.Sessions.Asked != enoughAsked {
			t.Errorf("%s: %q, %d asked", outcome, got, v.Figures.Sessions.Asked)
		}
	}
}

// Two gateways never write in one session in turns.
func TestOwners(t *testing.T) {
	type write struct {
		gateway string
		call    int // in the order in which they were made
		fence   uint64
	}
	for name, tc := range map[string]struct {
		writes []write // in the order of their effects
		want   string
		moves  int
	}{
		"one owner":                     {[]write{{"gw-1", 0, 5}, {"gw-1", 1, 5}}, "", 0},
		"another one":                   {[]write{{"gw-1", 0, 5}, {"gw-2", 1, 9}, {"gw-2", 2, 9}}, "", 1},
		"and back":                      {[]write{{"gw-1", 0, 5}, {"gw-2", 1, 9}, {"gw-1", 2, 9}}, "", 2},
		"the one before comes late":     {[]write{{"gw-1", 0, 5}, {"gw-2", 2, 9}, {"gw-1", 1, 5}}, Owner, 1},
		"late, at the same gateway":     {[]write{{"gw-1", 0, 5}, {"gw-1", 2, 5}, {"gw-1", 1, 5}}, "", 0},
		"under an epoch that is over":   {[]write{{"gw-1", 0, 5}, {"gw-2", 1, 9}, {"gw-1", 2, 5}}, Owner, 2},
		"handed over within one epoch":  {[]write{{"gw-1", 0, 5}, {"gw-2", 1, 5}, {"gw-1", 2, 5}}, "", 2},
		"without epochs, in good order": {[]write{{"gw-1", 0, 0}, {"gw-2", 1, 0}}, "", 1},
	} {
		h := three()
		for i := range 3 {
			c := h.call("gw-1", 5*s+Time(i)*100*ms, Unknown)
			c.Session = "x"
		}
		for i, w := range tc.writes {
			e := h.effect(&h.Calls[w.call], 6*s+Time(i)*10*ms)
			e.Gateway, e.Fence = w.gateway, w.fence
		}
		v := verdict(t, h)
		if got := strings.Join(found(v), ","); got != tc.want || v.Figures.Sessions.Moves != tc.moves {
			t.Errorf("%s: %q, %d moves: %v", name, got, v.Figures.Sessions.Moves, v.Violations)
		}
	}
}
