package strategist

import (
	"github.com/quorate/quorate/internal/asked"
	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
)

// answer is what the last decision came to.
type answer struct {
	asked.Answer[*host.Host]
	rule strategies.Rule
}

// keyOf is the same for inputs that say the same.
func keyOf(in strategies.Input) string {
	roster := in.Roster
	in.Roster = nil
	return asked.Key(roster, in)
}
