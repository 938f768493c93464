package events

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

func ring(t *testing.T, size int) *Ring {
	t.Helper()
	r, err := New(size, func() time.Time { return time.Unix(5, 0) })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func fill(r *Ring, n int) {
	for i := range n {
		r.Add("suspected", "gw-1", fmt.Sprint(i+1))
	}
}

func TestAfter(t *testing.T) {
	for _, tc := range []struct {
		added       int
		after       uint64
		first, last uint64 // of the events returned; 0: none
		missed      uint64
	}{
		{0, 0, 0, 0, 0},
		{0, 7, 0, 0, 0},
		{3, 0, 1, 3, 0},
		{3, 2, 3, 3, 0},
		{3, 3, 0, 0, 0},
		{4, 0, 1, 4, 0},
		{5, 0, 2, 5, 1},
		{5, 1, 2, 5, 0},
		{11, 0, 8, 11, 7},
		{11, 5, 8, 11, 2},
		{11, 10, 11, 11, 0},
		{11, 12, 8, 11, 7}, // of an earlier process
		{11, 1<<64 - 1, 8, 11, 7},
	} {
		r := ring(t, 4)
		fill(r, tc.added)
		p := r.After(tc.after)
		if p.Missed != tc.missed || p.Last != uint64(tc.added) {
			t.Errorf("%d added, after %d: missed %d, last %d", tc.added, tc.after, p.Missed, p.Last)
		}
		want := tc.first
		for _, e := range p.Events {
			if e.Seq != want || e.Text != fmt.Sprint(want) {
				t.Errorf("%d added, after %d: %+v, want number %d", tc.added, tc.after, e, want)
			}
			want++
		}
		if n := len(p.Events); n > 0 && p.Events[n-1].Seq != tc.last || (n == 0) != (tc.first == 0) {
			t.Errorf("%d added, after %d: %d events, last should be %d", tc.added, tc.after, n, tc.last)
		}
	}
}

func TestBounds(t *testing.T) {
	for _, size := range []int{-1, 0, Most + 1} {
		if _, err := New(size, nil); err == nil {
			t.Errorf("a ring of %d", size)
		}
	}
	r := ring(t, 2)
	r.Add("forced", strings.Repeat("ä", 300), "a\x1b[31m\nb\u0085"+strings.Repeat("\xff", 2000))
	e := r.After(0).Events[0]
	if len(e.Gateway) > maxGateway || len(e.Text) > maxText || !utf8.ValidString(e.Gateway) || !utf8.ValidString(e.Text) {
		t.Errorf("%d and %d bytes", len(e.Gateway), len(e.Text))
	}
	if strings.ContainsAny(e.Text, "\x1b\n\u0085") {
		t.Errorf("control characters got through: %q", e.Text[:10])
	}
}

// What a reader holds stays as it was, whatever is added meanwhile, and numbers have no gaps.
func TestReadersAndWriters(t *testing.T) {
	r := ring(t, 64)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { fill(r, 5000) })
		all.Go(func() {
			var seq uint64
			for seq < 15000 {
				p := r.After(seq)
				for i, e := range p.Events {
					if want := seq + p.Missed + uint64(i) + 1; e.Seq != want || e.Kind != "suspected" {
						t.Errorf("event %+v, want number %d", e, want)
						return
					}
				}
				seq = p.Last
			}
		})
	}
	all.Wait()
	if p := r.After(0); p.Last != 20000 || len(p.Events) != 64 || p.Missed != 20000-64 {
		t.Errorf("last %d, %d kept, %d missed", p.Last, len(p.Events), p.Missed)
	}
}
