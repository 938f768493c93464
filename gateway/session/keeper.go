package session

import (
	"context"
	"errors"

	"github.com/quorate/quorate/gateway/mcp"
)

// ErrTaken is what a Keeper answers when another gateway owns the session now: it is not served here any more.
var ErrTaken = errors.New("session: owned by another gateway")

// Keeper knows which gateway owns a session, and keeps copies of sessions at others. Its methods may be called
// concurrently; for one id, Keep and Drop are called one after another.
type Keeper interface {
	// Life is this gateway's present incarnation, 0 while it has none. It is called on the request path: one
	// atomic load.
	Life() uint64
	// Mint makes an id. life is the incarnation that it names; 0 is an id of this process alone, of which nothing
	// is kept.
	Mint() (id string, life uint64)
	// Changes says why changes of a service's sessions are refused now, nil while they are not. It must not block.
	Changes(service string) *mcp.Error
	// Ends says why sessions of a service cannot be ended for good now, nil while they can. It must not block.
	Ends(service string) *mcp.Error
	// Commits reports whether a service's sessions are kept before agents are answered. It must not block.
	Commits(service string) bool
	// Keep stores a session as it is now. contents are the Keeper's from then on. An *mcp.Error that the error
	// wraps is for the agent; ErrTaken ends the session here.
	Keep(ctx context.Context, service, id string, contents []byte, how How) error
	// Drop forgets a session for good: whoever asks for its id is told so. One that only expires, aside, is refused while
	// this gateway may not write: another may go on with it, at the same node.
	Drop(ctx context.Context, service, id string, how How) error
	// Find says where a session is that this gateway does not own as far as the Manager knows, and takes it over
	// if it may. It returns within ctx; an error is as good as Nowhere.
	Find(ctx context.Context, service, id string) (Found, error)
}

// How says who waits for what a Keeper is told.
type How uint8

const (
	// Opening is a new session: its agent waits until there is a first copy, or nobody who could keep one.
	Opening How = iota
	// Change is one that the agent waits for.
	Change
	// Aside is one that nobody waits for.
	Aside
	// Tail is a new session or a change that an agent waits for who is told that this gateway may not write now: it
	// need not outlive this gateway. What an agent waits for who is not told so must, whatever has happened since.
	Tail
)

// Where is where a session is.
type Where uint8

const (
	// Unknown is nowhere, for good: never minted, deleted or expired.
	Unknown Where = iota
	// Here is at this gateway, which has to put it back.
	Here
	// There is at another gateway, which is to be asked.
	There
	// Nowhere is not known now. Asking again later may help.
	Nowhere
)

// Found is what a Keeper knows of a session.
type Found struct {
	Where    Where
	Contents []byte     // Here
	Life     uint64     // Here: the incarnation that owns it
	Gateway  string     // There
	Why      *mcp.Error // Nowhere; nil: no node can take the request
}
