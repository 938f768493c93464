package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// commandFormat is the newest form of commands that this release applies, and the one that it writes.
const commandFormat = 1

// maxCommand bounds a command, in bytes: a document and what is around it.
const maxCommand = MaxBody + 4<<10

// Operations of a command.
const (
	opPut    = "put"
	opDelete = "delete"
	opSync   = "sync"
)

type command struct {
	Format    int             `json:"format"`
	Op        string          `json:"op"`
	Kind      Kind            `json:"kind,omitempty"`
	Name      string          `json:"name,omitempty"`
	Body      json.RawMessage `json:"body,omitempty"`
	Condition Condition       `json:"condition"`
}

// Result is what a command did.
type Result struct {
	// Revision is the document's after the command; for a deletion the one that it had.
	Revision uint64 `json:"revision"`
	// Created says that the document is new, Changed that it is not what it was.
	Created bool `json:"created"`
	Changed bool `json:"changed"`
	// Refused says why nothing has changed, Text more of it.
	Refused string `json:"refused,omitempty"`
	Text    string `json:"text,omitempty"`
}

// refusals are the words of Result.Refused.
func refusals() map[string]error {
	return map[string]error{"precondition": ErrPrecondition, "unknown": ErrUnknown, "full": ErrFull}
}

// Put returns the command that sets a document to body, a JSON object.
func Put(kind Kind, name string, body []byte, c Condition) ([]byte, error) {
	return command{Format: commandFormat, Op: opPut, Kind: kind, Name: name, Body: body, Condition: c}.encode()
}

// Delete returns the command that removes a document.
func Delete(kind Kind, name string, c Condition) ([]byte, error) {
	return command{Format: commandFormat, Op: opDelete, Kind: kind, Name: name, Condition: c}.encode()
}

// Sync returns the command that changes nothing. Once it is applied, everything agreed on before is applied too.
func Sync() ([]byte, error) { return command{Format: commandFormat, Op: opSync}.encode() }

// DecodeResult reads what Part.Apply returned. Errors: ErrPrecondition, ErrUnknown, ErrFull, each an ErrRefused too.
func DecodeResult(b []byte) (Result, error) {
	var r Result
	if err := json.Unmarshal(b, &r); err != nil {
		return Result{}, fmt.Errorf("settings: result: %w", err)
	}
	if r.Refused == "" {
		return r, nil
	}
	if why, ok := refusals()[r.Refused]; ok {
		return Result{}, fmt.Errorf("settings: %w: %w: %s", ErrRefused, why, r.Text)
	}
	return Result{}, fmt.Errorf("settings: %w: %s", ErrRefused, r.Text)
}

func (c command) encode() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("settings: encode: %w", err)
	}
	b, err := marshal(c)
	if err == nil && len(b) > maxCommand {
		err = fmt.Errorf("%w: a command of %d bytes", ErrRefused, len(b))
	}
	if err != nil {
		return nil, fmt.Errorf("settings: encode: %w", err)
	}
	return b, nil
}

// marshal leaves the bytes of bodies alone, which the encoder's defaults would escape.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
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
	if c.Op != opSync && (c.Op != opPut && c.Op != opDelete || !c.Kind.Known()) {
		return command{}, fmt.Errorf("%w: operation %.20q on %.20q", ErrNewer, c.Op, string(c.Kind))
	}
	return c, c.check()
}

func (c command) check() error {
	switch {
	case c.Op == opSync:
		return nil
	case !c.Kind.Known():
		return fmt.Errorf("%w: %.20q is no kind of settings", ErrRefused, string(c.Kind))
	case !name.MatchString(c.Name):
		return fmt.Errorf("%w: %.80q is not a name", ErrRefused, c.Name)
	case len(c.Condition.Revisions) > MaxConditions:
		return fmt.Errorf("%w: a condition of %d revisions, at most %d", ErrRefused, len(c.Condition.Revisions), MaxConditions)
	case c.Op == opDelete && len(c.Body) > 0:
		return fmt.Errorf("%w: a deletion has no document", ErrRefused)
	case c.Op == opPut && !isObject(c.Body):
		return fmt.Errorf("%w: the document is not a JSON object of at most %d bytes", ErrRefused, MaxBody)
	}
	return nil
}

// isObject reports whether b is one JSON object within bounds.
func isObject(b []byte) bool {
	b = bytes.TrimSpace(b)
	return len(b) > 0 && len(b) <= MaxBody && b[0] == '{' && json.Valid(b)
}
