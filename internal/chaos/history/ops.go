package history

import "time"

// Op is one operation of an agent on its session. The agents of sessions do one after the other, each through any
// gateway.
type Op struct {
	Session string            `json:"session"` // a name of the run's own, never the id
	Gateway string            `json:"gateway"` // that the agent spoke to
	Kind    string            `json:"kind"`    // "open", "change" or "look"
	Item    string            `json:"item,omitempty"`
	Value   string            `json:"value,omitempty"` // that a change gives the item
	Seen    map[string]string `json:"seen,omitempty"`  // of a look that was answered; what is not in it has no value
	Invoke  Time              `json:"invoke"`
	Return  Time              `json:"return"`
	Outcome Outcome           `json:"outcome"`
	Code    int               `json:"code,omitempty"`
	// Minority: the answer said that it is of a gateway which may not write, or the session is of one process alone.
	// Nothing is promised of it.
	Minority bool   `json:"minority,omitempty"`
	Gone     bool   `json:"gone,omitempty"` // the answer was that there is no such session
	Text     string `json:"text,omitempty"`
}

// Kinds of operations.
const (
	Open = "open"
	Set  = "change"
	Look = "look"
)

// Lag is what a gateway said of its copies: the age of its oldest change that no other gateway has confirmed.
type Lag struct {
	Gateway string        `json:"gateway"`
	At      Time          `json:"at"`
	Lag     time.Duration `json:"lag"`
}

// Classes of sessions, as the configuration names them.
const (
	Async  = "async"
	Quorum = "quorum"
)

// Sessions are the operations on all sessions of a run.
type Sessions struct {
	Class string `json:"class"`
	Ops   []Op   `json:"ops"` // those of one session in the order in which they were made
	Lags  []Lag  `json:"lags,omitempty"`
	// Sampling is how far apart two Lags of a gateway are, at most.
	Sampling time.Duration `json:"sampling,omitempty"`
}

// promised reports whether the agent was told of something that holds from then on.
func (o *Op) promised() bool { return o.Outcome == OK && !o.Minority }
