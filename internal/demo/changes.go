package demo

import (
	"fmt"

	"github.com/quorate/quorate/internal/admin"
)

// changes says what differs between two looks: nodes that came or went, write gates, states and classes of regions.
func changes(before, after view) []string {
	var out []string
	for _, at := range places() {
		b, a := before.edges[at], after.edges[at]
		if b.healthy != a.healthy && b.nodes > 0 {
			out = append(out, fmt.Sprintf("%s: %d of %d nodes healthy", at, a.healthy, a.nodes))
		}
		if b.gate != a.gate && b.gate != "" {
			out = append(out, fmt.Sprintf("%s: the write gate is %s", at, a.gate))
		}
		for _, of := range places() {
			out = append(out, known(at, of, b, a)...)
			out = append(out, change(at, b.sees[of], a.sees[of])...)
		}
	}
	return out
}

// known says that a region has come to know another one, or knows it no more. The first look is no change.
func known(at, of string, b, a edge) []string {
	_, before := b.sees[of]
	_, after := a.sees[of]
	switch {
	case b.sees == nil || a.sees == nil || before == after:
		return nil
	case after:
		return []string{at + " knows " + of}
	}
	return []string{at + " knows " + of + " no more"}
}

// change says how one region changed in another's eyes, or in its own. The first look is no change.
func change(at string, b, a admin.Region) []string {
	if b.Name == "" || a.Name == "" {
		return nil
	}
	who := at + " sees " + a.Name
	if at == a.Name {
		who = at + " is"
	}
	var out []string
	if b.State != a.State {
		why := ""
		if a.Cause != "" {
			why = " (" + a.Cause + ")"
		}
		out = append(out, fmt.Sprintf("%s %s, was %s%s", who, a.State, b.State, why))
	}
	if b.Class != a.Class && at != a.Name {
		out = append(out, fmt.Sprintf("%s as %s, was %s (%.0f ms)", who, a.Class, b.Class, a.RTTMS))
	}
	return out
}
