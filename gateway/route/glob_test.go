package route

import (
	"errors"
	"path"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		yes, no string // names, separated by blanks; "''" is the empty one
	}{
		{"", "''", "a"},
		{"charge", "charge", "'' charg charged xcharge"},
		{"*", "'' a a/b/c", ""},
		{"**", "'' a a/b/c", ""},
		{"charge_*", "charge_ charge_card charge_a/b", "charge xcharge_card"},
		{"*_card", "_card charge_card", "card charge_card2"},
		{"*mid*", "mid amid midst amidst mi/mid", "mi id"},
		{"a*b*c", "abc aXbXc abcbc abbcc", "ab ac acb abcd"},
		{"a*a", "aa aba", "a"},
		{"file:///etc/*", "file:///etc/ file:///etc/ssl/certs/ca.pem", "file:///et file:///home/x"},
		{"*.md", ".md /docs/a/b.md", ".mdx md"},
		{"?", "a é 世", "'' ab"},
		{"??", "ab é世", "a abc"},
		{"*?", "a ab", "''"},
		{"?*?", "ab abc", "a"},
		{"[abc]", "a b c", "d ab ''"},
		{"[a-cx]z", "az bz xz", "dz a"},
		{"[^a-c]", "d é", "a b c ''"},
		{"*[0-9]", "1 v2 v2/3", "v 1v"},
		{"v[0-9]*x", "v1x v1/y/x", "vx v1"},
		{"*[0-9][0-9]*end", "x12end 9a99end", "x1end 12"},
		{`\*`, "*", `a \*`},
		{`\[a]`, "[a]", "a"},
		{`[\]\-]`, "] -", `\`},
		{"héllo*", "héllo héllo/世", "hello"},
	} {
		g, err := CompileGlob(tc.pattern)
		if err != nil {
			t.Errorf("%q: %v", tc.pattern, err)
			continue
		}
		for want, names := range map[bool]string{true: tc.yes, false: tc.no} {
			for name := range strings.FieldsSeq(names) {
				name = strings.ReplaceAll(name, "''", "")
				if got := g.Match(name); got != want {
					t.Errorf("%q on %q: %v", tc.pattern, name, got)
				}
			}
		}
	}
}

func TestBadGlob(t *testing.T) {
	for _, p := range []string{`a\`, "[", "[]", "[a", "[a-", "[a-]", "[-a]", "[b-a]", "[^]", "[^", `[\`, "*[", "a\xff", strings.Repeat("a", MaxPattern+1)} {
		if _, err := CompileGlob(p); !errors.Is(err, ErrPattern) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

// Patterns that take exponential time when every star backtracks.
func TestAdversarial(t *testing.T) {
	name := strings.Repeat("a", 64<<10)
	for _, p := range []string{
		strings.Repeat("a*", 500) + "b",
		strings.Repeat("*a", 500) + "*b",
		strings.Repeat("*?", 500) + "b",
		strings.Repeat("*[a-z]", 150) + "b",
		"*" + strings.Repeat("?", 1000) + "b*",
		"*" + strings.Repeat("a", 1000) + "b*",
	} {
		g, err := CompileGlob(p)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if g.Match(name) {
			t.Errorf("%.20q... matches", p)
		}
		// 64 Ki × 1 Ki steps are well under a second; one exponential star would not end at all.
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%.20q... took %v", p, took)
		}
	}
}

// Twice the name takes twice the steps, not four times: counted by the clock, with room for noise.
func TestLinear(t *testing.T) {
	g, err := CompileGlob(strings.Repeat("*[a-b]?", 60) + "*[c]")
	if err != nil {
		t.Fatal(err)
	}
	took := func(n int) time.Duration {
		name, best := strings.Repeat("a", n), time.Hour
		for range 5 {
			began := time.Now()
			g.Match(name)
			best = min(best, time.Since(began))
		}
		return best
	}
	if small, large := took(100_000), took(1_600_000); large > 100*small {
		t.Errorf("16 times the name takes %v instead of %v", large, small)
	}
}

// Within one path segment the meaning is path.Match's.
func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{{"a*b?[c-d]", "axxbzc"}, {"[^a]*", "b"}, {`\*`, "*"}, {"*a*", "bab"}, {"[a-", "x"}, {"*[a]", "ba"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		g, err := CompileGlob(pattern)
		if len(pattern) > 64 || len(name) > 64 || !utf8.ValidString(pattern) || !utf8.ValidString(name) || strings.ContainsRune(pattern+name, '/') {
			return
		}
		want, wantErr := path.Match(pattern, name)
		if err != nil {
			// The one difference in what is refused, see CompileGlob.
			if wantErr == nil && want && !errors.Is(err, errBackwards) { // path.Match finds some errors only when it gets there
				t.Fatalf("%q is refused (%v), path.Match matches it", pattern, err)
			}
			return
		}
		if got := g.Match(name); wantErr == nil && got != want {
			t.Fatalf("%q on %q: %v, path.Match says %v", pattern, name, got, want)
		}
	})
}

func BenchmarkGlob(b *testing.B) {
	for _, p := range []string{"charge_card", "charge_*", "*_card", "file:///*/[a-z]*.md"} {
		g, err := CompileGlob(p)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(p, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				g.Match("file:///docs/charge_card")
			}
		})
	}
}
