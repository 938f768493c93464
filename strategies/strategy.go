package strategies

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Input is what a strategy decides from. The same input must give the same rule, in whatever order the roster
// stands: any gateway may be the one that asks.
type Input struct {
	Roster Roster
	// Declared is how many voters the operator has declared. While a control group grows towards three, it
	// may have two voters that are both needed; a rule that ends there is refused. 0: as many as there are.
	Declared int
	// Options are the strategy's own settings, at most MaxOptions, such as master.
	Options map[string]string
}

// Growing reports whether more voters are to come, three at least in the end.
func (in Input) Growing() bool { return in.Declared >= 3 && in.Declared > len(in.Roster.Voters()) }

// Validate returns every problem of an input.
func (in Input) Validate() error {
	problems := []error{in.Roster.Validate(), validOptions(in.Options)}
	if in.Declared < 0 || in.Declared > MaxVoters {
		problems = append(problems, fmt.Errorf("strategies: %d declared voters are outside 0..%d", in.Declared, MaxVoters))
	}
	return errors.Join(problems...)
}

// validOptions returns every problem of a strategy's own settings.
func validOptions(options map[string]string) error {
	var problems []error
	if len(options) > MaxOptions {
		problems = append(problems, fmt.Errorf("strategies: %d options, at most %d are allowed", len(options), MaxOptions))
	}
	for name, value := range options {
		if !isName(name) || len(value) > MaxOption {
			problems = append(problems, fmt.Errorf("strategies: option %.64q is not a name with a value of at most %d bytes", name, MaxOption))
		}
	}
	return errors.Join(problems...)
}

// Func is a split-brain strategy: the quorum rule for an input, or why there is none (Refuse). What it returns
// is admitted by others, see Admit; nothing it does can make two sides write.
type Func func(Input) (Rule, error)

// ErrRefused is wrapped by the error of a strategy that has no rule for an input. It is an answer and no
// fault: the committed rule stays.
var ErrRefused = errors.New("refused")

// Refuse returns an error that says why a strategy has no rule for its input, and what to do instead.
func Refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// maxText bounds what a strategy says for people, in bytes.
const maxText = 512

// Refusal is the refusal of a strategy elsewhere, from the text of its error. The text is not trusted: it is cut and
// what cannot be printed is replaced.
func Refusal(text string) error {
	return Refuse("%s", Printable(strings.TrimPrefix(text, ErrRefused.Error()+": ")))
}

// Printable cuts a text from outside to 512 bytes and replaces what cannot be printed.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text[:min(len(text), maxText)])
}
