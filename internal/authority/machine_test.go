package authority

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func newTestMachine(t *testing.T) *Machine {
	t.Helper()
	m, err := NewMachine(MachineConfig{Rules: newThresholds()})
	if err != nil {
		t.Fatal(err)
	}
	m.claims = 2
	return m
}

func ids(names ...string) (all []VoterID) {
	for _, n := range names {
		all = append(all, member(n).VoterID)
	}
	return all
}

// entry is one command and what becomes of it: "" for done, else a part of the refusal.
type judged struct {
	c    Command
	want string
}

// enter applies commands from index 1 on, through their encoded form.
func enter(t *testing.T, m *Machine, all []judged) {
	t.Helper()
	for _, j := range all {
		b, err := Encode(j.c)
		if err != nil {
			t.Fatal(err)
		}
		index := m.Index() + 1
		_, err = m.Apply(index, b)
		if j.want == "" && err != nil || j.want != "" && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), j.want)) {
			t.Errorf("%d %s: %v, want %q", index, j.c.kind(), err, j.want)
		}
		if m.Index() != index {
			t.Fatalf("index %d after entry %d", m.Index(), index)
		}
	}
}

func three() Quorum { return quorum(majority("a", "b", "c"), 600*ms, "a", "b", "c") }

func begun() []judged {
	return []judged{
		{Bootstrap{Cluster: "x", Quorum: three(), Declared: 3}, ""},
		{Join{"a", "r", "s", "a-1"}, ""}, // a#2
		{Join{"b", "r", "s", "b-1"}, ""}, // b#3
	}
}

func TestRoster(t *testing.T) {
	m := newTestMachine(t)
	a2 := Life{"a", 2}
	enter(t, m, []judged{{Join{"a", "r", "s", "n"}, "not bootstrapped"}})
	m = newTestMachine(t)
	enter(t, m, append(begun(), []judged{
		{Bootstrap{Cluster: "y", Quorum: three()}, "is x already"},                             // 4
		{Join{"a", "r", "s", "a-1"}, ""},                                                       // 5: proposed twice
		{Join{"a", "r", "s", "a-2"}, "has not ended"},                                          // 6
		{Join{"", "r", "s", "a-2"}, "empty"},                                                   // 7
		{Remove{"a"}, "has not ended"},                                                         // 8
		{Fence{a2, 0, ids("a", "b", "c")}, "not under suspicion"},                              // 9
		{Suspect{a2}, ""},                                                                      // 10
		{Suspect{a2}, "under suspicion 10 already"},                                            // 11
		{Fence{a2, 10, ids("a")}, "do not satisfy"},                                            // 12
		{Clear{a2, 9}, "not under suspicion 9"},                                                // 13
		{Clear{a2, 10}, ""},                                                                    // 14
		{Fence{a2, 10, ids("b", "c")}, "not under suspicion 10"},                               // 15
		{Suspect{a2}, ""},                                                                      // 16
		{Fence{a2, 10, ids("b", "c")}, "not under suspicion 10"},                               // 17
		{Fence{a2, 16, []VoterID{{"b", "b-store"}, {"c", "another store"}}}, "do not satisfy"}, // 18
		{Fence{a2, 16, ids("b", "c")}, ""},                                                     // 19
		{Clear{a2, 16}, "no life a#2"},                                                         // 20
		{Suspect{a2}, "no life a#2"},                                                           // 21
		{Join{"a", "r", "s", "a-1"}, "needs another nonce"},                                    // 22
		{Join{"a", "r", "s", "a-2"}, ""},                                                       // 23
		{Leave{a2}, "no life a#2"},                                                             // 24
		{Leave{Life{"a", 23}}, ""},                                                             // 25
		{Remove{"a"}, ""},                                                                      // 26
		{Remove{"a"}, "no gateway"},                                                            // 27
		{Noop{}, ""},
	}...))
	if g := m.Gateways(); len(g) != 1 || g[0].Life != (Life{"b", 3}) {
		t.Errorf("roster %+v", g)
	}
}

func TestRosterIsBounded(t *testing.T) {
	m := newTestMachine(t)
	all := []judged{{Bootstrap{Cluster: "x", Quorum: three()}, ""}}
	for i := range MaxGateways {
		all = append(all, judged{Join{fmt.Sprint(i), "r", "s", "n"}, ""})
	}
	enter(t, m, append(all, judged{Join{"more", "r", "s", "n"}, "full"}))
}

func TestChangeOfRule(t *testing.T) {
	m := newTestMachine(t)
	master := func(v string) Quorum { return quorum(majority(v), 600*ms, "a", "b", "c") }
	b3 := Life{"b", 3}
	enter(t, m, append(begun(), []judged{
		{Change{From: 2, Quorum: master("a"), Declared: 3}, "version 1, not 2"},  // 4
		{Change{From: 1, Quorum: master("a"), Declared: 3}, ""},                  // 5: version 2
		{Change{From: 2, Quorum: three(), Declared: 3}, "change 5 is under way"}, // 6
		{Suspect{b3}, ""},                                       // 7
		{Fence{b3, 7, ids("a")}, "do not satisfy"},              // 8: the new rule alone
		{Fence{b3, 7, ids("b", "c")}, "do not satisfy"},         // 9: the old rule alone
		{Finish{4, ids("a", "b")}, "no change 4"},               // 10
		{Finish{5, ids("a")}, "do not satisfy"},                 // 11
		{Finish{5, ids("b", "c")}, "do not satisfy"},            // 12
		{Restore{4}, "no change 4"},                             // 13
		{Restore{5}, ""},                                        // 14: version 3
		{Finish{5, ids("a", "b")}, "no change 5"},               // 15
		{Change{From: 3, Quorum: master("a"), Declared: 3}, ""}, // 16: version 4
		{Fence{b3, 7, ids("a", "c")}, ""},                       // 17: both
		{Finish{16, ids("a", "c")}, ""},                         // 18
		{Restore{16}, "no change 16"},                           // 19
	}...))
	if r := m.View().Ruling; r.Version != 4 || r.Joint() || !r.SatisfiedBy(ids("a")) || r.SatisfiedBy(ids("b", "c")) {
		t.Errorf("ruling %+v", r)
	}
}

func TestQuorumsRefused(t *testing.T) {
	long, short, unsorted, twice, stranger := three(), three(), three(), three(), three()
	long.Promise, short.Promise = MostPromise+1, LeastPromise-1
	unsorted.Voters[0], unsorted.Voters[2] = unsorted.Voters[2], unsorted.Voters[0]
	twice.Voters[0] = twice.Voters[1]
	stranger.Source = majority("x", "y", "z").source()
	garbage := three()
	garbage.Source = []byte("{")
	two := quorum(majority("a", "b"), 600*ms, "a", "b")
	for name, c := range map[string]struct {
		q        Quorum
		declared int
		want     string
	}{
		"two sides could satisfy it": {quorum(&threshold{Need: 1, Members: majority("a", "b").Members}, 600*ms, "a", "b"), 3, "two disjoint sets"},
		"nobody can":                 {stranger, 3, "cannot satisfy"},
		"a majority of two":          {two, 2, "add a witness"},
		"two on the way to three":    {two, 3, ""},
		"no voters":                  {Quorum{Source: majority("a").source(), Promise: time.Second}, 3, "0 voters"},
		"a long promise":             {long, 3, "a promise of"},
		"a short promise":            {short, 3, "a promise of"},
		"a voter twice":              {twice, 3, "named twice"},
		"garbage":                    {garbage, 3, "rule:"},
		"in another order":           {unsorted, 3, ""},
	} {
		m := newTestMachine(t)
		_, err := m.ApplyCommand(1, Bootstrap{Cluster: "x", Quorum: c.q, Declared: c.declared})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAgeOfVoters: a voter keeps its age through changes, and with another store it is a new one.
func TestAgeOfVoters(t *testing.T) {
	m := newTestMachine(t)
	next := quorum(majority("a", "b", "d"), 600*ms, "a", "b", "d")
	next.Voters[1].Store = "another"
	enter(t, m, append(begun(), judged{Change{From: 1, Quorum: next, Declared: 3}, ""}))
	for i, want := range []Index{1, 4, 4} {
		if v := m.View().Ruling.Now.Voters[i]; v.Joined != want {
			t.Errorf("%s joined at %d, want %d", v.VoterID, v.Joined, want)
		}
	}
}

func TestClaims(t *testing.T) {
	m := newTestMachine(t)
	a2, b3, c4 := Life{"a", 2}, Life{"b", 3}, Life{"c", 4}
	take := func(r string, replaces Index, by Life, released bool) Take {
		return Take{Record: r, Minter: a2, Replaces: replaces, Claimant: by, Released: released}
	}
	enter(t, m, append(begun(), []judged{
		{Join{"c", "r", "s", "c-1"}, ""},                                // 4
		{take("r1", 0, b3, false), "neither fenced nor"},                // 5
		{take("r1", 0, b3, true), ""},                                   // 6: a gave it away
		{take("r1", 0, c4, true), "ballot is 6, not 0"},                 // 7: a release that comes late
		{take("r1", 6, c4, false), "neither fenced nor"},                // 8
		{Suspect{a2}, ""},                                               // 9
		{take("r2", 0, c4, false), "neither fenced nor"},                // 10: suspected is not fenced
		{Fence{a2, 9, ids("b", "c")}, ""},                               // 11
		{take("r2", 0, a2, false), "no life a#2"},                       // 12: a fenced claimant
		{take("r2", 0, c4, false), ""},                                  // 13
		{take("r2", 0, b3, false), "ballot is 13, not 0"},               // 14
		{take("r3", 0, b3, false), "2 claims are kept"},                 // 15
		{Forget{map[string]Index{"r1": 5, "r2": 13}}, ""},               // 16
		{take("r3", 0, b3, false), ""},                                  // 17
		{Take{"", a2, 0, b3, false}, "empty"},                           // 18
		{Take{"r9", Life{"z", 0}, 0, b3, false}, "neither fenced nor"},  // 19: no such life was ever
		{Take{"r9", Life{"z", 99}, 0, b3, false}, "neither fenced nor"}, // 20: nor is yet
	}...))
	if got := m.Owner("r1", a2); got != (Claim{6, b3}) {
		t.Errorf("r1: %+v", got)
	}
	if got := m.Owner("r2", a2); got != (Claim{0, a2}) {
		t.Errorf("r2: %+v", got)
	}
	if m.Claims() != 2 {
		t.Errorf("%d claims", m.Claims())
	}
}

// TestClaimsTogether: each claim of an entry is judged on its own, and the later ones after the earlier ones.
func TestClaimsTogether(t *testing.T) {
	m := newTestMachine(t)
	a2, b3 := Life{"a", 2}, Life{"b", 3}
	enter(t, m, append(begun(), []judged{
		{Takes{}, "0 claims are outside"},               // 4
		{Takes{make([]Take, MaxTakes+1)}, "513 claims"}, // 5
		{Take{"r0", a2, 0, b3, true}, ""},               // 6
		{Forget{map[string]Index{"r0": 6}}, ""},         // 7: room for two
	}...))
	events, err := m.ApplyCommand(8, Takes{[]Take{
		{"r1", a2, 0, b3, false}, // a lives
		{"r2", a2, 0, b3, true},
		{"r2", a2, 0, b3, true},           // again, by the ballot before
		{"r2", a2, 8, b3, true},           // by the ballot of this very entry: it is a claim after the other
		{"r3", a2, 0, Life{"c", 9}, true}, // no such life
		{"r4", a2, 0, b3, true},
		{"r5", a2, 0, b3, true}, // full
		{"", a2, 0, b3, true},
	}})
	if err != nil || len(events) != 8 {
		t.Fatal(events, err)
	}
	for i, want := range []string{"neither fenced nor", "", "ballot is 8, not 0", "this very entry", "no life c#9", "", "2 claims are kept", "empty"} {
		e := events[i]
		if e.Index != 8 || (e.Kind == Claimed) != (want == "") || (e.Kind == ClaimRefused) != (want != "") || !strings.Contains(e.Why, want) {
			t.Errorf("claim %d: %+v, want %q", i, e, want)
		}
	}
	if m.Owner("r1", a2) != (Claim{0, a2}) || m.Owner("r2", a2) != (Claim{8, b3}) || m.Owner("r4", a2) != (Claim{8, b3}) || m.Claims() != 2 {
		t.Error("what was refused was done, or what was not was not")
	}
	kept := map[string]Claim{}
	m.EachClaim(func(record string, c Claim) bool { kept[record] = c; return len(kept) < 1 })
	if len(kept) != 1 {
		t.Errorf("%d claims were shown after the first", len(kept)-1)
	}
}

// TestNewerCommands stop a voter instead of being passed over, since others apply them.
func TestNewerCommands(t *testing.T) {
	for name, b := range map[string]string{
		"a newer form":     `{"format":2,"kind":"suspect","body":{}}`,
		"an unknown kind":  `{"format":1,"kind":"teleport","body":{}}`,
		"an unknown field": `{"format":1,"kind":"suspect","body":{"gently":true}}`,
		"another type":     `{"format":1,"kind":"remove","body":{"gateway":7}}`,
	} {
		m := newTestMachine(t)
		enter(t, m, begun())
		before, _ := m.Snapshot()
		_, err := m.Apply(4, []byte(b))
		after, _ := m.Snapshot()
		if !errors.Is(err, ErrNewer) || errors.Is(err, ErrRefused) || string(before) != string(after) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Decode(make([]byte, MaxCommand+1)); err == nil {
		t.Error("too large a command is read")
	}
	if _, err := Encode(Remove{strings.Repeat("x", MaxCommand)}); err == nil {
		t.Error("too large a command is written")
	}
}

func TestEventKinds(t *testing.T) {
	seen := map[string]bool{"invalid": true, "": true}
	for k := Bootstrapped; k <= ClaimRefused; k++ {
		if seen[k.String()] {
			t.Errorf("kind %d is %q", k, k)
		}
		seen[k.String()] = true
	}
	if (ClaimRefused + 1).String() != "invalid" {
		t.Error("a kind that is none has a word")
	}
}

func TestEntriesTwice(t *testing.T) {
	m := newTestMachine(t)
	enter(t, m, begun())
	if _, err := m.ApplyCommand(3, Suspect{Life{"a", 2}}); !errors.Is(err, ErrRefused) || m.View().Lives[0].Suspect != 0 {
		t.Errorf("entry 3 again: %v", err)
	}
}

func TestSnapshot(t *testing.T) {
	m := newTestMachine(t)
	enter(t, m, append(begun(), []judged{
		{Suspect{Life{"a", 2}}, ""},
		{Change{From: 1, Quorum: quorum(majority("a"), 700*ms, "a", "b", "c"), Declared: 3}, ""},
		{Take{"r", Life{"a", 2}, 0, Life{"b", 3}, true}, ""},
	}...))
	b, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	o := newTestMachine(t)
	if err := o.Restore(b); err != nil {
		t.Fatal(err)
	}
	if got, want := o.View(), m.View(); !reflect.DeepEqual(got, want) {
		t.Errorf("view\n%+v\nwant\n%+v", got, want)
	}
	again, _ := o.Snapshot()
	if string(again) != string(b) || o.Cluster() != "x" {
		t.Errorf("%s\n%s", again, b)
	}
	for name, bad := range map[string]string{
		"garbage":       "{",
		"newer":         `{"format":2}`,
		"unknown field": `{"format":1,"state":{"cluster":"x","mood":1}}`,
		"no rule":       `{"format":1,"state":{"cluster":"x"}}`,
		"nil gateway":   `{"format":1,"state":{"gateways":{"a":null}}}`,
	} {
		if err := o.Restore([]byte(bad)); err == nil {
			t.Errorf("%s is restored", name)
		}
	}
	if after, _ := o.Snapshot(); string(after) != string(b) {
		t.Error("a snapshot that was refused changed the state")
	}
}

func TestMachineConfig(t *testing.T) {
	if _, err := NewMachine(MachineConfig{}); err == nil || !strings.Contains(err.Error(), "rules") {
		t.Errorf("%v", err)
	}
}

// TestEveryCommandIsRead: each kind decodes to what was encoded.
func TestEveryCommandIsRead(t *testing.T) {
	life := Life{"a", 2}
	for _, c := range []Command{
		Bootstrap{"x", three(), 3}, Join{"a", "r", "s", "n"}, Leave{life}, Suspect{life}, Clear{life, 4}, Fence{life, 4, ids("a")}, Remove{"a"},
		Change{1, three(), 3}, Finish{4, ids("a")}, Restore{4}, Take{"r", life, 4, life, true}, Takes{[]Take{{"r", life, 4, life, true}}}, Forget{map[string]Index{"r": 4}}, Force{three(), 3, 7, "somebody", "now"}, Noop{},
	} {
		b, err := Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s: %+v, %v", c.kind(), got, err)
		}
	}
	if len(decoders()) != 15 {
		t.Errorf("%d kinds", len(decoders()))
	}
}

func FuzzDecode(f *testing.F) {
	b, _ := Encode(Bootstrap{"x", three(), 3})
	f.Add(b)
	f.Add([]byte(`{"format":1,"kind":"forget","body":{"ballots":{"r":1}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := NewMachine(MachineConfig{Rules: newThresholds()})
		if err != nil {
			t.Fatal(err)
		}
		m.Apply(1, b)
		if s, err := m.Snapshot(); err != nil || !json.Valid(s) {
			t.Errorf("%v: %s", err, s)
		}
	})
}
