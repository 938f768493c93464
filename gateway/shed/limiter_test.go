package shed

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var start = time.Unix(1_000_000, 0)

// fill admits requests of kind k until one is refused.
func fill(l *Limiter, k Kind, foreign bool) (tickets []Ticket, why string) {
	for {
		ticket, refused := l.Admit(start, k, foreign)
		if refused != "" {
			return tickets, refused
		}
		tickets = append(tickets, ticket)
	}
}

// Slow traffic fills a part, medium more, fast everything, and control goes beyond.
func TestClassesFillTheirShares(t *testing.T) {
	l := limiter(t, Config{Max: 100, Reserve: 5})
	var all []Ticket
	for _, tc := range []struct {
		kind  Kind
		total int
		why   string
	}{{Slow, 70, ClassFull}, {Medium, 90, ClassFull}, {Fast, 100, Full}, {Control, 105, Full}} {
		got, why := fill(l, tc.kind, false)
		if all = append(all, got...); len(all) != tc.total || why != tc.why {
			t.Errorf("kind %d: %d in flight, %q; want %d, %q", tc.kind, len(all), why, tc.total, tc.why)
		}
	}
	for _, ticket := range all {
		ticket.Done(start, 1, true)
	}
	if f := l.Figures(); f.InFlight != 0 || f.Foreign != 0 || f.Admitted[Slow] != 70 || f.Shed[Slow] != 1 {
		t.Errorf("%+v", f)
	}
}

func TestForeignTrafficIsBounded(t *testing.T) {
	for _, tc := range []struct{ declared, want int }{{30, 30}, {0, 80}} {
		l := limiter(t, Config{Max: 100, ForeignMax: tc.declared})
		got, why := fill(l, Fast, true)
		if len(got) != tc.want || why != ForeignFull {
			t.Errorf("declared %d: %d, %q", tc.declared, len(got), why)
		}
		if _, why := l.Admit(start, Fast, false); why != "" {
			t.Errorf("the region's own request was refused: %q", why)
		}
		got[0].Done(start, 1, false)
		if _, why := l.Admit(start, Fast, true); why != "" {
			t.Errorf("a freed place was refused: %q", why)
		}
	}
}

// Nothing is lost, whatever runs at one time; the bounds hold.
func TestTicketsAreConserved(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	l := limiter(t, Config{Adaptive: true, Max: 50, Initial: 20, Min: 5, Reserve: 3})
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			r, now := rand.New(rand.NewPCG(seed, g)), start
			var held []Ticket
			for range 20_000 {
				now = now.Add(time.Duration(r.IntN(2000)) * time.Microsecond)
				if len(held) > 0 && r.IntN(2) == 0 {
					held[0].Done(now, r.Uint64N(5), r.IntN(4) > 0)
					held = held[1:]
				} else if ticket, why := l.Admit(now, Kind(r.IntN(int(Kinds))), r.IntN(3) == 0); why == "" {
					held = append(held, ticket)
				}
				if f := l.Figures(); f.InFlight < 0 || f.Foreign < 0 || f.Limit < 5 || f.Limit > 50 {
					t.Errorf("%+v", f)
					return
				}
			}
			for _, ticket := range held {
				ticket.Done(now, 1, true)
			}
		})
	}
	wg.Wait()
	if f := l.Figures(); f.InFlight != 0 || f.Foreign != 0 {
		t.Errorf("%d in flight, %d foreign at the end", f.InFlight, f.Foreign)
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	l := limiter(t, Config{Max: 1})
	for k := range Kinds {
		for range 100 {
			if d := l.RetryAfter(k, rand.Uint64()); d < 100*time.Millisecond || d > 10*time.Second {
				t.Fatalf("kind %d: %s", k, d)
			}
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []Config{{Max: -1}, {Min: 9, Max: 5}, {Initial: 1, Min: 2}, {Reserve: -1}, {ForeignMax: -1}, {Tolerance: 0.5}, {Window: 1}, {Slack: -1}, {Shares: [3]float64{1, 2, 1}}} {
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestAdmissionAllocatesNothing(t *testing.T) {
	l := limiter(t, Config{Adaptive: true})
	now := start
	if n := testing.AllocsPerRun(1000, func() {
		ticket, _ := l.Admit(now, Fast, false)
		now = now.Add(time.Millisecond)
		ticket.Done(now, 1, true)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdmission(b *testing.B) {
	l := limiter(b, Config{Adaptive: true})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ticket, why := l.Admit(start, Fast, false)
			if why == "" {
				ticket.Done(start, 1, true)
			}
		}
	})
}

// A pool that grows is given what its new nodes can bear, within the operator's bound; a fixed limit stays.
func TestGrow(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  Config
		by   int
		want int64
	}{
		"three more nodes": {Config{Adaptive: true, Max: 1000}, 3 * PerNode, 4 * PerNode},
		"beyond max":       {Config{Adaptive: true, Max: 50}, 3 * PerNode, 50},
		"nothing":          {Config{Adaptive: true, Max: 1000}, -PerNode, PerNode},
		"not learned":      {Config{Max: 100}, PerNode, 100},
	} {
		l, err := New(tc.cfg)
		if err != nil {
			t.Fatal(err)
		}
		l.Grow(tc.by)
		if got := l.Figures().Limit; got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}
