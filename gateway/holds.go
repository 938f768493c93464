package gateway

import "sync/atomic"

// maxHolds bounds the event streams that are held open while their sessions cannot be found.
const maxHolds = 100_000

// holds counts them.
type holds struct{ n atomic.Int64 }

func (h *holds) enter() bool {
	if h.n.Add(1) > maxHolds {
		h.n.Add(-1)
		return false
	}
	return true
}

func (h *holds) leave() { h.n.Add(-1) }
