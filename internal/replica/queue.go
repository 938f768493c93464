package replica

import "slices"

// queue holds names in the order in which they came, each once.
type queue struct {
	in    map[Key]struct{}
	order []Key
	first int
}

func newQueue() queue { return queue{in: map[Key]struct{}{}} }

func (q *queue) len() int { return len(q.order) - q.first }

func (q *queue) waiting() []Key { return q.order[q.first:] }

func (q *queue) add(k Key) {
	if _, ok := q.in[k]; ok {
		return
	}
	q.in[k] = struct{}{}
	q.order = append(q.order, k)
}

// take returns the first name. It is out of the queue from here on: what is added again waits again.
func (q *queue) take() (Key, bool) {
	if q.len() == 0 {
		return Key{}, false
	}
	k := q.order[q.first]
	delete(q.in, k)
	q.order[q.first] = Key{}
	q.first++
	if q.first > 1024 && q.first > len(q.order)/2 {
		q.order, q.first = slices.Clone(q.order[q.first:]), 0
	}
	return k, true
}

// untake puts a name that was taken first again.
func (q *queue) untake(k Key) {
	if _, ok := q.in[k]; ok {
		return
	}
	q.in[k] = struct{}{}
	if q.first == 0 {
		q.order = slices.Insert(q.order, 0, k)
		return
	}
	q.first--
	q.order[q.first] = k
}
