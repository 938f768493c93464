package replica

import (
	"fmt"
	"slices"
	"testing"
)

func places(names ...string) []Place {
	var all []Place
	for _, name := range names {
		all = append(all, Place{Gateway: name, Region: regionOf(name), Up: true})
	}
	return all
}

func TestPlacesAreInOtherRegionsFirst(t *testing.T) {
	for _, c := range []struct {
		name   string
		places []Place
		copies int
		ok     func(got []string) bool
	}{
		{"two other regions", places("a1", "a2", "b1", "b2", "c1"), 2, func(g []string) bool {
			return len(g) == 2 && regionOf(g[0]) != regionOf(g[1]) && !slices.ContainsFunc(g, ofA)
		}},
		{"one other region", places("a1", "a2", "b1", "b2"), 2, func(g []string) bool { return len(g) == 2 && !slices.ContainsFunc(g, ofA) }},
		{"one other gateway elsewhere", places("a1", "a2", "a3", "b1"), 2, func(g []string) bool { return len(g) == 2 && g[0] == "b1" && ofA(g[1]) }},
		{"one region", places("a1", "a2", "a3"), 2, func(g []string) bool { return len(g) == 2 && !slices.Contains(g, "a1") }},
		{"fewer than wanted", places("a1", "b1"), 2, func(g []string) bool { return slices.Equal(g, []string{"b1"}) }},
		{"alone", places("a1"), 2, func(g []string) bool { return len(g) == 0 }},
		{"none wanted", places("a1", "b1", "c1"), 0, func(g []string) bool { return len(g) == 0 }},
		{"the owner is gone", places("a2", "b1", "c1"), 2, func(g []string) bool { return len(g) == 2 && !slices.ContainsFunc(g, ofA) }},
	} {
		for slot := range Slots {
			if got := placesOf(slot, "a1", "region-a", c.places, c.copies); !c.ok(got) {
				t.Errorf("%s: slot %d: %q", c.name, slot, got)
				break
			}
		}
	}
}

func ofA(name string) bool { return regionOf(name) == "region-a" }

// TestLittleMoves: a gateway that leaves moves only what it held, one place for each; one that comes takes only for
// itself. The order in which the places are named means nothing, and everybody gets a fair part.
func TestLittleMoves(t *testing.T) {
	all := places("a1", "a2", "b1", "b2", "b3", "c1", "c2", "d1", "d2")
	held := map[string]int{}
	for slot := range Slots {
		before := placesOf(slot, "a1", "region-a", all, 2)
		for _, g := range before {
			held[g]++
		}
		reversed := slices.Clone(all)
		slices.Reverse(reversed)
		if got := placesOf(slot, "a1", "region-a", reversed, 2); !slices.Equal(got, before) {
			t.Fatalf("slot %d: %q and %q", slot, before, got)
		}
		for _, gone := range all[1:] {
			left := slices.DeleteFunc(slices.Clone(all), func(p Place) bool { return p == gone })
			after := placesOf(slot, "a1", "region-a", left, 2)
			stayed := 0
			for _, g := range before {
				if slices.Contains(after, g) {
					stayed++
				}
			}
			if want := 2 - count(before, gone.Gateway); stayed != want {
				t.Errorf("slot %d without %s: %q becomes %q", slot, gone.Gateway, before, after)
			}
		}
	}
	t.Logf("slots held: %v", held)
	for _, p := range all[2:] {
		if n := held[p.Gateway]; n < 2*Slots/7/3 {
			t.Errorf("%s holds %d of %d", p.Gateway, n, 2*Slots)
		}
	}
}

func count(all []string, one string) int {
	if slices.Contains(all, one) {
		return 1
	}
	return 0
}

func TestSlotsAreEven(t *testing.T) {
	var n [Slots]int
	for i := range 100 * Slots {
		n[slotOf(session(i))]++
	}
	if least, most := slices.Min(n[:]), slices.Max(n[:]); least < 50 || most > 150 {
		t.Errorf("of 100 each: %d to %d", least, most)
	}
}

func TestPlacingsRemember(t *testing.T) {
	p := newPlacings(places("a1", "b1", "c1"))
	for i := range maxPlacings + 10 {
		want := placesOf(i%Slots, "a1", "region-a", p.places, 1+i/Slots%2)
		if got := p.of(i%Slots, "a1", "region-a", 1+i/Slots%2); !slices.Equal(got, want) {
			t.Fatalf("%d: %q, want %q", i, got, want)
		}
		p.of(0, fmt.Sprintf("gone-%d", i), "", 1)
	}
	if len(p.known) > maxPlacings {
		t.Errorf("%d are remembered", len(p.known))
	}
}
