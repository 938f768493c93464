package breaker

import "sync"

// maxPending bounds the changes waiting for a slow OnChange.
const maxPending = 64

// notifier delivers changes in order on a goroutine that lives only while there are any.
type notifier struct {
	fn func(from, to string)

	mu      sync.Mutex
	pending [][2]string
	running bool
}

// add queues a change and never blocks; the oldest is dropped when the queue is full.
func (n *notifier) add(from, to string) {
	if n.fn == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.pending) == maxPending {
		n.pending = n.pending[:copy(n.pending, n.pending[1:])]
	}
	n.pending = append(n.pending, [2]string{from, to})
	if !n.running {
		n.running = true
		go n.run()
	}
}

func (n *notifier) run() {
	for {
		c, ok := n.next()
		if !ok {
			return
		}
		n.fn(c[0], c[1])
	}
}

func (n *notifier) next() (c [2]string, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.pending) == 0 {
		n.running = false
		return c, false
	}
	c = n.pending[0]
	n.pending = n.pending[:copy(n.pending, n.pending[1:])]
	return c, true
}
