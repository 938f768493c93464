package identity

import (
	"errors"
	"strings"
)

// Errors that callers branch on.
var (
	// ErrIdentity is every failed proof: what answers is not the node, whatever it answers.
	ErrIdentity = errors.New("identity not proven")
	// ErrInvalid is an identity whose values mean nothing.
	ErrInvalid = errors.New("invalid identity")
)

// Error is a failed proof. It is ErrIdentity. Certificates are public, so it holds no secret.
type Error struct {
	Want string // what the node had to prove
	Got  string // what it showed instead; at most a few hundred bytes, also where the node chose them
	Err  error  // the cause, if there is one
}

// Error implements error.
func (e *Error) Error() string { return ErrIdentity.Error() + ": want " + e.Want + ", got " + e.Got }

// Is makes it ErrIdentity.
func (e *Error) Is(target error) bool { return target == ErrIdentity }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// maxText bounds a piece of text that comes from outside, in bytes.
const maxText = 120

func short(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
