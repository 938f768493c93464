package strategies

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxText is how long the text of a rule may be that Parse takes, in bytes.
const MaxText = 16 << 10

// String is the rule as people write it: a voter's name, or "2 of (a, b*3, 1 of (c, d))", where *3 is a weight.
func (r Rule) String() string {
	if len(r.Members) == 1 && r.Need == 1 && r.Members[0].Rule == nil && r.Members[0].Weight == 1 {
		return r.Members[0].Voter
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d of (", r.Need)
	for i, m := range r.Members {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(m.String())
	}
	b.WriteByte(')')
	return b.String()
}

// String is the member as it stands in the text of a rule.
func (m Part) String() string {
	s := m.Voter
	if m.Rule != nil {
		s = m.Rule.String()
	}
	if m.Weight != 1 {
		s += "*" + strconv.Itoa(m.Weight)
	}
	return s
}

// Parse reads a rule in the form that String writes, and validates it.
func Parse(text string) (Rule, error) {
	if len(text) > MaxText {
		return Rule{}, fmt.Errorf("strategies: rule of %d bytes, at most %d are allowed", len(text), MaxText)
	}
	p := parser{rest: text}
	m, err := p.term(MaxDepth)
	if err == nil && p.rest != "" {
		err = p.unexpected("the end")
	}
	if err != nil {
		return Rule{}, fmt.Errorf("strategies: parse %.64q: %w", text, err)
	}
	r := m.alone()
	return r, r.Validate()
}

// parser reads from the front of rest.
type parser struct{ rest string }

// term reads a name or a threshold.
func (p *parser) term(depth int) (Part, error) {
	if depth == 0 {
		return Part{}, fmt.Errorf("nested more than %d deep", MaxDepth)
	}
	word := p.word()
	if !p.take(" of (") {
		if word == "" {
			return Part{}, p.unexpected("a voter's name")
		}
		return One(word), nil
	}
	need, err := strconv.Atoi(word)
	if err != nil {
		return Part{}, fmt.Errorf("%.64q is not a number", word)
	}
	members, err := p.members(depth)
	return Nest(AtLeast(need, members...)), err
}

// members reads up to the closing parenthesis.
func (p *parser) members(depth int) ([]Part, error) {
	var members []Part
	for len(members) <= MaxMembers {
		m, err := p.term(depth - 1)
		if err != nil {
			return nil, err
		}
		if p.take("*") {
			word := p.word()
			if m.Weight, err = strconv.Atoi(word); err != nil {
				return nil, fmt.Errorf("weight %.64q is not a number", word)
			}
		}
		members = append(members, m)
		if p.take(")") {
			return members, nil
		}
		if !p.take(", ") {
			return nil, p.unexpected(`", " or ")"`)
		}
	}
	return nil, fmt.Errorf("more than %d members", MaxMembers)
}

// word takes what a name or a number may be made of.
func (p *parser) word() string {
	end := strings.IndexAny(p.rest, " ,*()")
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	return word
}

func (p *parser) take(s string) bool {
	rest, ok := strings.CutPrefix(p.rest, s)
	p.rest = rest
	return ok
}

func (p *parser) unexpected(wanted string) error {
	return fmt.Errorf("%s was expected at %.32q", wanted, p.rest)
}
