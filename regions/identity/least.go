package identity

import (
	"strings"

	"github.com/quorate/quorate/regions"
)

// AtLeast returns id, changed where it asks for less than want, or for something else: whoever proves the result
// proves want. A name or an id below a pattern of want asks for more, and stays.
func AtLeast(id, want regions.Identity) regions.Identity {
	if want.TLSName != "" && !nameWithin(id.TLSName, want.TLSName) {
		id.TLSName = want.TLSName
	}
	if want.SPIFFE != "" && !spiffeWithin(id.SPIFFE, want.SPIFFE) {
		id.SPIFFE = want.SPIFFE
	}
	if want.SPKI != "" {
		id.SPKI = want.SPKI
	}
	return id
}

// nameWithin reports that name is wide, or one of the names that wide stands for.
func nameWithin(name, wide string) bool {
	if strings.EqualFold(name, wide) {
		return true
	}
	below, wild := strings.CutPrefix(wide, "*.")
	label, rest, _ := strings.Cut(name, ".")
	return wild && label != "" && label != "*" && strings.EqualFold(rest, below)
}

// spiffeWithin reports that id is wide, or below it.
func spiffeWithin(id, wide string) bool {
	if id == wide {
		return true
	}
	above, wild := strings.CutSuffix(wide, "/*")
	rest, below := strings.CutPrefix(id, above+"/")
	return wild && below && rest != ""
}
