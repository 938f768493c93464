package identity

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/regions"
)

func TestAtLeast(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	for name, tc := range map[string]struct{ id, want, result regions.Identity }{
		"nothing is asked for":         {},
		"what is asked for beyond":     {regions.Identity{SPKI: a}, regions.Identity{}, regions.Identity{SPKI: a}},
		"asked for nothing so far":     {regions.Identity{}, regions.Identity{TLSName: "*.a.b", SPKI: a}, regions.Identity{TLSName: "*.a.b", SPKI: a}},
		"a name below the pattern":     {regions.Identity{TLSName: "X.a.b"}, regions.Identity{TLSName: "*.A.b"}, regions.Identity{TLSName: "X.a.b"}},
		"two labels below it":          {regions.Identity{TLSName: "x.y.a.b"}, regions.Identity{TLSName: "*.a.b"}, regions.Identity{TLSName: "*.a.b"}},
		"a pattern below it":           {regions.Identity{TLSName: "*.x.a.b"}, regions.Identity{TLSName: "*.a.b"}, regions.Identity{TLSName: "*.a.b"}},
		"another name":                 {regions.Identity{TLSName: "evil.c"}, regions.Identity{TLSName: "a.b"}, regions.Identity{TLSName: "a.b"}},
		"a wider pattern":              {regions.Identity{TLSName: "*.b"}, regions.Identity{TLSName: "a.b"}, regions.Identity{TLSName: "a.b"}},
		"an id below the pattern":      {regions.Identity{SPIFFE: "spiffe://d/x"}, regions.Identity{SPIFFE: "spiffe://d/*"}, regions.Identity{SPIFFE: "spiffe://d/x"}},
		"an id of another domain":      {regions.Identity{SPIFFE: "spiffe://dd/x"}, regions.Identity{SPIFFE: "spiffe://d/*"}, regions.Identity{SPIFFE: "spiffe://d/*"}},
		"another key":                  {regions.Identity{SPKI: b}, regions.Identity{SPKI: a}, regions.Identity{SPKI: a}},
		"one part more than it had":    {regions.Identity{TLSName: "a.b"}, regions.Identity{SPKI: a}, regions.Identity{TLSName: "a.b", SPKI: a}},
		"the trust domain's own id":    {regions.Identity{SPIFFE: "spiffe://d"}, regions.Identity{SPIFFE: "spiffe://d/*"}, regions.Identity{SPIFFE: "spiffe://d/*"}},
		"the pattern itself":           {regions.Identity{SPIFFE: "spiffe://d/*"}, regions.Identity{SPIFFE: "spiffe://d/*"}, regions.Identity{SPIFFE: "spiffe://d/*"}},
		"an empty label in its place":  {regions.Identity{TLSName: ".a.b"}, regions.Identity{TLSName: "*.a.b"}, regions.Identity{TLSName: "*.a.b"}},
		"a wildcard where a name must": {regions.Identity{TLSName: "*.a.b"}, regions.Identity{TLSName: "x.a.b"}, regions.Identity{TLSName: "x.a.b"}},
	} {
		if got := AtLeast(tc.id, tc.want); got != tc.result {
			t.Errorf("%s: %+v, want %+v", name, got, tc.result)
		}
	}
}
