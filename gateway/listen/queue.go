package listen

// item is one whole event for the agent.
type item struct {
	raw []byte
	key string // events of one key mean the same, so the newest one will do; "" stands for itself
}

// queue holds what waits for the agent. It is bounded by count and by bytes, and a burst of changes
// that an agent is too slow to hear one by one becomes one change. It is not safe for concurrent use.
type queue struct {
	items    []item
	bytes    int
	maxItems int
	maxBytes int
	at       map[string]int // where a key waits, counted from the first event ever dropped or not
	base     int            // what items[0] counts as
}

// push adds an event and returns how many older ones it replaced and how many fell out.
func (q *queue) push(it item) (coalesced, dropped int) {
	if it.key != "" {
		if at, ok := q.at[it.key]; ok {
			old := &q.items[at-q.base]
			q.bytes += len(it.raw) - len(old.raw)
			*old = it
			return 1, q.shrink(0, 0)
		}
	}
	dropped = q.shrink(1, len(it.raw))
	if it.key != "" {
		if q.at == nil {
			q.at = make(map[string]int)
		}
		q.at[it.key] = q.base + len(q.items)
	}
	q.items = append(q.items, it)
	q.bytes += len(it.raw)
	return 0, dropped
}

// shrink drops the oldest events until items more with bytes more fit.
func (q *queue) shrink(items, bytes int) (dropped int) {
	for len(q.items) > 0 && (len(q.items)+items > q.maxItems || q.bytes+bytes > q.maxBytes) {
		delete(q.at, q.items[0].key)
		q.bytes -= len(q.items[0].raw)
		q.items[0] = item{}
		q.items = q.items[1:]
		q.base++
		dropped++
	}
	return dropped
}

// take moves all events out; into is the slice of an earlier take, to be used again.
func (q *queue) take(into []item) []item {
	clear(into)
	into, q.items = q.items, into[:0]
	clear(q.at)
	q.bytes, q.base = 0, 0
	return into
}
