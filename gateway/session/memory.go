package session

import (
	"slices"
	"sync"

	"github.com/quorate/quorate/gateway/mcp"
)

// maxSubscriptions bounds the resources that one session may watch; more could not be moved in time.
const maxSubscriptions = 1024

// maxSettings bounds what a session keeps of the requests that have set something, in bytes. It is as much as one session
// is told another gateway of at most, so nothing that came from there is lost.
const maxSettings = maxAdoption

// memory is what an agent has set in its session since initialize, and a move sets again. It is noted
// when a request goes out, not when it succeeds: a move in between must not lose it, and setting any
// of it twice does no harm. An answer that is an error takes it back.
type memory struct {
	mu            sync.Mutex
	initialized   bool
	level         []byte // the agent's logging/setLevel
	subscriptions []subscription
	changes       uint64 // how often any of it has changed
}

type subscription struct {
	uri  string
	body []byte // the agent's resources/subscribe
}

// note remembers what a request sets. undo takes it back; it is nil when nothing was set. It reports
// false when there is too much to remember.
func (m *memory) note(env *mcp.Envelope, body []byte) (undo func(), ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch env.Method {
	case mcp.NotificationInitialized:
		if !m.initialized {
			m.initialized = true
			m.changes++
		}
	case mcp.MethodSetLevel:
		if !m.fits(body) {
			return nil, false
		}
		return m.setLevel(body), true
	case mcp.MethodUnsubscribe:
		return m.unsubscribe(env.URI), true
	case mcp.MethodSubscribe:
		return m.subscribe(env.URI, body)
	}
	return nil, true
}

// fits reports whether there is room for one request more.
func (m *memory) fits(body []byte) bool {
	n := len(m.level) + len(body)
	for _, s := range m.subscriptions {
		n += len(s.body)
	}
	return n <= maxSettings
}

func (m *memory) setLevel(body []byte) (undo func()) {
	before, now := m.level, slices.Clone(body)
	if !slices.Equal(before, now) {
		m.changes++
	}
	m.level = now
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if slices.Equal(m.level, now) {
			m.level = before
			m.changes++
		}
	}
}

func (m *memory) subscribe(uri string, body []byte) (undo func(), ok bool) {
	if slices.ContainsFunc(m.subscriptions, func(s subscription) bool { return s.uri == uri }) {
		return nil, true
	}
	if len(m.subscriptions) >= maxSubscriptions || !m.fits(body) {
		return nil, false
	}
	m.add(subscription{uri, slices.Clone(body)})
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.drop(uri)
	}, true
}

func (m *memory) unsubscribe(uri string) (undo func()) {
	i := slices.IndexFunc(m.subscriptions, func(s subscription) bool { return s.uri == uri })
	if i < 0 {
		return nil
	}
	was := m.subscriptions[i]
	m.drop(uri)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if !slices.ContainsFunc(m.subscriptions, func(s subscription) bool { return s.uri == uri }) {
			m.add(was)
		}
	}
}

func (m *memory) add(s subscription) {
	m.subscriptions = append(m.subscriptions, s)
	m.changes++
}

func (m *memory) drop(uri string) {
	m.subscriptions = slices.DeleteFunc(m.subscriptions, func(s subscription) bool { return s.uri == uri })
	m.changes++
}

// changed returns how often any of it has changed.
func (m *memory) changed() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changes
}

// replay returns what a new node has to be told, in order.
func (m *memory) replay() (initialized bool, level []byte, subscriptions []subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.initialized, m.level, slices.Clone(m.subscriptions)
}
