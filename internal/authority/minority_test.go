package authority

import "testing"

func TestDecide(t *testing.T) {
	const own, exempt = true, true
	for _, c := range []struct {
		a                            Asked
		readOnly, reject, standalone Decision
	}{
		{Asked{Probe, !own, !exempt}, PassMarked, PassMarked, PassMarked},
		{Asked{Read, !own, !exempt}, PassMarked, Refuse, PassMarked},
		{Asked{Upkeep, own, !exempt}, PassPending, Refuse, PassTail},
		{Asked{Upkeep, !own, !exempt}, Refuse, Refuse, Refuse},
		{Asked{Write, own, !exempt}, Refuse, Refuse, Refuse},
		{Asked{Write, !own, !exempt}, Refuse, Refuse, Refuse},
		{Asked{Write, !own, exempt}, PassMarked, Refuse, PassMarked},
		{Asked{Kind: Write + 1, Owned: own}, Refuse, Refuse, Refuse},
	} {
		for mode, want := range []Decision{c.readOnly, c.reject, c.standalone, Refuse} {
			if c.a.Kind == Probe && mode == 3 {
				want = PassMarked
			}
			if got := Decide(false, Mode(mode), c.a); got != want {
				t.Errorf("%s, %+v: %d, want %d", Mode(mode), c.a, got, want)
			}
			if got := Decide(true, Mode(mode), c.a); got != Pass {
				t.Errorf("%s, %+v with an open gate: %d", Mode(mode), c.a, got)
			}
		}
	}
}

func TestModes(t *testing.T) {
	for _, m := range []Mode{ReadOnly, Reject, Standalone} {
		if got, err := ParseMode(m.String()); err != nil || got != m {
			t.Errorf("%s: %s, %v", m, got, err)
		}
	}
	if got, err := ParseMode(""); err != nil || got != ReadOnly {
		t.Errorf("default: %s, %v", got, err)
	}
	for _, word := range []string{"invalid", "READ_ONLY"} {
		if _, err := ParseMode(word); err == nil {
			t.Errorf("%q is a mode", word)
		}
	}
}
