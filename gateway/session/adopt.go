package session

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

// overtook is how long a session's call waits for the adoption that it has overtaken.
const overtook = time.Second

// ServeAdoption goes on with a session of another gateway at a node of this one's pool: the answer is 204 when
// a node has taken it, 409 when none continues it as its agent knows it. Only gateways may send it.
func (m *Manager) ServeAdoption(w http.ResponseWriter, r *http.Request, in Call) {
	id := r.Header.Get(mcp.HeaderAdopt)
	a, err := readAdoption(in.Body)
	if err != nil || !wellFormed(id) {
		mcp.WriteError(w, mcp.InvalidRequest("this is no session to go on with"), nil)
		return
	}
	if !m.countIn() {
		writeFailure(w, "", errShutdown, nil)
		return
	}
	defer m.countOut()
	s, ok := m.adopt(id, a, in.Header)
	if !ok {
		mcp.WriteError(w, mcp.Overloaded("sessions", time.Second), nil)
		return
	}
	if !s.enter(in.Header) {
		NotFound(w)
		return
	}
	defer s.exit()
	if _, err := s.settled(in.Pool); err != nil {
		s.end(errLost)
		if errors.Is(err, errLost) {
			w.WriteHeader(http.StatusConflict)
			return
		}
		writeFailure(w, "", err, nil)
		return
	}
	w.Header().Set(keySession, id)
	w.WriteHeader(http.StatusNoContent)
}

// adopt makes the session, which is nowhere yet, and lets its calls in. It reports false when there are too
// many, or there is one of that id.
func (m *Manager) adopt(id string, a *adopted, agent http.Header) (*session, bool) {
	if !m.reserve() {
		return nil, false
	}
	s := m.newSession(id, a.opening, agent)
	s.pin = s.newPinNowhere()
	s.recall(a)
	if _, taken := m.sessions.LoadOrStore(id, s); taken {
		m.count.Add(-1)
		s.cancel(errDeleted)
		return nil, false
	}
	if a.listens {
		l := &listener{s: s, st: s.streams.listen(), pin: s.pin, pause: firstPause}
		s.listens.Store(m.work(l.run))
	}
	if c, waits := m.awaited.LoadAndDelete(id); waits {
		close(c.(chan struct{}))
	}
	return s, true
}

// recall puts back what the agent had set.
func (s *session) recall(a *adopted) {
	for i := range a.settings {
		s.memory.note(&a.settings[i].env, a.settings[i].body)
	}
	s.memory.initialized = a.initialized
}

// overtaken waits for a session that another gateway hands over: what it sends along may arrive first.
func (m *Manager) overtaken(ctx context.Context, id string) (any, bool) {
	c, _ := m.awaited.LoadOrStore(id, make(chan struct{}))
	defer m.awaited.CompareAndDelete(id, c)
	if s, ok := m.sessions.Load(id); ok {
		return s, true
	}
	timer := time.NewTimer(overtook)
	defer timer.Stop()
	select {
	case <-c.(chan struct{}):
	case <-timer.C:
	case <-ctx.Done():
	case <-m.ctx.Done():
	}
	return m.sessions.Load(id)
}

// adopted is an adoption that was read and understood.
type adopted struct {
	opening     *opening
	initialized bool
	listens     bool
	settings    []setting
}

// setting is a request of the agent that set something.
type setting struct {
	env  mcp.Envelope
	body []byte
}

var errAdoption = errors.New("session: not an adoption")

func readAdoption(body []byte) (*adopted, error) {
	var a adoption
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, err
	}
	return a.read()
}

// read checks what is described.
func (a *adoption) read() (*adopted, error) {
	env, err := mcp.Scan(a.Initialize)
	if err != nil || env.Method != mcp.MethodInitialize || len(a.Initialize) > maxInitialize || len(a.Subscriptions) > maxSubscriptions {
		return nil, errAdoption
	}
	promised, err := readPromise([]byte(`{"result":` + string(a.Result) + `}`))
	if err != nil {
		return nil, err
	}
	out := &adopted{opening: &opening{request: a.Initialize, id: env.ID.Of(a.Initialize), result: promised}, initialized: a.Initialized, listens: a.Listens}
	for _, body := range append([]json.RawMessage{a.Level}, a.Subscriptions...) {
		if body == nil {
			continue
		}
		env, err := mcp.Scan(body)
		if err != nil || env.Method != mcp.MethodSetLevel && env.Method != mcp.MethodSubscribe {
			return nil, errAdoption
		}
		out.settings = append(out.settings, setting{env, body})
	}
	return out, nil
}

// wellFormed reports an id that a gateway could have minted.
func wellFormed(id string) bool {
	b, err := hex.DecodeString(id)
	return err == nil && len(b) == mintBytes
}
