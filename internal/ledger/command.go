package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/quorate/quorate/internal/authority"
)

// commandFormat is the newest form of commands that this release applies, and the one that it writes.
const commandFormat = 1

const (
	// maxCommand bounds a command, in bytes.
	maxCommand = 1 << 20
	// maxItems bounds the items of one command.
	maxItems = 512
)

// op is what an item asks for.
type op string

const (
	opKey      op = "key"      // Value is the fleet's key, if there is none yet
	opIntent   op = "intent"   // the attempt is to run the call
	opOutcome  op = "outcome"  // what became of it
	opUnknown  op = "unknown"  // nobody will say any more
	opWithdraw op = "withdraw" // it never ran, and never will
	opExpire   op = "expire"   // forget what was to be remembered until before At of the command
)

// attempt names one try to run a call: a number that its gateway has drawn, and the life that may carry it out.
type attempt struct {
	authority.Life
	Number uint64 `json:"number"`
}

// item is one thing that a gateway wants of the ledger.
type item struct {
	Op      op      `json:"op"`
	Scope   []byte  `json:"scope,omitempty"`
	Attempt attempt `json:"attempt,omitzero"`
	Digest  []byte  `json:"digest,omitempty"` // of an intent
	Until   int64   `json:"until,omitempty"`  // of an intent, Unix seconds
	Kind    Kind    `json:"kind,omitempty"`   // of an outcome
	Status  int     `json:"status,omitempty"` // of an outcome
	// Value is JSON: an outcome's, or the key in base64.
	Value json.RawMessage `json:"value,omitempty"`
}

// command is what one gateway wants at one time. Batches of one gateway are numbered, and the part takes none that is
// older than one it has taken: a proposal that was lost on its way must not arrive after what was said later.
type command struct {
	Format int            `json:"format"`
	From   authority.Life `json:"from"`
	Batch  uint64         `json:"batch"`
	At     int64          `json:"at"` // Unix seconds, by the clock of who proposes
	Items  []item         `json:"items"`
}

// verdict is what the part says to an item.
type verdict string

const (
	done     verdict = "done"     // it holds now, by this item or an earlier one of the same attempt
	existing verdict = "existing" // of an intent: the key is another attempt's
	full     verdict = "full"     // of an intent: there is no room
	gone     verdict = "gone"     // nothing is known of that attempt, or it has moved on
)

// answer is what the part says to a command. With Stale set it has taken nothing.
type answer struct {
	Stale    bool      `json:"stale,omitempty"`
	Verdicts []verdict `json:"verdicts,omitempty"`
}

func (c *command) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil {
		return nil, fmt.Errorf("ledger: encode: %w", err)
	}
	if b.Len() > maxCommand+1 {
		return nil, fmt.Errorf("ledger: encode: %w: a command of %d bytes", ErrRefused, b.Len())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decode reads a command of the log. What is not known here has a meaning that is lost: it is newer.
func decode(b []byte) (command, error) {
	var head struct {
		Format int `json:"format"`
	}
	if len(b) > maxCommand {
		return command{}, fmt.Errorf("%w: a command of %d bytes", ErrRefused, len(b))
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return command{}, fmt.Errorf("%w: not a command", ErrRefused)
	}
	if head.Format > commandFormat {
		return command{}, fmt.Errorf("%w: a command of format %d, this release applies up to %d", ErrNewer, head.Format, commandFormat)
	}
	var c command
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return command{}, fmt.Errorf("%w: %w", ErrNewer, err)
	}
	if err := c.check(); err != nil {
		return command{}, err
	}
	return c, nil
}

func (c *command) check() error {
	switch {
	case c.Format < 1:
		return fmt.Errorf("%w: a command without a format", ErrRefused)
	case c.From.Gateway == "" || len(c.From.Gateway) > authority.MaxName || c.At < 0:
		return fmt.Errorf("%w: a command of nobody, or before 1970", ErrRefused)
	case len(c.Items) == 0 || len(c.Items) > maxItems:
		return fmt.Errorf("%w: %d items in a command, 1 to %d fit", ErrRefused, len(c.Items), maxItems)
	}
	for i := range c.Items {
		if err := c.Items[i].check(); err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
	}
	return nil
}

func (i *item) check() error {
	switch i.Op {
	case opKey:
		if _, ok := i.key(); !ok {
			return fmt.Errorf("%w: not a key", ErrRefused)
		}
		return nil
	case opExpire:
		return nil
	case opIntent, opOutcome, opUnknown, opWithdraw:
	default:
		return fmt.Errorf("%w: operation %.20q", ErrNewer, string(i.Op))
	}
	switch {
	case len(i.Scope) != len(Scope{}) || i.Attempt.Gateway == "" || len(i.Attempt.Gateway) > authority.MaxName:
		return fmt.Errorf("%w: %s of no attempt", ErrRefused, i.Op)
	case i.Op == opIntent && (len(i.Digest) != 32 || i.Until <= 0):
		return fmt.Errorf("%w: an intent without digest or end", ErrRefused)
	case i.Op == opOutcome && !i.outcome().whole():
		return fmt.Errorf("%w: an outcome of kind %d, status %d and %d bytes", ErrRefused, i.Kind, i.Status, len(i.Value))
	}
	return nil
}

// key returns the fleet's key that the item carries.
func (i *item) key() (key []byte, ok bool) {
	err := json.Unmarshal(i.Value, &key)
	return key, err == nil && len(key) == keySize
}

func (i *item) outcome() Outcome { return Outcome{Kind: i.Kind, Status: i.Status, Value: i.Value} }

// whole reports whether it is an outcome as the ledger keeps them.
func (o Outcome) whole() bool {
	if o.Status < 0 || o.Status > 999 {
		return false
	}
	switch o.Kind {
	case Result, Failed:
		return len(o.Value) > 0 && len(o.Value) <= MaxResult
	case Unkept:
		return len(o.Value) == 0
	}
	return false
}
