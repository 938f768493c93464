package consul

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/logbook"
	"github.com/quorate/quorate/regions/discovery"
)

// patience bounds every wait for something that must happen.
const patience = 15 * time.Second

// ear runs a source and keeps what it emits.
type ear struct {
	t       *testing.T
	answers chan discovery.Answer
}

// listen runs a source until the test ends.
func listen(t *testing.T, s discovery.Source) *ear {
	e := &ear{t: t, answers: make(chan discovery.Answer, 4096)}
	background(t, func(ctx context.Context) {
		if err := s.Run(ctx, func(a discovery.Answer) { e.answers <- a }); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return e
}

// background runs f until the test ends and waits for it then.
func background(t *testing.T, f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f(ctx) })
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

// await returns the first answer for which good is true, and fails when none comes.
func (e *ear) await(what string, good func(discovery.Answer) bool) discovery.Answer {
	e.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	var last discovery.Answer
	for {
		select {
		case a := <-e.answers:
			if last = a; good(a) {
				return a
			}
		case <-limit.C:
			e.t.Fatalf("no answer with %s within %v; the last: %s, removes %v, err %v, %+v", what, patience, ids(last), last.Removes, last.Err, last.Voices)
		}
	}
}

// names waits for an answer that names exactly these service ids, in the order of their node ids.
func (e *ear) names(want ...string) discovery.Answer {
	e.t.Helper()
	return e.await("exactly "+strings.Join(want, " "), func(a discovery.Answer) bool { return a.Err == nil && ids(a) == strings.Join(want, " ") })
}

// fails waits for an answer that is an error of this kind.
func (e *ear) fails(kind error) discovery.Answer {
	e.t.Helper()
	return e.await("error "+kind.Error(), func(a discovery.Answer) bool { return errorIs(a.Err, kind) })
}

// ids are the service ids that an answer names, without Consul node and datacenter.
func ids(a discovery.Answer) string {
	var all []string
	for _, n := range a.Nodes {
		id, _, _ := strings.Cut(string(n.ID), "@")
		all = append(all, id)
	}
	return strings.Join(all, " ")
}

// journal is a log that several goroutines write and a test reads.
type journal struct{ logbook.Book }

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// dial returns a client that is closed with the test.
func dial(t testing.TB, cfg ClientConfig) *Client {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = (&journal{}).logger()
	}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// quick returns a source whose times suit a test.
func quick(t testing.TB, cfg Config) *Source {
	t.Helper()
	if cfg.Service == "" {
		cfg.Service = "search"
	}
	if cfg.Region == "" {
		cfg.Region = "east"
	}
	if cfg.Wait == 0 {
		cfg.Wait = 2 * time.Second
	}
	if cfg.BackoffMax == 0 {
		cfg.BackoffMax = 500 * time.Millisecond
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// liar is a server that says of itself that it is Consul. A test sets what it answers with.
type liar struct {
	*httptest.Server
	mu       sync.Mutex
	answer   http.HandlerFunc
	requests []*http.Request
}

func newLiar(t testing.TB, answer http.HandlerFunc) *liar {
	l := &liar{answer: answer}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/status/leader" {
			_, _ = w.Write([]byte(`"127.0.0.1:8300"`))
			return
		}
		l.mu.Lock()
		l.requests = append(l.requests, r)
		answer := l.answer
		l.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *liar) set(answer http.HandlerFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = answer
}

// asked returns the requests for the catalog so far.
func (l *liar) asked() []*http.Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.requests)
}

// says answers at once with an index and the instances of these ids.
func says(index string, names ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Consul-Index", index)
		w.Header().Set("X-Consul-Lastcontact", "0")
		w.Header().Set("X-Consul-Knownleader", "true")
		var list []string
		for _, name := range names {
			list = append(list, `{"Node":{"Node":"n","Address":"10.0.0.1","Datacenter":"d"},"Service":{"ID":"`+name+`","Port":9001}}`)
		}
		_, _ = w.Write([]byte("[" + strings.Join(list, ",") + "]"))
	}
}

// write puts a file into a folder of the test's own.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
