package gateway

import (
	"net/http"
	"time"

	"github.com/quorate/quorate/internal/ledger"
)

// keyedWriter holds an answer that is no event stream back until its outcome is settled. That the agent has left is no
// reason to stop: the outcome is for whoever comes back.
type keyedWriter struct {
	http.ResponseWriter
	k      *keyedCall
	status int
	held   []byte
	passes bool // bytes go through
	ended  bool
}

// around is how much longer than its result an answer may be.
const around = 4 << 10

// WriteHeader implements http.ResponseWriter.
func (w *keyedWriter) WriteHeader(status int) {
	switch {
	case status < 200:
		w.ResponseWriter.WriteHeader(status)
	case w.status == 0:
		w.status = status
		if isEventStream(w.Header()) {
			w.release()
		}
	}
}

// Write implements http.ResponseWriter. It never fails.
func (w *keyedWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.passes {
		_, _ = w.ResponseWriter.Write(b)
		return len(b), nil
	}
	w.held = append(w.held, b...)
	if len(w.held) > w.k.most+around+len(w.k.id) {
		// It is too long to be kept, and from here on a part of it may be out.
		w.k.settle(w.judge())
		w.release()
	}
	return len(b), nil
}

// FlushError is what http.ResponseController calls.
func (w *keyedWriter) FlushError() error {
	if w.passes {
		_ = http.NewResponseController(w.ResponseWriter).Flush()
	}
	return nil
}

// Unwrap lets http.ResponseController reach the connection.
func (w *keyedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *keyedWriter) judge() ledger.Outcome {
	return judge(keyedAnswer{
		status: w.status, refused: refusedHere(w.Header()), body: w.held, id: w.k.id, sent: w.k.sent.Load(), cut: len(w.held) > w.k.most+around+len(w.k.id),
	})
}

// release sends what was held back.
func (w *keyedWriter) release() {
	w.passes = true
	w.ResponseWriter.WriteHeader(w.status)
	if len(w.held) > 0 {
		_, _ = w.ResponseWriter.Write(w.held)
		w.held = nil
	}
}

// end settles what an answer that was held back says, and sends it.
func (w *keyedWriter) end() {
	w.ended = true
	switch {
	case !w.passes && w.status != 0:
		w.k.settle(w.judge())
		w.release()
	case !w.k.sent.Load():
		w.k.settle(ledger.Outcome{Kind: ledger.NotRun})
	case w.passes && !w.k.known.Load():
		// The stream has ended for this agent, and the call may go on: it comes back for the rest.
		time.AfterFunc(keyedGrace, func() { w.k.settle(ledger.Outcome{}) })
	default:
		w.k.settle(ledger.Outcome{})
	}
}

// left settles the outcome of a call whose answer broke off, and which this goroutine does not survive.
func (w *keyedWriter) left() {
	if !w.ended {
		w.k.settle(ledger.Outcome{})
	}
}
