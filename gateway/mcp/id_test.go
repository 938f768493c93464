package mcp

import "testing"

func TestSameID(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"", "", true},
		{"1", "1", true},
		{"1", "1.0", true},
		{"100", "1e2", true},
		{"1", "2", false},
		{"1", `"1"`, false},
		{"1", "", false},
		{`"é"`, `"\u00e9"`, true},
		{`"a\/b"`, `"a/b"`, true},
		{`"a\u003cb"`, `"a<b"`, true},
		{`"a"`, `"A"`, false},
		{`{}`, "1", false},
		{"null", "1", false},
	} {
		if SameID([]byte(c.a), []byte(c.b)) != c.same || SameID([]byte(c.b), []byte(c.a)) != c.same {
			t.Errorf("%s and %s: want %v", c.a, c.b, c.same)
		}
	}
}
