package route

import (
	"strings"
	"unicode/utf8"
)

// Match reports whether the whole name fits the pattern. Each part between stars is taken at its
// first fitting place and never moved again, which is enough: a later place only leaves less for the
// parts that follow. So the time is at most len(name) × len(pattern), and linear in the name.
func (g *Glob) Match(name string) bool {
	first, last := &g.parts[0], &g.parts[len(g.parts)-1]
	n, ok := first.prefix(name)
	if !ok {
		return false
	}
	name = name[n:]
	if len(g.parts) == 1 {
		return name == ""
	}
	for i := 1; i < len(g.parts)-1; i++ {
		if name, ok = g.parts[i].after(name); !ok {
			return false
		}
	}
	return last.ends(name)
}

// prefix returns how many bytes at the start of s the part takes.
func (p *part) prefix(s string) (int, bool) {
	if p.plain {
		return len(p.text), strings.HasPrefix(s, p.text)
	}
	at := 0
	for i := range p.tokens {
		r, n := utf8.DecodeRuneInString(s[at:])
		if n == 0 || !p.tokens[i].takes(r) {
			return 0, false
		}
		at += n
	}
	return at, true
}

// after returns what follows the first place in s that the part fits.
func (p *part) after(s string) (string, bool) {
	if p.plain {
		_, rest, ok := strings.Cut(s, p.text)
		return rest, ok
	}
	for s != "" {
		if n, ok := p.prefix(s); ok {
			return s[n:], true
		}
		_, n := utf8.DecodeRuneInString(s)
		s = s[n:]
	}
	return "", false
}

// ends reports whether the part fits the end of s.
func (p *part) ends(s string) bool {
	if p.plain {
		return strings.HasSuffix(s, p.text)
	}
	at := len(s)
	for range p.tokens {
		_, n := utf8.DecodeLastRuneInString(s[:at])
		if n == 0 {
			return false
		}
		at -= n
	}
	n, ok := p.prefix(s[at:])
	return ok && at+n == len(s)
}

func (t *token) takes(r rune) bool {
	switch t.kind {
	case exactly:
		return t.r == r
	case anyRune:
		return true
	}
	for _, x := range t.ranges {
		if x.lo <= r && r <= x.hi {
			return t.kind == oneOf
		}
	}
	return t.kind == noneOf
}
