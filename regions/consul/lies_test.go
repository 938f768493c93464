package consul

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/breaker"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/discovery"
)

func errorIs(err, kind error) bool { return errors.Is(err, kind) }

// hangs holds every request until its client gives up.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestIndexZeroAndBackwards(t *testing.T) {
	l := newLiar(t, says("500", "a", "b", "c", "d"))
	e := listen(t, quick(t, Config{Client: dial(t, ClientConfig{Address: l.URL})}))
	e.names("a", "b", "c", "d")
	l.set(says("7"))
	e.fails(ErrEmptied)
	n := len(l.asked())
	l.set(says("8", "a"))
	e.fails(ErrBackwards)
	if index := l.asked()[n].URL.Query().Get("index"); index != "" {
		t.Errorf("waits for index %s after the index ran backwards", index)
	}
	l.set(says("9", "a", "b"))
	if a := e.names("a", "b"); a.Removes {
		t.Error("removes while it doubts")
	}
	l.set(says("10", "b"))
	if a := e.names("b", "c", "d"); !a.Removes {
		t.Error("what is not named again yet keeps the rest from being removed")
	}
	l.set(says("11", "a", "b", "c", "d"))
	e.names("a", "b", "c", "d")
	l.set(says("12", "a", "b", "c"))
	if a := e.names("a", "b", "c"); !a.Removes {
		t.Error("does not remove once all is well")
	}
	l.set(says("0", "a", "b"))
	if a := e.names("a", "b"); a.Removes {
		t.Error("removes by an answer without an index")
	}
}

// TestAnswersAtOnceForEver: a server that never blocks is asked ten times a second at most with news, and ever less
// without.
func TestAnswersAtOnceForEver(t *testing.T) {
	for name, answer := range map[string]func(n int) http.HandlerFunc{
		"news":    func(n int) http.HandlerFunc { return says(fmt.Sprint(n+1), "a", "b") },
		"no news": func(int) http.HandlerFunc { return says("5", "a", "b") },
		"index 0": func(int) http.HandlerFunc { return says("0", "a", "b") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 0
			l := newLiar(t, nil)
			l.set(func(w http.ResponseWriter, r *http.Request) {
				n++ // one source asks one question at a time
				answer(n)(w, r)
			})
			listen(t, quick(t, Config{Client: dial(t, ClientConfig{Address: l.URL})}))
			<-time.After(1500 * time.Millisecond)
			if got := len(l.asked()); got > 17 || got < 3 || name != "news" && got > 7 {
				t.Errorf("%d requests in 1.5 s", got)
			}
		})
	}
}

func TestHangs(t *testing.T) {
	l := newLiar(t, says("5", "a", "b"))
	c := dial(t, ClientConfig{Address: l.URL, Timeout: 300 * time.Millisecond})
	e := listen(t, quick(t, Config{Client: c, Wait: time.Second, BackoffMax: 100 * time.Millisecond}))
	e.names("a", "b")
	l.set(hangs)
	began := time.Now()
	e.fails(ErrTimeout)
	t.Log("a hung server was noticed after", time.Since(began))
	n := len(l.asked())
	for range 6 {
		e.await("no answer", func(a discovery.Answer) bool {
			if errors.Is(a.Err, breaker.ErrOpen) {
				t.Error("the breaker opened though the endpoint itself answers: another datacenter's silence must not cut this one off")
			}
			return errors.Is(a.Err, ErrTimeout)
		})
	}
	if index := l.asked()[n].URL.Query().Get("index"); index != "" {
		t.Errorf("waits for index %s after a failure: it will not see at once that all is well", index)
	}
	l.set(says("5", "a", "b"))
	e.names("a", "b")
}

func TestBreaker(t *testing.T) {
	l := newLiar(t, says("5", "a"))
	c := dial(t, ClientConfig{Address: l.URL, Timeout: 300 * time.Millisecond})
	one := listen(t, quick(t, Config{Client: c}))
	two := listen(t, quick(t, Config{Client: c, Service: "other"}))
	one.names("a")
	two.names("a")
	l.Listener.Close()
	l.CloseClientConnections()
	one.fails(breaker.ErrOpen)
	two.fails(breaker.ErrOpen)
}

func TestBadAnswers(t *testing.T) {
	head := func(w http.ResponseWriter) {
		w.Header().Set("X-Consul-Index", "6")
		w.Header().Set("X-Consul-Lastcontact", "0")
		w.Header().Set("X-Consul-Knownleader", "true")
	}
	good := says("5", "a", "b", "c")
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		bad    func(discovery.Answer) bool
	}{
		"truncated": {func(w http.ResponseWriter, _ *http.Request) { head(w); _, _ = w.Write([]byte(`[{"Node":{"Node":"n"`)) }, failed("unexpected EOF")},
		"no JSON":   {func(w http.ResponseWriter, _ *http.Request) { head(w); _, _ = w.Write([]byte("<html>")) }, failed("invalid character")},
		"null":      {func(w http.ResponseWriter, _ *http.Request) { head(w); _, _ = w.Write([]byte("null")) }, failed("no instance")},
		"huge":      {huge, func(a discovery.Answer) bool { return errors.Is(a.Err, ErrTooLarge) }},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, failed("302")},
		"denied": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "rpc error: Permission denied", http.StatusForbidden)
		},
			func(a discovery.Answer) bool { return errors.Is(a.Err, ErrDenied) }},
		"no datacenter": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "No path to datacenter", http.StatusInternalServerError)
		}, failed("No path")},
		"old": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Consul-Lastcontact", "60000")
			late(says("6", "a"), "60000", "true")(w, r)
		}, func(a discovery.Answer) bool { return errors.Is(a.Err, ErrStale) }},
		"older than a number holds": {late(says("6", "a"), "99999999999999999999", "true"), func(a discovery.Answer) bool { return errors.Is(a.Err, ErrStale) }},
		"without a leader":          {late(says("6", "a"), "0", "false"), func(a discovery.Answer) bool { return errors.Is(a.Err, ErrStale) }},
		"all refused": {wrong, func(a discovery.Answer) bool {
			return a.Err == nil && strings.Contains(a.Voices[0].Said, "3 refused") && ids(a) == "a b c"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLiar(t, good)
			c := dial(t, ClientConfig{Address: l.URL})
			c.transport.limit = 1 << 20
			e := listen(t, quick(t, Config{Client: c}))
			e.names("a", "b", "c")
			l.set(tt.answer)
			a := e.await("what "+name+" comes to", tt.bad)
			if a.Removes && ids(a) != "a b c" || len(a.Voices) != 1 || len(a.Voices[0].Said) > 200 || a.Voices[0].Who != l.URL {
				t.Errorf("removes %v, voices %+v", a.Removes, a.Voices)
			}
			l.set(says("7", "a", "b", "c"))
			e.names("a", "b", "c")
		})
	}
}

// TestStreamedAnswers: an agent that answers from its own view, without leader and age, is asked again plainly.
func TestStreamedAnswers(t *testing.T) {
	l := newLiar(t, nil)
	backend := func(index string, names ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("index") == "" {
				says(index, names...)(w, r)
				return
			}
			w.Header().Set("X-Consul-Query-Backend", "streaming")
			late(says(index, names...), "0", "false")(w, r)
		}
	}
	l.set(backend("5", "a", "b", "c"))
	e := listen(t, quick(t, Config{Client: dial(t, ClientConfig{Address: l.URL})}))
	e.names("a", "b", "c")
	l.set(backend("6", "a", "b"))
	if a := e.names("a", "b"); !a.Removes {
		t.Error("does not remove")
	}
}

func failed(text string) func(discovery.Answer) bool {
	return func(a discovery.Answer) bool { return a.Err != nil && strings.Contains(a.Err.Error(), text) }
}

// late overwrites what an answer says of its age.
func late(answer http.HandlerFunc, contact, leader string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer(headerWriter{w, map[string]string{"X-Consul-Lastcontact": contact, "X-Consul-Knownleader": leader}}, r)
	}
}

type headerWriter struct {
	http.ResponseWriter
	set map[string]string
}

func (h headerWriter) Write(p []byte) (int, error) {
	for key, value := range h.set {
		h.Header().Set(key, value)
	}
	return h.ResponseWriter.Write(p)
}

// huge answers with a list that never ends.
func huge(w http.ResponseWriter, r *http.Request) {
	piece := []byte(strings.Repeat(" ", 1<<20))
	_, _ = w.Write([]byte("["))
	for r.Context().Err() == nil {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

// wrong names what was known with a meta that nothing can be made of.
func wrong(w http.ResponseWriter, r *http.Request) {
	says("6", "a", "b", "c")(&replacer{w}, r)
}

type replacer struct{ http.ResponseWriter }

func (w *replacer) Write(p []byte) (int, error) {
	_, err := w.ResponseWriter.Write([]byte(strings.ReplaceAll(string(p), `"Port":9001`, `"Port":9001,"Meta":{"quorate-spki-sha256":"zz"}`)))
	return len(p), err
}

// TestNewcomersInSpiteOfAnError: a service that is replaced as a whole is an error, and its new nodes are proposed.
func TestNewcomersInSpiteOfAnError(t *testing.T) {
	l := newLiar(t, says("5", "a", "b", "c"))
	e := listen(t, quick(t, Config{Client: dial(t, ClientConfig{Address: l.URL})}))
	e.names("a", "b", "c")
	l.set(says("6", "x", "y", "z"))
	if a := e.names("x", "y", "z"); a.Removes {
		t.Error("removes")
	}
	e.fails(ErrShrunk)
}

// TestKnownFromDisk: what was deregistered while the process was down is kept, and everything else goes on as ever.
func TestKnownFromDisk(t *testing.T) {
	var known []regions.Proposal
	for _, name := range []string{"a", "b", "z"} {
		known = append(known, regions.Proposal{ID: regions.NodeID(name + "@n.d"), Service: "search", URL: "http://10.0.0.1:9001/mcp", Region: "east", Source: Name, Weight: 1})
	}
	l := newLiar(t, says("5", "a", "b"))
	e := listen(t, quick(t, Config{Client: dial(t, ClientConfig{Address: l.URL}), Known: known}))
	if a := e.names("a", "b"); a.Removes || !strings.Contains(a.Voices[0].Said, "1 kept") {
		t.Errorf("removes %v, said %q", a.Removes, a.Voices[0].Said)
	}
	l.set(says("6", "a"))
	if a := e.names("a", "z"); !a.Removes || a.Nodes[1] != known[2] {
		t.Errorf("removes %v, nodes %+v", a.Removes, a.Nodes)
	}
}

// TestTokenIsNotTold: a server that repeats the token does not get it into errors or voices.
func TestTokenIsNotTold(t *testing.T) {
	const secret = "c2f0e3a1-secret"
	file := write(t, "token", secret+"\n")
	l := newLiar(t, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no such token: "+r.Header.Get("X-Consul-Token"), http.StatusForbidden)
	})
	var log journal
	e := listen(t, quick(t, Config{Client: dial(t, ClientConfig{Address: l.URL, TokenFile: file, Logger: log.logger()})}))
	a := e.fails(ErrDenied)
	if said := a.Err.Error() + a.Voices[0].Said + log.String(); strings.Contains(said, secret) || !strings.Contains(said, "[token]") {
		t.Errorf("told: %s", said)
	}
}

// TestEnvironmentIsNotAsked: what the environment says of Consul is for other programs.
func TestEnvironmentIsNotAsked(t *testing.T) {
	for key, value := range map[string]string{
		"CONSUL_HTTP_ADDR": "127.0.0.1:1", "CONSUL_HTTP_TOKEN": "env", "CONSUL_NAMESPACE": "env", "CONSUL_PARTITION": "env",
		"CONSUL_HTTP_TOKEN_FILE": "/nowhere", "CONSUL_HTTP_SSL": "true", "HTTP_PROXY": "http://127.0.0.1:1",
	} {
		t.Setenv(key, value)
	}
	l := newLiar(t, says("5", "a"))
	e := listen(t, quick(t, Config{Client: dial(t, ClientConfig{Address: l.URL + "/behind/", Partition: "p"})}))
	l.set(says("5", "a"))
	e.names("a")
	r := l.asked()[0]
	q := r.URL.Query()
	if r.Header.Get("X-Consul-Token") != "" || q.Has("ns") || q.Get("partition") != "p" || r.URL.Path != "/behind/v1/health/service/search" || !q.Has("stale") {
		t.Errorf("asked %s with token %q", r.URL, r.Header.Get("X-Consul-Token"))
	}
}
