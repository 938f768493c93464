package committed

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// asked is a call about one record; told is what its caller learned.
type asked struct {
	key      Key
	op       op
	ballot   uint64
	version  uint64
	contents string
}

type told struct {
	outcome outcome // 0: nobody knows
	seen    state   // of a look or a take
}

// state is a record as a caller sees it, and what the model keeps besides.
type state struct {
	found, deleted  bool
	ballot, version uint64
	contents        string
	promised        uint64
}

// saw is a state as a look shows it.
func (s state) saw() state {
	s.promised = 0
	if !s.found {
		return state{}
	}
	if s.deleted {
		return state{found: true, deleted: true}
	}
	return s
}

// model is one record as somebody would have it who knows no log: a register with ballots.
func model() porcupine.Model {
	return porcupine.Model{
		Partition: byKey,
		Init:      func() any { return state{} },
		Step: func(s, in, out any) (bool, any) {
			return step(s.(state), in.(asked), out.(told))
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v: %+v", in, out) },
		DescribeState:     func(s any) string { return fmt.Sprintf("%+v", s) },
	}
}

func byKey(all []porcupine.Operation) [][]porcupine.Operation {
	of := map[Key][]porcupine.Operation{}
	for _, o := range all {
		k := o.Input.(asked).key
		of[k] = append(of[k], o)
	}
	var parts [][]porcupine.Operation
	for _, part := range of {
		parts = append(parts, part)
	}
	return parts
}

// step says whether an answer is possible in a state, and what the state is then.
func step(s state, in asked, out told) (bool, state) {
	next, want := s, done
	switch in.op {
	case opLook:
		return out.outcome == 0 || out.seen == s.saw(), s
	case opTake:
		next, want = taken(s, in.ballot)
	case opPut:
		next, want = written(s, in)
	case opDrop:
		if s.deleted {
			break
		}
		if in.ballot < s.promised {
			want = stale
			break
		}
		next = state{found: true, deleted: true, promised: in.ballot}
	}
	if out.outcome == 0 {
		return true, next
	}
	if in.op == opTake && want == done && out.seen != s.saw() {
		return false, s
	}
	return out.outcome == want, next
}

func taken(s state, ballot uint64) (state, outcome) {
	if s.deleted {
		return s, done
	}
	if ballot < s.promised {
		return s, stale
	}
	s.promised = ballot
	return s, done
}

func written(s state, in asked) (state, outcome) {
	switch {
	case s.deleted:
		return s, deleted
	case in.ballot < s.promised:
		return s, stale
	case s.found && (s.ballot > in.ballot || s.ballot == in.ballot && s.version >= in.version):
		return s, done
	}
	return state{found: true, ballot: in.ballot, version: in.version, contents: in.contents, promised: in.ballot}, done
}
