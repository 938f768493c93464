// Package retry decides what follows a failed attempt, and holds the budget that keeps retries from
// becoming an outage of their own. It must not know nodes, sockets, clocks or messages.
package retry

import (
	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
)

// Action is what the data plane does next.
type Action uint8

const (
	// Pass: give the agent what there is, an answer or the end of the stream.
	Pass Action = iota
	// Next: make another attempt at the next candidate.
	Next
	// Unknown: answer -32070, nobody knows whether the request was carried out.
	Unknown
	// Unavailable: answer -32072, no node is left to ask and none has acted.
	Unavailable
	// Overloaded: answer -32073, trying again now would only add load.
	Overloaded
	// NoAuthority: answer -32071, the request is a write and no node has acted.
	NoAuthority
)

// String names the action for logs and metrics.
func (a Action) String() string {
	names := [...]string{"pass", "next", "unknown", "unavailable", "overloaded", "no_authority"}
	if int(a) < len(names) {
		return names[a]
	}
	return "invalid"
}

// In is all that the decision depends on.
type In struct {
	Era         mcp.Era
	Class       mcp.RetryClass
	Progress    upstream.Progress
	Failure     upstream.Failure // 0 if the attempt ended with a whole answer
	Status      int              // HTTP status of a whole answer, 0 if there is none
	Attempt     int              // this attempt's number, from 1
	MaxAttempts int
	Committed   bool // bytes were sent to the agent
	Splice      bool // and they are whole events without a final message: another node's may follow
	SessionLost bool // the answer proves that the node ran nothing: it does not know the session (legacy)
	Reached     bool // an earlier attempt of this request may have reached its node
	BudgetOK    bool // see In.WantsBudget
	Candidates  bool // a candidate is left that was not tried
}

// Decide returns what follows an attempt, by PROTOCOL.md section 5:
//
//   - an agent that gave up, and any answer but those below, ends the walk with Pass;
//   - a request that no node can have seen may go on to every candidate, whatever its class, free of
//     budget and of MaxAttempts: it cost nobody anything;
//   - a request that a node may have seen goes on only if its class is Retry or Hedge, nothing was
//     committed that another node's answer cannot follow, and attempts and budget are left;
//   - a write that this gateway's gate stopped, or whose epoch was refused, is not tried elsewhere: the gate
//     and the epoch are the same there. One that another gateway's gate stopped is;
//   - statuses 502, 503 and 504 are such failures; the last of them is passed on as it came.
//
// When the walk ends without an answer, a request that may have had an effect is Unknown.
func Decide(in In) Action {
	switch {
	case in.Failure == upstream.Canceled:
		return Pass
	case in.Status != 0:
		return afterAnswer(in)
	case in.Failure == upstream.Closed, in.Failure == upstream.Fenced:
		return unauthorized(in)
	case in.untouched():
		return afterNothing(in)
	}
	return afterLoss(in)
}

// WantsBudget reports whether budget is what stands between this attempt and the next, so that the
// caller takes from it only then.
func (in In) WantsBudget() bool {
	in.BudgetOK = true
	with := Decide(in)
	in.BudgetOK = false
	return with == Next && Decide(in) != Next
}

// Lost reports whether the attempt lost its node, as against an answer from a node that lives.
func (in In) Lost() bool {
	return in.Failure == upstream.Reset || in.Failure == upstream.Dead
}

// untouched: the body was never read by the transport.
func (in In) untouched() bool {
	return in.Progress == upstream.NotSent ||
		in.Failure == upstream.Refused || in.Failure == upstream.BreakerOpen ||
		in.Failure == upstream.Declined || in.Failure == upstream.Shed || in.Failure == upstream.Barred
}

func afterAnswer(in In) Action {
	switch {
	case in.Committed || !in.Candidates:
		return Pass
	case in.SessionLost && in.Era == mcp.Legacy:
		return Next
	case in.Class != mcp.Once && transient(in.Status) && in.Attempt < in.MaxAttempts && in.BudgetOK:
		return Next
	}
	return Pass
}

func transient(status int) bool { return status == 502 || status == 503 || status == 504 }

func afterNothing(in In) Action {
	switch {
	case in.Committed && !in.Splice:
		return Unknown
	case in.Candidates:
		return Next
	case in.Reached && in.Class == mcp.Retry:
		return Unknown
	case in.Failure == upstream.Barred:
		return unauthorized(in)
	case in.Failure == upstream.BreakerOpen, in.Failure == upstream.Shed:
		return Overloaded
	}
	return Unavailable
}

// unauthorized: a write of which an earlier attempt was lost may have landed then.
func unauthorized(in In) Action {
	if in.Reached || in.Committed && !in.Splice {
		return Unknown
	}
	return NoAuthority
}

func afterLoss(in In) Action {
	switch {
	case in.Class == mcp.Once, in.Committed && !in.Splice:
		return Unknown
	case in.Candidates && in.Attempt < in.MaxAttempts && in.BudgetOK:
		return Next
	case in.Class == mcp.Retry: // an idempotent write may or may not have landed
		return Unknown
	case in.Candidates && in.Attempt < in.MaxAttempts:
		return Overloaded
	}
	return Unavailable
}
