package demo

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/bench/failover"
)

func good() failover.Result {
	return failover.Result{
		Calls: 1000, Once: 333, Refused: 7, Unknown: 2, UnknownExecuted: 1,
		Subscriptions: []failover.Subscription{{Agent: "eu-west-legacy-sdk-0", Updates: 70}},
	}
}

func rows() []row {
	return []row{
		{name: "all well", calls: 400, wait: 12 * time.Millisecond, went: []route{{usEast, usEast, 1}}},
		{name: "lose all nodes of eu-west", calls: 600, refused: 7, wait: 1240 * time.Millisecond, took: 3 * time.Second,
			went: []route{{usEast, usEast, 1}, {euWest, usEast, 0.97}, {euWest, apSouth, 0.03}}},
	}
}

func TestVerdict(t *testing.T) {
	tests := []struct {
		name   string
		change func(*failover.Result, *show)
		said   string // "" means that the demo is good
	}{
		{"good", func(*failover.Result, *show) {}, ""},
		{"lost call", func(r *failover.Result, _ *show) { r.SafeLost, r.Lost = 1, 1 }, "1 retry-safe calls failed"},
		{"duplicate", func(r *failover.Result, _ *show) { r.Duplicate = 2 }, "2 once calls were executed twice"},
		{"lost session", func(r *failover.Result, _ *show) { r.SessionsLost = 3 }, "3 sessions were lost"},
		{"silent subscription", func(r *failover.Result, _ *show) { r.Subscriptions[0].Silent = time.Minute }, "stopped delivering"},
		{"refused late", func(r *failover.Result, _ *show) { r.Refused = 12 }, "5 writes were refused after the last event"},
		{"not seen", func(_ *failover.Result, s *show) { s.wrong = []string{"it was not seen"} }, "it was not seen"},
		{"nothing done", func(_ *failover.Result, s *show) { s.rows = s.rows[:1] }, "nothing was shown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			s := &show{out: &screen{out: &out}, rows: rows()}
			res := good()
			tt.change(&res, s)
			err := s.conclude(res, 2, 12, 4)
			if tt.said == "" && err == nil && strings.Contains(out.String(), "OK:") {
				return
			}
			if tt.said == "" || !errors.Is(err, ErrFailed) || !strings.Contains(out.String(), tt.said) {
				t.Errorf("err %v, output:\n%s", err, out.String())
			}
		})
	}
}

func TestABrokenOffDemoSaysSo(t *testing.T) {
	var out bytes.Buffer
	if err := (&show{out: &screen{out: &out}, rows: rows()}).conclude(good(), 7, 0, 0); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "after 2 of 7 events") {
		t.Error(out.String())
	}
}

func TestTableHasItsFigures(t *testing.T) {
	var out bytes.Buffer
	(&screen{out: &out}).table(rows(), good(), 4, 12)
	words := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"event calls failed refused longest", "all well 400 0 0 12 ms – all at home",
		"lose all nodes of eu-west 600 0 7 1.2 s 3.0 s eu-west: us-east 97 %, ap-south 3 %",
		"12 requests sent again, 4 sessions moved", "2 were cut", "(1 had been executed), 0 ran twice", "70 subscription updates",
	} {
		if !strings.Contains(words, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// moment is a view with something in every place.
func moment(at time.Duration) view {
	v := view{elapsed: at, edges: map[string]edge{}, rates: map[string]map[string]float64{euWest: {usEast: 1e6, apSouth: 12}}}
	for _, region := range places() {
		sees := map[string]admin.Region{}
		for _, of := range places() {
			sees[of] = admin.Region{Name: of, State: "on", Class: "medium", RTTMS: 81.4}
		}
		v.edges[region] = edge{nodes: 2, healthy: 2, sees: sees, gate: admin.GateOpen}
	}
	return v
}

func TestChangesAreTold(t *testing.T) {
	before, after := moment(0), moment(0)
	if got := changes(view{}, after); len(got) != 0 {
		t.Errorf("the first look is a change: %q", got)
	}
	after.edges[euWest].sees[euWest] = admin.Region{Name: euWest, State: "off", Cause: "no node is healthy"}
	after.edges[euWest].sees[usEast] = admin.Region{Name: usEast, State: "on", Class: "beyond", RTTMS: 251}
	e := after.edges[apSouth]
	e.healthy, e.gate = 1, admin.GateClosed
	after.edges[apSouth] = e
	want := "[eu-west sees us-east as beyond, was medium (251 ms) eu-west is off, was on (no node is healthy) ap-south: 1 of 2 nodes healthy ap-south: the write gate is closed]"
	if got := fmt.Sprint(changes(before, after)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLinesWhenNotATerminal(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out}
	s.act(3, 7, act{name: "cut ap-south off", says: "look"})
	s.show(moment(time.Second))
	if got := out.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "3 of 7: cut ap-south off – look") {
		t.Errorf("output:\n%s", got)
	}
	v := moment(6 * time.Second)
	v.edges[usEast].sees[apSouth] = admin.Region{Name: apSouth, State: "off", Class: "medium", Cause: "2 vantages"}
	s.show(v)
	got := out.String()
	for _, want := range []string{"us-east sees ap-south off, was on (2 vantages)", "eu-west ← us-east 1000000/s + ap-south 12/s", "us-east ← nobody"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "\x1b") {
		t.Error("escape sequences outside a terminal")
	}
}

func TestTerminalRedrawsOneBlock(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, terminal: true, width: 40}
	s.act(1, 7, act{name: "all well", says: strings.Repeat("wide ", 30)})
	s.show(moment(0))
	height := strings.Count(out.String(), "\n")
	for i := range 2 * maxEvents {
		s.event(time.Second, strings.Repeat("event ", i))
		s.waiting([]string{strings.Repeat("waiting ", i)})
		out.Reset()
		s.show(moment(time.Duration(i) * time.Second))
		if want := fmt.Sprintf("\x1b[%dA", height); !strings.HasPrefix(out.String(), want) || strings.Count(out.String(), "\n") != height {
			t.Fatalf("frame %d begins %q and has %d lines, want %q and %d", i, out.String()[:8], strings.Count(out.String(), "\n"), want, height)
		}
	}
	for line := range strings.Lines(strings.TrimPrefix(out.String(), fmt.Sprintf("\x1b[%dA", height))) {
		if utf8.RuneCountInString(strings.TrimSuffix(line, "\n"))-len("\x1b[2K") >= 40 {
			t.Errorf("line wraps: %q", line)
		}
	}
}

func TestRates(t *testing.T) {
	var p pace
	at := func(ms int, n int64) map[string]map[string]float64 {
		now := mark{time.Duration(ms) * time.Millisecond, failover.Figures{Answers: map[string]map[string]int64{usEast: {usEast: n}}}}
		return rates(p.since(now.at, now.figures), now)
	}
	if got := at(0, 10)[usEast][usEast]; got != 0 {
		t.Errorf("first rate %v", got)
	}
	for i := 1; i < 20; i++ {
		at(250*i, 10+int64(i))
	}
	if got := at(5000, 30)[usEast][usEast]; got < 3.99 || got > 4.01 || len(p.marks) > 6 {
		t.Errorf("rate %v over %d marks", got, len(p.marks))
	}
}

func TestRoutes(t *testing.T) {
	before := map[string]map[string]int64{usEast: {usEast: 100}, euWest: {euWest: 50}}
	after := map[string]map[string]int64{usEast: {usEast: 200}, euWest: {euWest: 50, usEast: 30, apSouth: 10}, apSouth: {}}
	all := routes(before, after)
	if got := fmt.Sprint(all); got != "[{us-east us-east 1} {eu-west us-east 0.75} {eu-west ap-south 0.25}]" {
		t.Error(got)
	}
	if got := abroad(all); got != "eu-west: us-east 75 %, ap-south 25 %" {
		t.Error(got)
	}
}
