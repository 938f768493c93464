package strategist

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
)

// life is one process, and what it was doing: a process that has come up since may be asked at once.
type life struct {
	host     *host.Host
	restarts int
	state    host.State
}

// answer is what the last decision came to.
type answer struct {
	key  string
	life life
	at   time.Time
	rule strategies.Rule
	err  error
}

// holds reports whether the answer is good for this input now.
func (a answer) holds(key string, l life, now time.Time) bool {
	if a.key != key || a.life != l {
		return false
	}
	return a.err == nil || errors.Is(a.err, strategies.ErrRefused) || now.Sub(a.at) < Again
}

// keyOf is the same for inputs that say the same.
func keyOf(in strategies.Input) string {
	in.Roster = slices.Clone(in.Roster)
	slices.SortFunc(in.Roster, func(a, b strategies.Gateway) int { return cmp.Compare(a.Name, b.Name) })
	text, err := json.Marshal(in)
	if err != nil {
		panic(err) // names and numbers always encode
	}
	return string(text)
}
