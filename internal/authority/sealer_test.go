package authority

import (
	"reflect"
	"testing"
)

func TestSealer(t *testing.T) {
	s := NewSealer()
	confirm := func(barrier Index, voters ...string) []Command {
		for _, v := range voters {
			s.Confirm(Confirmation{Voter: member(v).VoterID, Barrier: barrier})
		}
		return s.Proposals()
	}
	if s.Apply(viewOf(5, 1)); len(confirm(8, "a", "b", "c")) > 0 {
		t.Error("a barrier that is not there is sealed")
	}
	s.Apply(suspected(viewOf(5, 1), 8))
	if got := confirm(8, "b", "x"); len(got) > 0 {
		t.Errorf("b and a stranger seal: %v", got)
	}
	want := []Command{Fence{Life: Life{"a", 5}, Suspect: 8, Confirmed: ids("b", "c")}}
	if got := confirm(8, "c"); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(s.Proposals(), want) {
		t.Errorf("%+v", got)
	}
	s.Apply(viewOf(10, 1))
	s.Apply(suspected(viewOf(5, 1), 12))
	if got := confirm(8, "a", "b", "c"); len(got) > 0 {
		t.Errorf("confirmations of suspicion 8 seal 12: %v", got)
	}
	if got := confirm(12, "a", "b"); len(got) != 1 {
		t.Errorf("%v", got)
	}
	// A change begins: now b, the new rule, has to be among them, and two of the old.
	s.Apply(suspected(changing(viewOf(5, 1), 14), 15))
	if got := confirm(15, "a", "c"); len(got) > 0 {
		t.Errorf("the old rule alone seals: %v", got)
	}
	if got := confirm(14, "b"); len(got) > 0 {
		t.Errorf("the new rule alone finishes: %v", got)
	}
	if got := confirm(14, "c"); !reflect.DeepEqual(got, []Command{Finish{Barrier: 14, Confirmed: ids("b", "c")}}) {
		t.Errorf("%+v", got)
	}
}

// TestSealerIsBounded: whoever names barriers and voters that are not there fills no memory.
func TestSealerIsBounded(t *testing.T) {
	s := NewSealer()
	s.Apply(suspected(viewOf(5, 1), 8))
	for i := range 1000 {
		s.Confirm(Confirmation{Voter: VoterID{Name: "x", Store: string(rune(i + 40))}, Barrier: Index(i)})
		s.Confirm(Confirmation{Voter: VoterID{Name: "x", Store: string(rune(i + 40))}, Barrier: 8})
	}
	if len(s.confirmed) > 0 {
		t.Errorf("%d barriers", len(s.confirmed))
	}
}
