package strategies

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	// MaxEncoded is how long an encoded rule may be, in bytes.
	MaxEncoded = 64 << 10
	// encoding is the version of the encoding that is written.
	encoding = 1
)

// ErrNewer is wrapped by Decode's error for an encoding that a newer release wrote: upgrade before going on.
var ErrNewer = errors.New("written by a newer release")

// envelope is the encoding of a rule for logs and disks.
type envelope struct {
	Version int  `json:"version"`
	Rule    Rule `json:"rule"`
}

type ruleJSON struct {
	Need    int        `json:"need"`
	Members []partJSON `json:"members"`
}

type partJSON struct {
	Voter  string    `json:"voter,omitempty"`
	Weight int       `json:"weight"`
	Rule   *ruleJSON `json:"rule,omitempty"`
}

// MarshalJSON writes {"need":2,"members":[{"voter":"a","weight":1},{"weight":1,"rule":{...}}]}.
func (r Rule) MarshalJSON() ([]byte, error) { return json.Marshal(r.toJSON()) }

// UnmarshalJSON reads what MarshalJSON writes, unknown fields being an error, and validates it.
func (r *Rule) UnmarshalJSON(text []byte) error {
	var in ruleJSON
	if err := strict(text, &in); err != nil {
		return fmt.Errorf("strategies: rule: %w", err)
	}
	*r = in.rule()
	return r.Validate()
}

// Encode returns the rule's canonical form for logs and disks: the same bytes for the same canonical rule, in
// every release that writes this version. r must be valid.
func (r Rule) Encode() []byte {
	text, err := json.Marshal(envelope{Version: encoding, Rule: r.Canonical()})
	if err != nil {
		panic(err) // numbers and strings always encode
	}
	return text
}

// Decode reads what Encode wrote. The error is ErrNewer for a version that it does not know.
func Decode(text []byte) (Rule, error) {
	if len(text) > MaxEncoded {
		return Rule{}, fmt.Errorf("strategies: decode: %d bytes, at most %d are allowed", len(text), MaxEncoded)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return Rule{}, fmt.Errorf("strategies: decode: %w", err)
	}
	if head.Version > encoding {
		return Rule{}, fmt.Errorf("strategies: decode: version %d: %w", head.Version, ErrNewer)
	}
	var e envelope
	if err := strict(text, &e); err != nil {
		return Rule{}, fmt.Errorf("strategies: decode: %w", err)
	}
	if e.Version != encoding {
		return Rule{}, fmt.Errorf("strategies: decode: version %d is unknown", e.Version)
	}
	return e.Rule, e.Rule.Validate()
}

// strict decodes one JSON value without unknown fields and with nothing after it.
func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands after the rule")
	}
	return nil
}

func (r Rule) toJSON() ruleJSON {
	out := ruleJSON{Need: r.Need, Members: make([]partJSON, len(r.Members))}
	for i, m := range r.Members {
		out.Members[i] = partJSON{Voter: m.Voter, Weight: m.Weight}
		if m.Rule != nil {
			inner := m.Rule.toJSON()
			out.Members[i].Rule = &inner
		}
	}
	return out
}

func (r ruleJSON) rule() Rule {
	out := Rule{Need: r.Need, Members: make([]Part, len(r.Members))}
	for i, m := range r.Members {
		out.Members[i] = Part{Voter: m.Voter, Weight: m.Weight}
		if m.Rule != nil {
			inner := m.Rule.rule()
			out.Members[i].Rule = &inner
		}
	}
	return out
}
