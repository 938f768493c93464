package authority

import "fmt"

// Mode is what a gateway does while its gate is closed.
type Mode uint8

// The modes. ReadOnly is the default.
const (
	// ReadOnly serves reads, marked, and keeps new sessions to this gateway until it may write.
	ReadOnly Mode = iota
	// Reject refuses all but ping and discovery.
	Reject
	// Standalone is ReadOnly, and changes the state of sessions that this gateway owns.
	Standalone
)

// String returns the word of the configuration.
func (m Mode) String() string {
	if m > Standalone {
		return "invalid"
	}
	return [...]string{"read_only", "reject", "standalone"}[m]
}

// ParseMode is the inverse of String; "" is ReadOnly.
func ParseMode(word string) (Mode, error) {
	for m := ReadOnly; m <= Standalone; m++ {
		if m.String() == word {
			return m, nil
		}
	}
	if word == "" {
		return ReadOnly, nil
	}
	return 0, fmt.Errorf("authority: minority %.40q is none of read_only, reject, standalone", word)
}

// Kind is what a request does, as far as authority is concerned.
type Kind uint8

// The kinds of requests.
const (
	// Probe is ping and discovery.
	Probe Kind = iota
	// Read is everything that changes nothing.
	Read
	// Upkeep is initialize, setLevel and subscribe: it changes a session and nothing else.
	Upkeep
	// Write is a tool call that is not read-only, tasks/update and tasks/cancel, and settings.
	Write
)

// Asked is a request as Decide sees it.
type Asked struct {
	Kind Kind
	// Owned: the session is this gateway's own, or it is about to mint it.
	Owned bool
	// Exempt: the route has `authority: none`.
	Exempt bool
}

// Decision is what to do with a request.
type Decision uint8

// The decisions.
const (
	// Pass: nothing special.
	Pass Decision = iota
	// PassMarked: pass, and mark the answer as a minority's.
	PassMarked
	// PassPending: as PassMarked, and what it changes of the session is this gateway's alone until it may write.
	PassPending
	// PassTail: as PassMarked, and what it changes goes to the tail that is replicated after the heal.
	PassTail
	// Refuse: answer -32071.
	Refuse
)

// Decide says what to do with a request. open is what the gate says.
func Decide(open bool, mode Mode, a Asked) Decision {
	switch {
	case open:
		return Pass
	case a.Kind == Probe:
		return PassMarked
	case mode != ReadOnly && mode != Standalone:
		return Refuse
	case a.Kind == Read, a.Kind == Write && a.Exempt:
		return PassMarked
	case a.Kind == Upkeep && mode == Standalone && a.Owned:
		return PassTail
	case a.Kind == Upkeep && a.Owned:
		return PassPending
	}
	return Refuse
}
