// Package ledger remembers calls that agents name by keys of their own, so that a repeated key never runs a call
// twice: the part of the replicated state that holds intents and outcomes, and how one gateway puts them there. It
// must not know messages, sessions, nodes or how entries reach the log.
//
// The order is: the intent is committed, the call goes out, its outcome is committed. Only the life of a gateway that
// committed an intent may carry it out. Once that life has ended, whoever meets the open intent commits that its
// outcome is unknown, which only that attempt's own late outcome may replace.
package ledger

import (
	"errors"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

// PartName is the name of this part of the replicated state.
const PartName = "ledger"

// Bounds. They decide what is refused, so they are a part of the protocol: a later release may only change them under
// another format of commands.
const (
	// MaxEntries is the largest number of keys that are remembered at one time.
	MaxEntries = 100_000
	// MaxBytes bounds the results of all of them together. A result that has no room is not kept, and a repeat of
	// its key is told so.
	MaxBytes = 32 << 20
	// MaxResult is the largest result that is kept, in bytes of JSON.
	MaxResult = 64 << 10
	// MaxRetention is the longest time for which a key is remembered.
	MaxRetention = 30 * 24 * time.Hour
	// maxGateways bounds the gateways whose last batch is remembered.
	maxGateways = 4 * authority.MaxGateways
)

// Scope names what a key is good for: one service, caller, tool and key, in a form that tells nobody which.
type Scope [32]byte

// Call is a call under a key, as an agent sends it.
type Call struct {
	Service string
	Caller  []string // the values of the header that says who calls; none is a caller, too
	Tool    string
	Key     string
	Step    string // of a call that goes on where another one stopped to ask: what that one was answered with
	// Digest is that of everything that the call asks for.
	Digest [32]byte
	// Retention is how long the key is remembered, 1 s to MaxRetention.
	Retention time.Duration
}

// Kind says what became of a call.
type Kind uint8

const (
	// Unknown: it may have run, and nobody knows more.
	Unknown Kind = iota
	// Result and Failed: the node answered with a result, or with an error of its own.
	Result
	Failed
	// Unkept: it has run, and what the node answered is not kept.
	Unkept
	// NotRun: it never left the gateway, so the key is free again.
	NotRun
)

// Outcome is what became of a call. Value must not be changed.
type Outcome struct {
	Kind   Kind
	Status int    // of the answer, as HTTP has it; 0 stands for 200
	Value  []byte // JSON: the member result or error of the answer
}

// Errors that callers branch on.
var (
	// ErrNewer: a newer release wrote this. A gateway that meets it in the log must stop applying.
	ErrNewer = errors.New("written by a newer release")
	// ErrRefused: it is no command of this part.
	ErrRefused = errors.New("refused")
	// ErrNoQuorum: nothing can be committed now. The call has not run and will not.
	ErrNoQuorum = errors.New("no quorum")
	// ErrNotReady: some member of the control group runs a release without this part.
	ErrNotReady = errors.New("a member of the control group knows no ledger")
	// ErrFull: too many keys are remembered.
	ErrFull = errors.New("the ledger is full")
	// ErrReused: the key was used for a call that asked for something else.
	ErrReused = errors.New("the key was used for another call")
	// ErrRunning: the call is under way, and has been for as long as the caller would wait.
	ErrRunning = errors.New("the call is running")
	// ErrUnknown: whether it has run is not known.
	ErrUnknown = errors.New("the outcome is unknown")
	// ErrUnkept: it has run, and its result was not kept.
	ErrUnkept = errors.New("the result is not kept")
)
