// Package asked knows when a strategy has to be asked again: what it was asked last, in which life of its process, and
// what came of it. It must not know what strategies are asked for, nor ask them.
package asked

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
)

// Again is the time after which a strategy that failed is asked the same again.
const Again = time.Second

// Life is one life of a process P, and what it was doing: one that has come up since may be asked at once.
type Life[P comparable] struct {
	process  P
	restarts int
	state    host.State
}

// LifeOf returns the life that a status tells of.
func LifeOf[P comparable](process P, s host.Status) Life[P] {
	return Life[P]{process, s.Restarts, s.State}
}

// Answer is what the last question came to.
type Answer[P comparable] struct {
	Key  string // of the question
	Life Life[P]
	At   time.Time
	Err  error
}

// Good reports whether it is an answer and no fault; a refusal is one.
func (a Answer[P]) Good() bool { return a.Err == nil || errors.Is(a.Err, strategies.ErrRefused) }

// Holds reports whether the answer is still good for a question, or the fault too young to ask the same again.
func (a Answer[P]) Holds(key string, l Life[P], now time.Time) bool {
	return a.Key == key && a.Life == l && (a.Good() || now.Sub(a.At) < Again)
}

// Key is the same for questions that say the same, in whatever order the roster is. The rest is names and numbers, which
// encode as JSON.
func Key(r strategies.Roster, rest any) string {
	r = slices.Clone(r)
	slices.SortFunc(r, func(a, b strategies.Gateway) int { return cmp.Compare(a.Name, b.Name) })
	text, err := json.Marshal([]any{r, rest})
	if err != nil {
		panic(err) // names and numbers always encode
	}
	return string(text)
}
