package history

import (
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// enoughTime is what one history may take to decide.
const enoughTime = 10 * time.Second

// decision is what porcupine says.
type decision int

const (
	legal decision = iota
	illegal
	undecided
)

// write is a change of a register; a look is none.
type write struct{ value string }

// register is one item of a session: a look shows what was written last, "" before the first.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if w, ok := input.(write); ok {
			return true, w.value
		}
		return output == state, state
	},
	Equal: func(a, b any) bool { return a == b },
}

// linearizable decides whether an item behaved as a register. A change whose outcome nobody knows may have been made
// at any time after it was asked for, or never; what a gateway accepted that may not write is such a change. Looks of
// such a gateway say nothing. That a refused one was not made is judged apart.
func linearizable(item string, ops []*Op) decision {
	var all []porcupine.Operation
	for _, o := range ops {
		p := porcupine.Operation{Call: int64(o.Invoke), Return: int64(o.Return)}
		switch {
		case o.Kind == Set && o.Item == item:
			p.Input = write{o.Value}
			if !o.promised() {
				p.Return = math.MaxInt64
			}
		case o.Kind == Look && o.promised():
			p.Output = o.Seen[item]
		default:
			continue
		}
		all = append(all, p)
	}
	switch porcupine.CheckOperationsTimeout(register, all, enoughTime) {
	case porcupine.Illegal:
		return illegal
	case porcupine.Unknown:
		return undecided
	}
	return legal
}
