package route

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrPattern is wrapped by errors about the form of a pattern.
var ErrPattern = errors.New("bad pattern")

// errBackwards is a range whose end lies before its start.
var errBackwards = errors.New("range runs backwards")

// MaxPattern bounds a pattern in bytes.
const MaxPattern = 1024

// Glob is a compiled pattern. It is immutable.
type Glob struct {
	parts []part // what stands between stars; the first is anchored at the start, the last at the end
}

// part is a run of tokens, each of which takes one rune.
type part struct {
	tokens []token
	text   string // set if every token is a plain rune: then strings are compared whole
	plain  bool
}

type token struct {
	kind   tokenKind
	r      rune
	ranges []runeRange
}

type tokenKind uint8

const (
	exactly tokenKind = iota
	anyRune
	oneOf
	noneOf
)

type runeRange struct{ lo, hi rune }

// CompileGlob reads a pattern in the syntax of path.Match, but that `*` also crosses slashes, as
// resource URIs have them, and that a range that runs backwards is refused: path.Match takes it and
// lets it match nothing, which would hide a slip in an operator's route.
//
//	'*'      any text, also none
//	'?'      any one rune
//	[a-z]    one rune of the set
//	[^a-z]   one rune not of it
//	\c       the rune c itself
func CompileGlob(pattern string) (*Glob, error) {
	if len(pattern) > MaxPattern {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrPattern, MaxPattern)
	}
	if !utf8.ValidString(pattern) {
		return nil, fmt.Errorf("%w: not UTF-8", ErrPattern)
	}
	p := parser{rest: pattern}
	g := &Glob{parts: []part{{}}}
	for p.rest != "" {
		if p.rest[0] == '*' {
			p.rest = p.rest[1:]
			g.star()
			continue
		}
		t, err := p.token()
		if err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrPattern, pattern, err)
		}
		last := &g.parts[len(g.parts)-1]
		last.tokens = append(last.tokens, t)
	}
	for i := range g.parts {
		g.parts[i].flatten()
	}
	return g, nil
}

// star ends the present part. Stars in a row are one, so that no empty part stands in the middle.
func (g *Glob) star() {
	if n := len(g.parts); n == 1 || len(g.parts[n-1].tokens) > 0 {
		g.parts = append(g.parts, part{})
	}
}

func (p *part) flatten() {
	var text []rune
	for _, t := range p.tokens {
		if t.kind != exactly {
			return
		}
		text = append(text, t.r)
	}
	p.text, p.plain = string(text), true
}

// parser reads tokens off the front of a pattern.
type parser struct{ rest string }

func (p *parser) rune() rune {
	r, n := utf8.DecodeRuneInString(p.rest)
	p.rest = p.rest[n:]
	return r
}

func (p *parser) token() (token, error) {
	switch r := p.rune(); r {
	case '?':
		return token{kind: anyRune}, nil
	case '[':
		return p.set()
	case '\\':
		if p.rest == "" {
			return token{}, errors.New("ends in a backslash")
		}
		return token{r: p.rune()}, nil
	default:
		return token{r: r}, nil
	}
}

// set reads what follows "[", up to and with "]".
func (p *parser) set() (token, error) {
	t := token{kind: oneOf}
	if p.rest != "" && p.rest[0] == '^' {
		t.kind, p.rest = noneOf, p.rest[1:]
	}
	for {
		if p.rest != "" && p.rest[0] == ']' && len(t.ranges) > 0 {
			p.rest = p.rest[1:]
			return t, nil
		}
		lo, err := p.member()
		if err != nil {
			return t, err
		}
		hi := lo
		if p.rest != "" && p.rest[0] == '-' {
			p.rest = p.rest[1:]
			if hi, err = p.member(); err != nil {
				return t, err
			}
		}
		if hi < lo {
			return t, fmt.Errorf("%w: %c-%c", errBackwards, lo, hi)
		}
		t.ranges = append(t.ranges, runeRange{lo, hi})
	}
}

// member reads one end of a range. As in path.Match, "-" and "]" must be escaped.
func (p *parser) member() (rune, error) {
	if p.rest == "" {
		return 0, errors.New("[ is not closed")
	}
	switch r := p.rune(); r {
	case '-', ']':
		return 0, fmt.Errorf("%c in [] must be escaped, or the set is empty", r)
	case '\\':
		if p.rest == "" {
			return 0, errors.New("[ is not closed")
		}
		return p.rune(), nil
	default:
		return r, nil
	}
}
