package replica

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fleet is stores with real servers on loopback, in one process. Who asks is told by a header; the real links tell it
// by a certificate.
type fleet struct {
	t       testing.TB
	dir     string // "": memory only
	plan    Plan
	mu      sync.Mutex
	members map[string]*member
	cuts    map[[2]string]bool // from, to
	down    map[string]bool    // is no place that is up, whoever looks
	gone    map[string]bool    // is no place at all
	holds   map[string]chan struct{}
}

type member struct {
	f      *fleet
	name   string
	store  *Store
	server *httptest.Server
	events *journal
	change func(*Config)
}

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(kind, gateway, text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, kind+" "+gateway+": "+text)
}

func (j *journal) has(kind string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.ContainsFunc(j.lines, func(s string) bool { return strings.HasPrefix(s, kind+" ") })
}

const fromHeader = "Test-From"

var errCut = errors.New("cut")

func newFleet(t testing.TB, dir string, plan Plan, names ...string) *fleet {
	f := &fleet{t: t, dir: dir, plan: plan, members: map[string]*member{}, cuts: map[[2]string]bool{}, down: map[string]bool{}, gone: map[string]bool{}, holds: map[string]chan struct{}{}}
	t.Cleanup(func() {
		for _, m := range f.members {
			m.stop()
			_ = m.store.Close(context.Background()) // of one that left
		}
	})
	for _, name := range names {
		f.gone[name] = true
	}
	for _, name := range names {
		f.start(name, nil)
	}
	return f
}

// start opens a store, over what an earlier one left on disk.
func (f *fleet) start(name string, change func(*Config)) *member {
	f.t.Helper()
	m := &member{f: f, name: name, events: &journal{}, change: change}
	cfg := Config{
		Gateway: name, Region: regionOf(name), Places: func() []Place { return f.placesFor(name) }, Every: 200 * time.Millisecond,
		Transport: func(to string) http.RoundTripper { return &pipe{f, name, to} },
		Plan:      func(string) Plan { return f.plan }, Event: m.events.add,
	}
	if f.dir != "" {
		cfg.Dir = filepath.Join(f.dir, name)
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if m.store, err = Open(cfg); err != nil {
		f.t.Fatal(err)
	}
	m.server = httptest.NewUnstartedServer(http.HandlerFunc(m.serve))
	m.server.Start()
	f.mu.Lock()
	f.members[name] = m
	delete(f.down, name)
	delete(f.gone, name)
	f.mu.Unlock()
	f.changed()
	return m
}

func (m *member) serve(w http.ResponseWriter, r *http.Request) {
	m.f.mu.Lock()
	hold := m.f.holds[m.name]
	m.f.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	m.store.serveFrom(r.Header.Get(fromHeader), w, r)
}

func regionOf(name string) string { return "region-" + name[:1] }

func (f *fleet) placesFor(viewer string) []Place {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Place
	for name := range f.members {
		if !f.gone[name] {
			up := name == viewer || !f.down[name] && !f.cuts[[2]string{viewer, name}] && !f.cuts[[2]string{name, viewer}]
			all = append(all, Place{Gateway: name, Region: regionOf(name), Up: up})
		}
	}
	return all
}

// changed tells everybody that the places are others.
func (f *fleet) changed() {
	for _, m := range f.all() {
		m.store.Replaced()
	}
}

func (f *fleet) all() []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*member
	for _, m := range f.members {
		if m.server != nil {
			all = append(all, m)
		}
	}
	return all
}

// cut parts two gateways, or joins them again. Quiet: nobody is told, the link still counts as up.
func (f *fleet) cut(a, b string, parted bool) {
	f.mu.Lock()
	f.cuts[[2]string{a, b}], f.cuts[[2]string{b, a}] = parted, parted
	f.mu.Unlock()
	f.changed()
}

// stop ends a store in order; vanish ends it as a crash would: the disk is left as it is.
func (m *member) stop() {
	if m.server == nil {
		return
	}
	m.f.leave(m, false)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := m.store.Close(ctx); err != nil && !errors.Is(err, ErrDisk) {
		m.f.t.Error(err)
	}
}

func (m *member) vanish() {
	m.f.leave(m, false)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = m.store.Close(ctx)
}

func (f *fleet) leave(m *member, forGood bool) {
	f.mu.Lock()
	f.down[m.name] = true
	f.gone[m.name] = forGood
	server := m.server
	m.server = nil
	if hold := f.holds[m.name]; hold != nil {
		close(hold)
		delete(f.holds, m.name)
	}
	f.mu.Unlock()
	f.changed()
	if server != nil {
		server.CloseClientConnections()
		server.Close()
	}
}

// hang has a gateway answer nothing, while its link counts as up.
func (f *fleet) hang(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holds[name] = make(chan struct{})
}

func (f *fleet) wake(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.holds[name])
	delete(f.holds, name)
}

// pipe carries requests from one member to another.
type pipe struct {
	f        *fleet
	from, to string
}

func (p *pipe) RoundTrip(r *http.Request) (*http.Response, error) {
	p.f.mu.Lock()
	m, cut := p.f.members[p.to], p.f.cuts[[2]string{p.from, p.to}]
	var server *httptest.Server
	if m != nil {
		server = m.server
	}
	p.f.mu.Unlock()
	if server == nil || cut {
		return nil, errCut
	}
	r = r.Clone(r.Context())
	r.Header.Set(fromHeader, p.from)
	r.URL.Scheme, r.URL.Host = "http", strings.TrimPrefix(server.URL, "http://")
	return server.Client().Transport.RoundTrip(r)
}

func later() int64 { return time.Now().Add(time.Hour).Unix() }

func session(i int) Key { return Key{Session, fmt.Sprintf("session-%d", i)} }

func rec(k Key, version uint64, contents string) Record {
	return Record{Key: k, Service: "files", Version: version, Until: later(), Contents: []byte(contents)}
}

func (m *member) put(r Record, copies int) {
	m.f.t.Helper()
	if err := m.store.Put(m.f.t.Context(), r, copies); err != nil {
		m.f.t.Fatalf("%s: %v", m.name, err)
	}
}

func (m *member) holds(k Key, version uint64) bool {
	r, ok := m.store.Get(k)
	return ok && r.Version == version
}

// settle waits until everybody agrees with everybody.
func (f *fleet) settle(d time.Duration) {
	f.t.Helper()
	f.t.Cleanup(func() {
		if f.t.Failed() {
			for _, m := range f.all() {
				report, err := m.store.Verify(context.Background())
				f.t.Logf("%s: %+v, %v; ready %q, %d wait", m.name, report, err, m.store.Ready(), m.store.waiting())
			}
		}
	})
	within(f.t, d, "copies agree", f.agreed)
}

func (f *fleet) agreed() bool {
	for _, m := range f.all() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		report, err := m.store.Verify(ctx)
		cancel()
		if err != nil || slices.ContainsFunc(report.Differences, func(d Difference) bool { return d.Slots > 0 }) || m.store.waiting() > 0 {
			return false
		}
	}
	return true
}

// ready waits until everybody knows everybody and has caught up.
func (f *fleet) ready() {
	f.t.Helper()
	all := f.all()
	within(f.t, 10*time.Second, "everybody has caught up", func() bool {
		for _, m := range all {
			if m.store.view.Load().others() != len(all)-1 || len(m.store.Ready()) > 0 {
				return false
			}
		}
		return true
	})
}

// lose drops a record behind everybody's back.
func (m *member) lose(k Key) {
	sl := m.store.slot(k)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if e := sl.entries[k]; e != nil {
		e.promised = 0
		m.store.drop(sl, k, e)
	}
}
