package upstream

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

// Permit says whether a write may go out now. Its methods are called on the request path: they must not block.
type Permit interface {
	// Allow reports whether a first byte may leave now.
	Allow() bool
	// Fence is the epoch that the write names to its node; 0 names none.
	Fence() uint64
}

var (
	errClosed = errors.New("the write gate is closed")
	errFenced = errors.New("a later epoch has been seen there")
)

// permitted asks for leave to send the first byte, and returns the epoch to name. The epoch is read first: should
// this process stand still in between, a permit of the past must not go out under an epoch that it never belonged to.
func (r *Request) permitted() (fence uint64, ok bool) {
	if r.Permit == nil {
		return 0, true
	}
	fence = r.Permit.Fence()
	return fence, r.Permit.Allow()
}

// closed is the failure of an attempt that the gate kept here.
func (n *Node) closed() *Error {
	n.results.failed(Closed)
	return &Error{Node: n.cfg.ID, Progress: NotSent, Failure: Closed, Err: errClosed}
}

// fenced reports an answer by which a node refuses a write for its epoch: it has not run.
func (r *Request) fenced(resp *http.Response) bool {
	return r.Permit != nil && resp.StatusCode == http.StatusConflict && resp.Header[mcp.HeaderFence] != nil
}

// refusedEpoch is the failure of an attempt that the node refused for its epoch.
func (n *Node) refusedEpoch() *Error {
	n.results.failed(Fenced)
	return &Error{Node: n.cfg.ID, Progress: NotSent, Failure: Fenced, Err: errFenced}
}

// askAgain is when a write that was refused may be sent again: a partition lasts longer, a new leader less.
const askAgain = time.Second

// NoAuthority is what the agent is told of a write that ended so: as Closed, Barred or Fenced.
func (f Failure) NoAuthority() *mcp.Error {
	if f == Fenced {
		return mcp.NoAuthority(mcp.ReasonFenced, askAgain)
	}
	return mcp.NoAuthority(mcp.ReasonMinority, askAgain)
}

// permittedBody is a forwarded write's body, which asks once more before its first byte: the link may have taken a while to
// begin the request, whose header alone makes nobody act.
type permittedBody struct {
	io.Reader
	f     *forwarded
	asked bool
}

// Read implements io.Reader.
func (b *permittedBody) Read(p []byte) (int, error) {
	if !b.asked {
		b.asked = true
		if !b.f.permit.Allow() {
			b.f.kept.Store(true)
			return 0, errClosed
		}
	}
	return b.Reader.Read(p)
}
