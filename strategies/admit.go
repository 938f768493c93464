package strategies

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Strangers is the error of a rule that names others than the roster's voters.
type Strangers struct{ Names []string }

// Error names them, at most a few.
func (e *Strangers) Error() string {
	shown := e.Names[:min(len(e.Names), 5)]
	return fmt.Sprintf("strategies: no voter of the roster: %s (%d in all)", strings.Join(shown, ", "), len(e.Names))
}

// ErrBothNeeded is wrapped by Admit's error for a rule over two voters, or two groups of voters, that needs
// both: either's loss stops all writes, so the second one makes writing less available and not more.
var ErrBothNeeded = errors.New("strategies: either's loss would stop all writes")

// Admit decides whether a rule that a strategy gave for an input may be committed, and returns its canonical
// form. Its error joins what is wrong: the structure, *Strangers, ErrBothNeeded, *SplitError with two sides that
// could both write, or ErrTooHard. The input must be valid.
func Admit(in Input, r Rule) (Rule, error) {
	if err := r.Validate(); err != nil {
		return Rule{}, err
	}
	r = r.Canonical()
	if err := errors.Join(Fits(in, r), Prove(r)); err != nil {
		return Rule{}, err
	}
	return r, nil
}

// Fits returns why a valid rule, whatever it proves, does not fit the roster of an input: *Strangers, or an error that
// wraps ErrBothNeeded.
func Fits(in Input, r Rule) error {
	problems := []error{strangers(in.Roster, r)}
	if !in.Growing() {
		problems = append(problems, bothNeeded(r))
	}
	return errors.Join(problems...)
}

// strangers returns an error if the rule names others than voters.
func strangers(roster Roster, r Rule) error {
	known, unknown := roster.Names(), []string(nil)
	for _, name := range r.Voters() {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if unknown != nil {
		return &Strangers{Names: unknown}
	}
	return nil
}

// NeedsBoth reports whether a valid rule is over two voters, or two groups that share no voter, and needs both.
func (r Rule) NeedsBoth() bool {
	r = r.Canonical()
	return len(r.Members) == 2 && !r.repeats() && r.Members[0].Weight < r.Need && r.Members[1].Weight < r.Need
}

func bothNeeded(r Rule) error {
	if !r.NeedsBoth() {
		return nil
	}
	return fmt.Errorf("%w: %v needs both; add a third (quorate serve --witness is a tiny voter for a third place), declare three voters to be on the way there, or choose oldest_node or configured_master, which need one", ErrBothNeeded, r)
}
