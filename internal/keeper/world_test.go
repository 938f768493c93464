package keeper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/replica"
	"github.com/quorate/quorate/internal/rulebook"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

const promised = 600 * time.Millisecond

// world is a fleet of keepers with one log, judged by the real state machine, in virtual time. What is agreed on comes
// to each gateway when it pleases, links lose what they carry, and lives end.
type world struct {
	t    *testing.T
	key  []byte
	mu   sync.Mutex // guards what follows
	rand *rand.Rand
	log  [][]byte
	head *authority.Machine // has applied all of the log
	gws  map[string]*member
	cut  map[[2]string]bool
	loss float64 // of messages and of answers
	flaw string  // what is wrong on purpose
	bad  []string
	seen map[string]int
}

// member is one gateway.
type member struct {
	w       *world
	name    string
	machine *authority.Machine // as it is applied here
	applied int
	life    authority.Life
	nonce   string
	gate    bool
	still   bool // it applies nothing now
	keeper  *Keeper
	copies  map[replica.Key]replica.Record
	vows    map[replica.Key]uint64
	has     map[string]uint64 // session id → what it has counted, of those in memory
	lives   map[string]uint64 // session id → the life that owns it here; 0: given away
	flights turns

	toLeader time.Duration
}

func newMachine(t *testing.T) *authority.Machine {
	m, err := authority.NewMachine(authority.MachineConfig{Rules: rulebook.Rulebook{}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newWorld(t *testing.T, seed uint64, names ...string) *world {
	w := &world{t: t, key: bytes.Repeat([]byte{1}, 32), rand: rand.New(rand.NewPCG(seed, 1)), head: newMachine(t), gws: map[string]*member{},
		cut: map[[2]string]bool{}, seen: map[string]int{}}
	w.found(names)
	for _, name := range names {
		m := &member{w: w, name: name, machine: newMachine(t), copies: map[replica.Key]replica.Record{}, vows: map[replica.Key]uint64{},
			has: map[string]uint64{}, lives: map[string]uint64{}}
		k, err := New(Config{Gateway: name, Authority: m, Store: m, Links: m, Key: func() []byte { return w.key },
			Plan: func(string) Plan { return Plan{Copies: 2, Timeout: time.Second} }, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		k.Serve(m)
		m.keeper, w.gws[name] = k, m
	}
	for _, name := range names {
		w.join(name)
	}
	return w
}

func (w *world) found(names []string) {
	in := strategies.Input{}
	q := authority.Quorum{Promise: promised}
	for i, n := range names {
		in.Roster = append(in.Roster, strategies.Gateway{Name: n, Region: "r", Role: strategies.Voter, JoinIndex: uint64(i + 1)})
		q.Voters = append(q.Voters, authority.Member{VoterID: authority.VoterID{Name: n, Store: "s"}, Region: "r"})
	}
	r, err := winnertakesall.Rule(in)
	if err != nil {
		w.t.Fatal(err)
	}
	q.Source = r.Encode()
	if _, err := w.commit(authority.Bootstrap{Cluster: "c", Quorum: q, Declared: len(names)}); err != nil {
		w.t.Fatal(err)
	}
}

// commit appends a command; what the log refuses is in it all the same.
func (w *world) commit(c authority.Command) (authority.Index, error) {
	b, err := authority.Encode(c)
	if err != nil {
		return 0, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, b)
	index := authority.Index(len(w.log))
	_, err = w.head.Apply(index, b)
	return index, err
}

// chance is true with a probability, sometimes.
func (w *world) chance(p float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.Float64() < p
}

// owner is who owns a record by all of the log.
func (w *world) owner(record string, minter authority.Life) authority.Claim {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.head.Owner(record, minter)
}

// lost is true for a message that does not arrive.
func (w *world) lost() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.Float64() < w.loss
}

func (w *world) delay(most time.Duration) {
	w.mu.Lock()
	d := time.Duration(w.rand.Int64N(int64(most)))
	w.mu.Unlock()
	<-time.After(d) // in the bubble
}

func (w *world) linked(a, b string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.cut[[2]string{min(a, b), max(a, b)}]
}

func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[what]++
}

// join begins a life of a gateway, which sees it when it applies that. One that has not ended goes on.
func (w *world) join(name string) {
	m := w.gws[name]
	w.mu.Lock()
	before := m.nonce
	m.nonce = fmt.Sprintf("%s-%d", name, len(w.log))
	nonce := m.nonce
	w.mu.Unlock()
	if _, err := w.commit(authority.Join{Gateway: name, Region: "r", Store: "s", Nonce: nonce}); err != nil {
		w.mu.Lock()
		m.nonce = before
		w.mu.Unlock()
	}
}

// end closes a gateway's gate, waits as long as a fence does, and ends its life.
func (w *world) end(name string) {
	m := w.gws[name]
	w.mu.Lock()
	life := m.life
	m.gate = w.flaw == "the gate stays open"
	w.mu.Unlock()
	if life.Incarnation == 0 {
		return
	}
	<-time.After(promised)
	if _, err := w.commit(authority.Leave{Life: life}); err == nil {
		w.count("lives ended")
	}
}

// apply has a gateway apply what is agreed on, up to an index; w.mu is held.
func (m *member) apply(upTo int) {
	for ; m.applied < upTo; m.applied++ {
		_, _ = m.machine.Apply(authority.Index(m.applied+1), m.w.log[m.applied]) // the head has told what was refused
	}
	before := m.life
	m.life = authority.Life{}
	for _, s := range m.machine.View().Lives {
		if s.Gateway == m.name && s.Fenced == 0 && s.Nonce == m.nonce {
			m.life = s.Life
		}
	}
	if m.life != before {
		m.gate = m.life.Incarnation != 0
	}
}

// follow applies what is agreed on, late.
func (m *member) follow(ctx context.Context) {
	for ctx.Err() == nil {
		m.w.delay(150 * time.Millisecond)
		m.w.mu.Lock()
		if !m.still {
			m.apply(len(m.w.log))
		}
		m.w.mu.Unlock()
		if m.w.chance(0.5) {
			m.keeper.Wake()
		}
	}
}

func (m *member) Life() authority.Life {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.life
}

func (m *member) Allow() bool {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.gate
}

func (m *member) Owner(record string, minter authority.Life) authority.Claim {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.machine.Owner(record, minter)
}

func (m *member) Ended(l authority.Life) bool {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.machine.Ended(l)
}

func (m *member) Promise() time.Duration { return promised }

func (m *member) ToLeader() time.Duration { return m.toLeader }

func (m *member) Carriers() []authority.Life {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	var all []authority.Life
	for _, s := range m.machine.View().Lives {
		if s.Fenced == 0 {
			all = append(all, s.Life)
		}
	}
	return all
}

func (m *member) Claim(ctx context.Context, t authority.Take) (authority.Index, error) {
	if !m.Allow() || ctx.Err() != nil {
		return 0, ErrNoQuorum
	}
	m.w.delay(100 * time.Millisecond)
	if m.w.lost() {
		return 0, ErrNoQuorum
	}
	if m.w.flaw == "anybody may claim" {
		t.Released = true
		t.Replaces = m.headOwner(t).Ballot
	}
	index, err := m.w.commit(t)
	m.w.delay(100 * time.Millisecond)
	if m.w.lost() {
		return 0, ErrNoQuorum // and yet it is committed
	}
	m.w.mu.Lock()
	if !m.still {
		m.apply(max(m.applied, int(index)))
	}
	m.w.mu.Unlock()
	return index, err
}

func (m *member) headOwner(t authority.Take) authority.Claim {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.w.head.Owner(t.Record, t.Minter)
}

func (m *member) Up(gateway string) bool { return m.w.linked(m.name, gateway) }

func (m *member) Transport(gateway string) http.RoundTripper { return road{m, gateway} }

// road carries questions to another gateway.
type road struct {
	from *member
	to   string
}

func (r road) RoundTrip(q *http.Request) (*http.Response, error) {
	w := r.from.w
	w.delay(20 * time.Millisecond)
	if !w.linked(r.from.name, r.to) || w.lost() {
		return nil, errors.New("lost")
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	g, err := w.gws[r.to].keeper.answer(q.Context(), r.from.name, strings.TrimPrefix(q.URL.Path, Path), body)
	if err != nil {
		return nil, err
	}
	w.delay(20 * time.Millisecond)
	if w.lost() {
		return nil, errors.New("the answer is lost")
	}
	b, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(b))}, nil
}

// Get implements Store.
func (m *member) Get(k replica.Key) (replica.Record, bool) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	r, ok := m.copies[k]
	return r, ok
}

// receive keeps a copy unless a newer one or a promise forbids it; w.mu is held.
func (m *member) receive(r replica.Record) error {
	now, ok := m.copies[r.Key]
	if r.Ballot < m.vows[r.Key] || ok && newer(&now, &r) {
		return replica.ErrStale
	}
	m.copies[r.Key] = r
	return nil
}

func (m *member) Put(_ context.Context, r replica.Record, _ int) error {
	m.w.mu.Lock()
	err := m.receive(r)
	m.w.mu.Unlock()
	if err != nil {
		return err
	}
	for _, o := range m.w.gws {
		if o == m {
			continue
		}
		go func() {
			m.w.delay(100 * time.Millisecond)
			if m.w.linked(m.name, o.name) && !m.w.lost() {
				m.w.mu.Lock()
				_ = o.receive(r)
				m.w.mu.Unlock()
			}
		}()
	}
	return nil
}

func (m *member) Fetch(_ context.Context, k replica.Key, ballot uint64, _ string) (f replica.Fetched, err error) {
	for _, o := range m.w.gws {
		m.w.delay(10 * time.Millisecond)
		if o != m && (!m.w.linked(m.name, o.name) || m.w.lost()) {
			f.Silent = append(f.Silent, o.name)
			continue
		}
		f.Heard = append(f.Heard, o.name)
		m.w.mu.Lock()
		if ballot > 0 && o.vows[k] > ballot {
			err = replica.ErrStale
		}
		o.vows[k] = max(o.vows[k], ballot)
		if r, ok := o.copies[k]; ok && (!f.Found || newer(&r, &f.Record)) {
			f.Record, f.Found = r, true
		}
		m.w.mu.Unlock()
	}
	return f, err
}

func (m *member) Status(replica.Key) (replica.Status, bool) { return replica.Status{}, false }
func (m *member) Each(func(replica.Record) bool)            {}
func (m *member) Lagging(string) error                      { return nil }
func (m *member) Yield(_, id string)                        { m.forget(id) }
func (m *member) EachSession(func(service, id string) bool) {}

func (m *member) forget(id string) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	delete(m.lives, id)
	delete(m.has, id)
}

// All implements Sessions.
func (m *member) All() iter.Seq2[string, string] { return func(func(string, string) bool) {} }

// Owns implements Sessions.
func (m *member) Owns(_, id string) bool {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.life.Incarnation != 0 && m.lives[id] == uint64(m.life.Incarnation)
}

// Release implements Sessions.
func (m *member) Release(_, id string) ([]byte, bool) {
	if m.w.chance(0.3) {
		return nil, false // busy
	}
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	if _, ok := m.lives[id]; !ok {
		return nil, false
	}
	if m.w.flaw != "the owner goes on" {
		m.lives[id] = 0
	}
	m.w.seen["released"]++
	return contentsOf(m.has[id]), true
}

func contentsOf(n uint64) []byte { return fmt.Appendf(nil, "%d", n) }

// request is an agent's at this gateway, or passed on by another: it counts in its session. It reports whether it was
// served, and whether it was told that there is no such session.
func (m *member) request(ctx context.Context, id string, relayed bool) (served, unknown bool) {
	done, err := m.flights.take(ctx, id)
	if err != nil {
		return false, false
	}
	defer done()
	if !m.Owns("", id) {
		f, err := m.keeper.Find(ctx, "s", id)
		switch {
		case err != nil || f.Where == session.Nowhere:
			m.w.count("nowhere")
			return false, false
		case f.Where == session.Unknown:
			return false, true
		case f.Where == session.There:
			m.forget(id)
			if relayed || !m.w.linked(m.name, f.Gateway) {
				return false, false
			}
			m.w.count("relayed")
			m.w.delay(20 * time.Millisecond)
			return m.w.gws[f.Gateway].request(ctx, id, true)
		}
		m.w.delay(20 * time.Millisecond)
		m.restore(id, f)
	}
	m.w.delay(30 * time.Millisecond) // until the first byte
	return m.serve(ctx, id), false
}

func (m *member) restore(id string, f session.Found) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	var n uint64
	_, _ = fmt.Sscan(string(f.Contents), &n)
	m.lives[id], m.has[id] = f.Life, n
	m.w.seen["restored"]++
}

// serve is a write: at its first byte the gate is open, and the session is this life's. Then it must be so by the log.
func (m *member) serve(ctx context.Context, id string) bool {
	m.w.mu.Lock()
	if !m.gate || m.life.Incarnation == 0 || m.lives[id] != uint64(m.life.Incarnation) {
		m.w.mu.Unlock()
		return false
	}
	record, minter := recordOf(m.w.key, id)
	if owner := m.w.head.Owner(record, minter); owner.Owner != m.life {
		m.w.bad = append(m.w.bad, fmt.Sprintf("%s writes, and %s owns the session", m.life, owner.Owner))
	}
	for _, o := range m.w.gws {
		if o != m && o.gate && o.life.Incarnation != 0 && o.lives[id] == uint64(o.life.Incarnation) {
			m.w.bad = append(m.w.bad, fmt.Sprintf("%s and %s both serve a session", m.life, o.life))
		}
	}
	m.has[id]++
	n := m.has[id]
	m.w.seen["served"]++
	m.w.mu.Unlock()
	if m.keeper.Keep(ctx, "s", id, contentsOf(n), session.Change) != nil {
		m.forget(id)
	}
	return true
}
