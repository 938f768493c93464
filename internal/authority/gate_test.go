package authority

import (
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

// viewOf is a log with the life a#5 of nonce n, under the majority of a, b and c.
func viewOf(index Index, version Version) View {
	q := quorum(majority("a", "b", "c"), 600*ms, "a", "b", "c")
	q.Rule = majority("a", "b", "c")
	return View{
		Index: index, Ruling: Ruling{Version: version, Now: q},
		Lives: []Standing{{Life: Life{"a", 5}, Nonce: "n"}},
	}
}

// changing is v with a change to b alone under way.
func changing(v View, barrier Index) View {
	before := v.Ruling.Now
	q := quorum(majority("b"), 300*ms, "a", "b", "c")
	q.Rule = majority("b")
	v.Index = barrier
	v.Ruling = Ruling{Version: v.Ruling.Version + 1, Now: q, Before: &before, Barrier: barrier}
	return v
}

// A promise that changes, and nothing else, closes no gate; another rule does, and so does one that was under way.
func TestOnlyThePromiseChanges(t *testing.T) {
	for what, test := range map[string]struct {
		change func(*View)
		open   bool
	}{
		"the promise alone": {func(v *View) {
			before := v.Ruling.Now
			v.Ruling.Now.Promise, v.Ruling.Before, v.Ruling.Barrier = 2*time.Second, &before, 20
		}, true},
		"the rule": {func(v *View) { *v = changing(*v, 20); v.Ruling.Version-- }, false},
		"a voter":  {func(v *View) { v.Ruling.Now.Voters = append([]Member{}, v.Ruling.Now.Voters[:2]...) }, false},
		"a store": {func(v *View) {
			v.Ruling.Now = quorum(majority("a", "b", "c"), 600*ms, "a", "b", "c")
			v.Ruling.Now.Rule = majority("a", "b", "c")
			v.Ruling.Now.Voters[1].Store += "'"
		}, false},
		"no quorum": {func(v *View) { v.Ruling.Now.Source = []byte("other") }, false},
	} {
		s := newScene(t, GateConfig{})
		s.Apply(viewOf(10, 1))
		seq := s.beat(t, 2*time.Second)
		s.ack("b", seq)
		s.ack("c", seq)
		deadline := s.Deadline()
		if deadline == 0 {
			t.Fatal("the gate is closed from the start")
		}
		v := viewOf(20, 2)
		test.change(&v)
		v.Ruling.Version = 2
		s.Apply(v)
		if got := s.Deadline(); test.open && got != deadline || !test.open && got != 0 {
			t.Errorf("%s: deadline %s after %s", what, got, deadline)
		}
	}
}

type gateScene struct {
	*Gate
	now time.Duration
}

func newScene(t *testing.T, cfg GateConfig) *gateScene {
	t.Helper()
	cfg.Gateway, cfg.Nonce = "a", "n"
	g, err := NewGate(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &gateScene{g, time.Second}
}

func (s *gateScene) at(now time.Duration) Clocks { s.now = now; return Clocks{Mono: now, Boot: now} }

func (s *gateScene) ack(voter string, seq uint64, edit ...func(*Ack)) {
	a := Ack{Voter: member(voter).VoterID, Life: Life{"a", 5}, Seq: seq, Version: s.Version(), Promise: s.ruling.Now.Promise}
	for _, f := range edit {
		f(&a)
	}
	s.Ack(s.at(s.now), a)
}

func (s *gateScene) beat(t *testing.T, now time.Duration) uint64 {
	t.Helper()
	h, ok := s.Beat(s.at(now))
	if !ok || h.Life != (Life{"a", 5}) {
		t.Fatalf("heartbeat %+v, %t", h, ok)
	}
	return h.Seq
}

func TestGateOpens(t *testing.T) {
	s := newScene(t, GateConfig{})
	if _, ok := s.Beat(s.at(time.Second)); ok {
		t.Error("a heartbeat without a life")
	}
	s.Apply(viewOf(5, 1))
	first, second := s.beat(t, 1000*ms), s.beat(t, 1200*ms)
	s.ack("a", second)
	if s.Deadline() != 0 {
		t.Error("one of three opens")
	}
	s.at(1250 * ms)
	s.ack("b", first)
	if want := 1000*ms + 570*ms; s.Deadline() != want {
		t.Errorf("deadline %s, want %s: the earlier sending + P - margin", s.Deadline(), want)
	}
	s.ack("b", second)
	s.ack("b", first)
	if want := 1200*ms + 570*ms; s.Deadline() != want {
		t.Errorf("deadline %s, want %s: a late ack takes nothing back", s.Deadline(), want)
	}
}

func TestGateCountsOnlyItsOwn(t *testing.T) {
	for name, edit := range map[string]func(*Ack){
		"another life":      func(a *Ack) { a.Life.Incarnation = 4 },
		"another gateway":   func(a *Ack) { a.Life.Gateway = "b" },
		"an older rule":     func(a *Ack) { a.Version-- },
		"a newer rule":      func(a *Ack) { a.Version++ },
		"a sequence to be":  func(a *Ack) { a.Seq += 2 },
		"no sequence":       func(a *Ack) { a.Seq = 0 },
		"a stranger":        func(a *Ack) { a.Voter.Name = "x" },
		"another store":     func(a *Ack) { a.Voter.Store = "x" },
		"no promise":        func(a *Ack) { a.Promise = 0 },
		"a negative one":    func(a *Ack) { a.Promise = -time.Hour },
		"forgotten sending": func(a *Ack) { a.Seq -= remembered },
	} {
		s := newScene(t, GateConfig{})
		s.Apply(viewOf(5, 1))
		var last uint64
		for range remembered + 1 {
			last = s.beat(t, s.now+10*ms)
		}
		s.ack("a", last)
		s.ack("b", last, edit)
		if s.Deadline() > s.now {
			t.Errorf("%s opens the gate", name)
		}
		s.ack("b", last)
		if s.Deadline() <= s.now {
			t.Errorf("%s: and the right one does not", name)
		}
	}
}

func TestGateLease(t *testing.T) {
	for _, c := range []struct {
		cfg     GateConfig
		promise time.Duration
		want    time.Duration
	}{
		{GateConfig{}, 600 * ms, 570 * ms},
		{GateConfig{Lease: 400 * ms}, 600 * ms, 380 * ms},
		{GateConfig{Lease: 400 * ms}, 200 * ms, 190 * ms},
		{GateConfig{Lease: 400 * ms, Margin: 100 * ms}, 600 * ms, 300 * ms},
		{GateConfig{Margin: time.Millisecond}, 1 << 62, MostPromise - ms},
	} {
		s := newScene(t, c.cfg)
		s.Apply(viewOf(5, 1))
		seq := s.beat(t, time.Second)
		for _, v := range []string{"a", "b"} {
			s.ack(v, seq, func(a *Ack) { a.Promise = c.promise })
		}
		if got := s.Deadline() - time.Second; got != c.want {
			t.Errorf("%+v, promise %s: %s, want %s", c.cfg, c.promise, got, c.want)
		}
	}
}

func TestGateAndRuleChange(t *testing.T) {
	s := newScene(t, GateConfig{})
	s.Apply(viewOf(5, 1))
	seq := s.beat(t, time.Second)
	s.ack("a", seq)
	s.ack("c", seq)
	joint := changing(viewOf(5, 1), 9)
	s.Apply(joint)
	if s.Deadline() != 0 {
		t.Error("acks of the old rule still count")
	}
	s.ack("a", seq)
	s.ack("c", seq)
	if s.Deadline() != 0 {
		t.Error("the old rule's majority alone opens while it is joint")
	}
	s.ack("b", seq)
	if s.Deadline() == 0 {
		t.Error("both rules are satisfied, and it is closed")
	}
	final := joint
	final.Index, final.Ruling.Before, final.Ruling.Barrier = 12, nil, 0
	s.Apply(final)
	if s.Deadline() == 0 {
		t.Error("acks of this version do not survive its completion")
	}
	s.Apply(joint)
	if s.ruling.Joint() {
		t.Error("an older view is taken in after a newer one")
	}
}

func TestGateEnds(t *testing.T) {
	end := map[string]func(*View){
		"fenced":     func(v *View) { v.Lives = []Standing{{Life: Life{"a", 5}, Nonce: "n", Fenced: 8}} },
		"gone":       func(v *View) { v.Lives = nil },
		"superseded": func(v *View) { v.Lives = []Standing{{Life: Life{"a", 7}, Nonce: "m"}} },
	}
	for name, f := range end {
		s := newScene(t, GateConfig{})
		s.Apply(viewOf(5, 1))
		seq := s.beat(t, time.Second)
		s.ack("a", seq)
		s.ack("b", seq)
		v := viewOf(8, 1)
		f(&v)
		s.Apply(v)
		if _, beats := s.Beat(s.at(s.now)); beats || s.Deadline() != 0 || !s.Ended() {
			t.Errorf("%s: deadline %s, ended %t, beats %t", name, s.Deadline(), s.Ended(), beats)
		}
		s.Apply(viewOf(9, 1))
		s.ack("c", seq)
		if s.Deadline() != 0 {
			t.Errorf("%s: it came back", name)
		}
	}
	s := newScene(t, GateConfig{})
	v := viewOf(8, 1)
	end["fenced"](&v)
	if s.Apply(v); !s.Ended() {
		t.Error("a snapshot that shows only the end is overlooked")
	}
	s = newScene(t, GateConfig{})
	if s.End(); !s.Ended() {
		t.Error("End does not end it")
	}
}

// TestGateAfterSuspend: Mono stood still for an hour, so neither what was acked nor what was sent before counts.
func TestGateAfterSuspend(t *testing.T) {
	for name, wake := range map[string]func(*gateScene, Clocks, uint64){
		"seen at a heartbeat": func(s *gateScene, c Clocks, _ uint64) { s.Beat(c) },
		"seen at an ack": func(s *gateScene, c Clocks, seq uint64) {
			s.Ack(c, Ack{Voter: member("c").VoterID, Life: Life{"a", 5}, Seq: seq, Version: 1, Promise: 600 * ms})
		},
	} {
		s := newScene(t, GateConfig{})
		s.Apply(viewOf(5, 1))
		seq := s.beat(t, time.Second)
		s.ack("a", seq)
		s.ack("b", seq)
		wake(s, Clocks{Mono: 1010 * ms, Boot: 1010*ms + time.Hour}, seq)
		if s.Deadline() != 0 || s.Jumps() != 1 {
			t.Errorf("%s: deadline %s, jumps %d", name, s.Deadline(), s.Jumps())
		}
		h, _ := s.Beat(Clocks{Mono: 1020 * ms, Boot: 1020*ms + time.Hour})
		for _, v := range []string{"a", "b"} {
			a := Ack{Voter: member(v).VoterID, Life: Life{"a", 5}, Seq: seq, Version: 1, Promise: 600 * ms}
			if s.Ack(Clocks{Mono: 1021 * ms, Boot: 1021*ms + time.Hour}, a); s.Deadline() != 0 {
				t.Errorf("%s: an ack of a heartbeat from before opens", name)
			}
			a.Seq = h.Seq
			s.Ack(Clocks{Mono: 1021 * ms, Boot: 1021*ms + time.Hour}, a)
		}
		if s.Deadline() == 0 {
			t.Errorf("%s: it does not open again", name)
		}
	}
}

func TestGateBearsNoise(t *testing.T) {
	s := newScene(t, GateConfig{})
	s.Apply(viewOf(5, 1))
	seq := s.beat(t, time.Second)
	s.ack("a", seq)
	s.ack("b", seq)
	s.Beat(Clocks{Mono: 1200 * ms, Boot: 1210 * ms})
	s.Beat(Clocks{Mono: 1400 * ms, Boot: 1390 * ms})
	if s.Deadline() == 0 {
		t.Error("10 ms between two clock readings close the gate")
	}
	s.Beat(Clocks{Mono: 1500 * ms, Boot: 1516 * ms})
	if s.Deadline() != 0 {
		t.Error("16 ms, more than half of the margin of 30 ms, do not")
	}
}

func TestGateConfig(t *testing.T) {
	bad := GateConfig{Lease: -1, Margin: -1, Nonce: strings.Repeat("n", MaxName+1)}
	_, err := NewGate(bad)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, word := range []string{"gateway name", "nonce", "lease", "margin"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not say what is wrong with the %s", err, word)
		}
	}
}
