// Package settings is the part of the replicated state that holds run-time settings: JSON documents by kind and
// name, each with the revision by which it is compared and set. It must not know what a document means, whether a
// gateway follows it, or how entries reach the log.
package settings

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
)

// PartName is the name of this part of the replicated state.
const PartName = "settings"

// Bounds. They decide what is refused, so they are a part of the protocol: a later release may only widen them
// under another format of commands.
const (
	// MaxBody is the largest document, in bytes of JSON.
	MaxBody = 64 << 10
	// MaxPerKind is the largest number of documents of one kind.
	MaxPerKind = 1000
	// MaxTotal bounds all documents together, in bytes of JSON.
	MaxTotal = 4 << 20
	// MaxConditions bounds the revisions that one condition names.
	MaxConditions = 16
)

// Kind is a kind of documents.
type Kind string

// The kinds.
const (
	Regions    Kind = "regions"
	Services   Kind = "services"
	Routes     Kind = "routes"
	Strategies Kind = "strategies"
)

// Kinds returns every kind, in alphabetical order.
func Kinds() []Kind { return []Kind{Regions, Routes, Services, Strategies} }

// Known reports whether k is one of Kinds.
func (k Kind) Known() bool { return slices.Contains(Kinds(), k) }

// Errors that callers branch on. After each of them nothing has changed. The first three are answers of a command, which
// DecodeResult returns: as errors of Apply they would lose what they are on the way between gateways.
var (
	// ErrPrecondition: the document is not at a revision that the condition names.
	ErrPrecondition = errors.New("the condition does not hold")
	// ErrUnknown: there is no document of that name.
	ErrUnknown = errors.New("there is no such document")
	// ErrFull: a bound on the number or the size of documents is reached.
	ErrFull = errors.New("there is no room")
	// ErrRefused is wrapped by every refusal but ErrNewer.
	ErrRefused = errors.New("refused")
	// ErrNewer: a newer release wrote this. A gateway that meets it in the log must stop applying, since others
	// apply what it cannot.
	ErrNewer = errors.New("written by a newer release")
)

// name is the form of names, as in the configuration.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Document is one run-time setting. Its Body must not be changed.
type Document struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
	// Revision is the index of the entry that last changed it, or more: after a snapshot of a longer log was restored
	// they go on from there. Created is the revision that it began with.
	Revision uint64          `json:"revision"`
	Created  uint64          `json:"created"`
	Body     json.RawMessage `json:"body"`
}

// Condition says at what revision a document must be for a change to happen. The zero value always holds.
type Condition struct {
	// Exists: it must be there. Absent: it must not.
	Exists bool `json:"exists,omitempty"`
	Absent bool `json:"absent,omitempty"`
	// Revisions: it must be at one of these, at most MaxConditions.
	Revisions []uint64 `json:"revisions,omitempty"`
	// Never: it cannot hold, such as a condition that names only what no document ever was.
	Never bool `json:"never,omitempty"`
}

// Holds reports whether the condition holds for a document that is there, or is not.
func (c Condition) Holds(revision uint64, there bool) bool {
	switch {
	case c.Never, c.Exists && !there, c.Absent && there:
		return false
	case len(c.Revisions) > 0:
		return there && slices.Contains(c.Revisions, revision)
	}
	return true
}
