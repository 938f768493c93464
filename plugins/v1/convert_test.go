package strategyv1

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/quorate/quorate/strategies"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestInputGoesThere(t *testing.T) {
	in := strategies.Input{
		Roster: strategies.Roster{
			{Name: "a", Region: "x", Role: strategies.Voter, Weight: 3, JoinIndex: 1 << 60},
			{Name: "b", Region: "y", Role: strategies.Member, Weight: 1, JoinIndex: 2},
			{Name: "c", Region: "y", Role: strategies.Witness, Weight: 1, JoinIndex: 3},
		},
		Declared: 3,
		Options:  map[string]string{"master": "a"},
	}
	got, err := FromInput(in).Input()
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(in, got); diff != "" {
		t.Error(diff)
	}
	for name, spoil := range map[string]func(*DecideRequest){
		"a role to come":  func(r *DecideRequest) { r.Roster[0].Role = 7 },
		"a negative role": func(r *DecideRequest) { r.Roster[0].Role = -255 },
		"a huge weight":   func(r *DecideRequest) { r.Roster[0].Weight = 1<<32 - 1 },
		"no roster":       func(r *DecideRequest) { r.Roster = nil },
		"too many":        func(r *DecideRequest) { r.DeclaredVoters = 1 << 31 },
	} {
		request := FromInput(in)
		spoil(request)
		if _, err := request.Input(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestRuleComesBack(t *testing.T) {
	r, err := strategies.Parse("3 of (a*2, b, 2 of (c, d, e))")
	if err != nil {
		t.Fatal(err)
	}
	got, err := (&DecideResponse{Rule: FromRule(r)}).Valid()
	if err != nil || got.String() != r.String() {
		t.Errorf("%v, %v", got, err)
	}
	got, err = (&DecideResponse{Rule: &Rule{Need: 1, Members: []*Member{{What: &Member_Voter{Voter: "a"}}}}}).Valid()
	if err != nil || got.String() != "a" {
		t.Errorf("without a weight: %v, %v", got, err)
	}
}

func TestBadRules(t *testing.T) {
	deep := func(levels int) *Rule {
		r := &Rule{Need: 1, Members: []*Member{{What: &Member_Voter{Voter: "a"}}}}
		for range levels {
			r = &Rule{Need: 1, Members: []*Member{{What: &Member_Rule{Rule: r}}}}
		}
		return r
	}
	wide := &Rule{Need: 1}
	for range 1000 {
		wide.Members = append(wide.Members, &Member{What: &Member_Voter{Voter: "a"}})
	}
	for want, r := range map[string]*Rule{
		"no rule":                nil,
		"outside 1..0":           {},
		"nested more than 8":     deep(20),
		"more than 64 members":   deep(100),
		"more than 64 members i": wide,
		"neither a voter":        {Need: 1, Members: []*Member{{Weight: 1}}},
		"below 1 or makes":       {Need: 1, Members: []*Member{{Weight: 1<<32 - 1, What: &Member_Voter{Voter: "a"}}}},
	} {
		if got, err := (&DecideResponse{Rule: r}).Valid(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v, want %q", got, err, want)
		}
	}
	if _, err := (*DecideResponse)(nil).Valid(); err == nil {
		t.Error("no answer is valid")
	}
}

// FuzzResponse: no bytes from a plugin do harm, and what is valid goes back and forth.
func FuzzResponse(f *testing.F) {
	r, _ := strategies.Parse("3 of (a*2, b, 2 of (c, d, e))")
	seed, _ := proto.Marshal(&DecideResponse{Rule: FromRule(r)})
	f.Add(seed)
	f.Fuzz(func(t *testing.T, wire []byte) {
		var answer DecideResponse
		if proto.Unmarshal(wire, &answer) != nil {
			return
		}
		r, err := answer.Valid()
		if err != nil {
			return
		}
		again, err := (&DecideResponse{Rule: FromRule(r)}).Valid()
		if err != nil || again.String() != r.String() {
			t.Errorf("%v comes back as %v: %v", r, again, err)
		}
	})
}

var update = flag.Bool("update", false, "write testdata/contract.txt anew, at a release")

// contract is one line for everything that the other end relies on.
func contract() []string {
	var lines []string
	file := File_plugins_v1_strategy_proto
	for i := range file.Messages().Len() {
		m := file.Messages().Get(i)
		for k := range m.Fields().Len() {
			f := m.Fields().Get(k)
			lines = append(lines, fmt.Sprintf("%s.%s = %d %s %s %s", m.FullName(), f.Name(), f.Number(), f.Cardinality(), f.Kind(), target(f)))
		}
	}
	for i := range file.Enums().Len() {
		e := file.Enums().Get(i)
		for k := range e.Values().Len() {
			v := e.Values().Get(k)
			lines = append(lines, fmt.Sprintf("%s.%s = %d", e.FullName(), v.Name(), v.Number()))
		}
	}
	for i := range file.Services().Len() {
		s := file.Services().Get(i)
		for k := range s.Methods().Len() {
			m := s.Methods().Get(k)
			lines = append(lines, fmt.Sprintf("%s(%s) returns (%s) streams %t %t", m.FullName(), m.Input().FullName(), m.Output().FullName(), m.IsStreamingClient(), m.IsStreamingServer()))
		}
	}
	slices.Sort(lines)
	return lines
}

// target is the type of a field that has one of its own, and the oneof that it is of.
func target(f protoreflect.FieldDescriptor) string {
	text := ""
	switch {
	case f.Message() != nil:
		text = string(f.Message().FullName())
	case f.Enum() != nil:
		text = string(f.Enum().FullName())
	}
	if o := f.ContainingOneof(); o != nil {
		text += " of " + string(o.Name())
	}
	return text
}

// TestCompatible: what a released version relies on is there still. Additions are written with -update at a release.
func TestCompatible(t *testing.T) {
	const file = "testdata/contract.txt"
	now := contract()
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(now, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	released := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(released) < 19 {
		t.Fatalf("%s has %d lines", file, len(released))
	}
	for _, line := range released {
		if !slices.Contains(now, line) {
			t.Errorf("gone or changed: %s\nadd to version 1 or make a version 2", line)
		}
	}
}
