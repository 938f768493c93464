package delay

import (
	"math/rand/v2"
	"sync"
	"time"
)

// ending is how a direction ends.
type ending uint8

const (
	goesOn ending = iota
	finished
	broken
)

// chunk is what was read at once, or the end of the direction.
type chunk struct {
	due  time.Time
	data []byte
	end  ending
}

// pipe is one direction of a connection: what is under way, in order, with one receiver and one sender.
type pipe struct {
	rnd   *rand.Rand    // the receiver's
	more  chan struct{} // the sender may have something to do
	room  chan struct{} // the receiver may go on
	ended chan struct{} // closed when the end has been pushed

	mu    sync.Mutex
	queue []chunk
	bytes int
	last  time.Time // when the newest is due
}

func newPipe(seed, sequence uint64) *pipe {
	return &pipe{
		rnd:  rand.New(rand.NewPCG(seed, sequence)),
		more: make(chan struct{}, 1), room: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// push adds a chunk once it fits, and returns false when done closes first. An empty pipe takes any chunk.
func (p *pipe) push(c chunk, jitter time.Duration, window int, done <-chan struct{}) bool {
	if jitter > 0 {
		c.due = c.due.Add(time.Duration(p.rnd.Int64N(int64(jitter) + 1)))
	}
	for !p.tryPush(c, window) {
		select {
		case <-p.room:
		case <-done:
			return false
		}
	}
	wake(p.more)
	if c.end != goesOn {
		close(p.ended)
	}
	return true
}

func (p *pipe) tryPush(c chunk, window int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bytes > 0 && p.bytes+len(c.data) > window {
		return false
	}
	if c.due.Before(p.last) {
		c.due = p.last
	}
	p.last = c.due
	p.bytes += len(c.data)
	p.queue = append(p.queue, c)
	return true
}

// head returns the oldest chunk without taking it, and false when done closes before there is one.
func (p *pipe) head(done <-chan struct{}) (chunk, bool) {
	for {
		p.mu.Lock()
		if len(p.queue) > 0 {
			c := p.queue[0]
			p.mu.Unlock()
			return c, true
		}
		p.mu.Unlock()
		select {
		case <-p.more:
		case <-done:
			return chunk{}, false
		}
	}
}

// drop takes the oldest chunk away.
func (p *pipe) drop() {
	p.mu.Lock()
	p.bytes -= len(p.queue[0].data)
	p.queue[0] = chunk{}
	p.queue = p.queue[1:]
	p.mu.Unlock()
	wake(p.room)
}

func (p *pipe) held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}

// wake leaves one mark: whoever waits looks again.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
