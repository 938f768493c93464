package dns

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/quorate/quorate/regions/discovery"
)

// piped is a network without sockets, for fake time: every resolver replies from reply, or not at all.
type piped struct {
	t       testing.TB
	queries atomic.Int64
	dials   atomic.Int64

	mu     sync.Mutex
	reply  func(q *miekg.Msg) *miekg.Msg // nil: silence
	refuse bool
}

// become changes what the resolvers do from now on.
func (p *piped) become(reply func(q *miekg.Msg) *miekg.Msg, refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reply, p.refuse = reply, refuse
}

func (p *piped) dial(_ context.Context, network, _ string) (net.Conn, error) {
	p.dials.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse || network != "udp" {
		return nil, syscall.ECONNREFUSED
	}
	ours, theirs := net.Pipe()
	go p.serve(theirs, p.reply)
	return ours, nil
}

func (p *piped) serve(conn net.Conn, reply func(q *miekg.Msg) *miekg.Msg) {
	defer conn.Close()
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		p.queries.Add(1)
		q := new(miekg.Msg)
		if err := q.Unpack(buf[:n]); err != nil {
			p.t.Error(err)
		}
		if reply == nil {
			continue
		}
		out, err := reply(q).Pack()
		if err != nil {
			p.t.Error(err)
		}
		_, _ = conn.Write(out)
	}
}

func answering(t testing.TB, z zone) func(q *miekg.Msg) *miekg.Msg {
	records := z.read(t)
	return func(q *miekg.Msg) *miekg.Msg { return reply(records, q) }
}

func coding(code int) func(q *miekg.Msg) *miekg.Msg {
	return func(q *miekg.Msg) *miekg.Msg {
		m := reply(nil, q)
		m.Rcode = code
		return m
	}
}

// emission is one answer and when it came.
type emission struct {
	at time.Duration
	discovery.Answer
}

// running runs a source on p until its stop is called, which returns what it emitted since the last call of since.
func running(t *testing.T, p *piped, change func(*Config)) (since func() []emission, stop func()) {
	c := base("192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53")
	seed := rand.Uint64()
	t.Logf("seed of the jitter: %d", seed)
	c.dial, c.Timeout, c.Tries, c.random = p.dial, 2*time.Second, 2, rand.New(rand.NewPCG(seed, 0)).Float64
	if change != nil {
		change(&c)
	}
	s, began := source(t, c), time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	done, emitted := make(chan error, 1), []emission{}
	go func() {
		done <- s.Run(ctx, func(a discovery.Answer) {
			mu.Lock()
			defer mu.Unlock()
			emitted = append(emitted, emission{time.Since(began), a})
		})
	}()
	since = func() []emission {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		all := emitted
		emitted = nil
		return all
	}
	return since, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v at the end of its context", err)
		}
	}
}

// An hour in which every resolver fails: nothing that was known is taken back, the questions stay few, and the set is
// there again soon after.
func TestAnHourOfTotalFailure(t *testing.T) {
	for _, f := range []struct {
		name  string
		fail  func(p *piped)
		err   error
		limit int64 // of queries, by all three resolvers, in the hour
	}{
		{"silence", func(p *piped) { p.become(nil, false) }, ErrUnanswered, 500},
		{"nothing listens", func(p *piped) { p.become(nil, true) }, ErrUnanswered, 0},
		{"SERVFAIL", func(p *piped) { p.become(coding(miekg.RcodeServerFailure), false) }, ErrServFail, 500},
		{"NXDOMAIN", func(p *piped) { p.become(answering(p.t, nil), false) }, ErrNXDomain, 500},
		{"empty", func(p *piped) { p.become(answering(p.t, zone{asked + " 60 IN TXT x"}), false) }, ErrEmpty, 500},
	} {
		t.Run(f.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &piped{t: t, reply: answering(t, truth)}
				since, stop := running(t, p, nil)
				time.Sleep(time.Second)
				first := since()
				if len(first) != 1 || !slices.Equal(ids(first[0].Answer), both) {
					t.Fatalf("before the outage: %+v", first)
				}
				f.fail(p)
				before, dials := p.queries.Load(), p.dials.Load()
				time.Sleep(time.Hour)
				queries, attempts := p.queries.Load()-before, p.dials.Load()-dials
				failures := since()
				for _, e := range failures {
					if !errors.Is(e.Err, f.err) || e.Removes || len(e.Nodes) != 0 {
						t.Fatalf("after %v: %+v", e.at, e.Answer)
					}
				}
				p.become(answering(t, truth), false)
				healed := time.Now()
				var again []emission
				for len(again) == 0 || again[len(again)-1].Err != nil {
					time.Sleep(time.Second)
					again = append(again, since()...)
				}
				back := time.Since(healed)
				stop()
				t.Logf("verdict: 1 h of %s: %d answers, each %v, none removes anything; %d queries of 3 resolvers in %d attempts; back after %v",
					f.name, len(failures), f.err, queries, attempts, back)
				if queries > f.limit || attempts > 1000 || len(failures) < 30 || back > 2*time.Minute {
					t.Errorf("%d queries (limit %d), %d attempts, %d answers, back after %v", queries, f.limit, attempts, len(failures), back)
				}
			})
		})
	}
}

// The time to the next question follows the answer's time to live within its bounds.
func TestTimeToLive(t *testing.T) {
	live := func(seconds string) zone {
		return zone{
			asked + " " + seconds + " IN SRV 1 10 8443 n1.search.example.com.",
			"n1.search.example.com. 3600 IN A 127.0.0.11",
		}
	}
	for _, l := range []struct {
		name, ttl string
		low, high time.Duration
	}{
		{"zero", "0", 5 * time.Second, 5500 * time.Millisecond},
		{"shorter than the floor", "3", 5 * time.Second, 5500 * time.Millisecond},
		{"between", "60", time.Minute, 66 * time.Second},
		{"huge", "2147483647", 5 * time.Minute, 330 * time.Second},
		{"negative (RFC 2181 section 8)", "4294967295", 5 * time.Second, 5500 * time.Millisecond},
	} {
		t.Run(l.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				since, stop := running(t, &piped{t: t, reply: answering(t, live(l.ttl))}, nil)
				time.Sleep(time.Hour)
				all := since()
				stop()
				for i := 1; i < len(all); i++ {
					if gap := all[i].at - all[i-1].at; gap < l.low || gap > l.high {
						t.Fatalf("asked again after %v, want %v..%v", gap, l.low, l.high)
					}
				}
				t.Logf("verdict: a ttl of %s s: %d rounds in 1 h, the first gap %v", l.ttl, len(all), all[1].at-all[0].at)
			})
		})
	}
}

// Two of three resolvers agree on an ever changing set: every answer is a whole set, and none removes anything.
func TestFlappingSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var round atomic.Int64
		first := truth.read(t)
		other := truth.with(asked+" 60 IN SRV 1 10 8443 n3.search.example.com.", "n3.search.example.com. 60 IN A 127.0.0.13").read(t)
		p := &piped{t: t, reply: func(q *miekg.Msg) *miekg.Msg {
			if round.Load()%2 == 0 {
				return reply(first, q)
			}
			return reply(other, q)
		}}
		since, stop := running(t, p, nil)
		defer stop()
		seen := map[string]int{}
		for range 20 {
			time.Sleep(70 * time.Second)
			for _, e := range since() {
				if e.Err != nil || e.Removes {
					t.Fatalf("%+v", e.Answer)
				}
				seen[string(e.Nodes[len(e.Nodes)-1].ID)]++
			}
			round.Add(1)
		}
		t.Logf("verdict: flapping sets: %v, none removes anything", seen)
		if seen["n2:8443@127.0.0.12"] == 0 || seen["n3:8443@127.0.0.13"] == 0 {
			t.Errorf("sets seen: %v", seen)
		}
	})
}

// A silent resolver costs its timeout only until its circuit opens, and is asked again later.
func TestASilentResolverCostsNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &piped{t: t, reply: answering(t, truth)}
		silent := &piped{t: t}
		since, stop := running(t, p, func(c *Config) {
			c.Ceiling = 10 * time.Second
			c.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if address == "192.0.2.3:53" {
					return silent.dial(ctx, network, address)
				}
				return p.dial(ctx, network, address)
			}
		})
		defer stop()
		time.Sleep(10 * time.Minute)
		slow, notAsked := 0, 0
		all := since()
		for _, e := range all {
			if e.Err != nil || !slices.Equal(ids(e.Answer), both) {
				t.Fatalf("%+v", e.Answer)
			}
			if e.Voices[2].Took > 0 {
				slow++
			}
			if e.Voices[2].Said == errNotAsked.Error() {
				notAsked++
			}
		}
		t.Logf("verdict: %d rounds in 10 min, %d waited for the silent resolver, in %d it was not asked; %d queries", len(all), slow, notAsked, silent.queries.Load())
		if notAsked == 0 || slow > 25 || slow+notAsked != len(all) {
			t.Errorf("%d of %d rounds were slow", slow, len(all))
		}
		silent.become(answering(t, truth), false)
		time.Sleep(time.Minute)
		all = since()
		if last := all[len(all)-1]; !last.Voices[2].Agree {
			t.Errorf("a minute after it is back: %+v", last.Voices[2])
		}
	})
}

func TestRunEndsInTheMiddleOfAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &piped{t: t}
		since, stop := running(t, p, nil)
		time.Sleep(time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took != 0 {
			t.Errorf("Run ended %v after its context", took)
		}
		if e := since(); len(e) != 0 {
			t.Errorf("it emitted what it did not learn: %+v", e)
		}
	})
}

// Whoever gives up asking says nothing about the resolver.
func TestGivingUpOpensNoCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &piped{t: t}
		c := base("192.0.2.1:53", "192.0.2.2:53")
		c.dial, c.Timeout = p.dial, time.Minute
		s := source(t, c)
		for range 2 * silentQueries {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			go func() { time.Sleep(time.Second / 2); cancel() }()
			s.Ask(ctx)
		}
		if got := s.resolvers[0].breaker.State(); got != "closed" {
			t.Errorf("its circuit is %s", got)
		}
	})
}

func TestPaceAfterFailures(t *testing.T) {
	c, err := base("192.0.2.1:53").complete()
	if err != nil {
		t.Fatal(err)
	}
	c.random = func() float64 { return 1 }
	var p pace
	var waits []time.Duration
	for range 9 {
		var wait time.Duration
		wait, p = p.next(false, 0, c)
		waits = append(waits, wait/time.Second)
	}
	if want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60}; !slices.Equal(waits, want) {
		t.Errorf("waits %v s, want %v", waits, want)
	}
	if _, p = p.next(true, time.Minute, c); p.backoff != 0 {
		t.Errorf("backoff %v after a success", p.backoff)
	}
	c.random = func() float64 { return 0 }
	if wait, _ := p.next(false, 0, c); wait != time.Second/2 {
		t.Errorf("the least first wait is %v", wait)
	}
}
