package consul

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// reads is one answer in a script: the names as single letters, e.g. "abc", and what the verdict must be.
type reads struct {
	index uint64
	names string
	want  string // "ok", "removes " and what, "emptied", "backwards", "shrunk" or "stale"
	how   string // "old": not fresh; "part": ACLs held something back
	after time.Duration
}

const holdInTests = time.Minute

// said is the verdict in words, with the known instances that an answer removes.
func said(m memory, v verdict) string {
	switch {
	case errors.Is(v.err, ErrEmptied):
		return "emptied"
	case errors.Is(v.err, ErrBackwards):
		return "backwards"
	case errors.Is(v.err, ErrShrunk):
		return "shrunk"
	case errors.Is(v.err, ErrStale):
		return "stale"
	case v.removes:
		return "removes " + strings.Join(minus(m.known, v.next.known), "")
	}
	return "ok"
}

func TestJudge(t *testing.T) {
	for name, script := range map[string][]reads{
		"the first answer removes nothing, the next may": {
			{10, "abc", "ok", "", 0}, {11, "ab", "removes c", "", 0}, {12, "abd", "removes ", "", 0},
		},
		"what an unchanged index misses is kept until named again": {
			{10, "abc", "ok", "", 0}, {10, "ab", "ok", "", 0}, {11, "a", "removes b", "", 0}, {12, "abc", "removes ", "", 0}, {13, "ab", "removes c", "", 0},
		},
		"emptied and back in steps": {
			{10, "abcdef", "ok", "", 0}, {11, "", "emptied", "", 0}, {12, "a", "shrunk", "", 0}, {13, "abcd", "removes ", "", 0},
			{14, "abd", "removes c", "", 0}, {15, "abdef", "removes ", "", 0}, {16, "abde", "removes f", "", 0},
		},
		"restarted with an empty catalog": {
			{500, "abcdef", "ok", "", 0}, {0, "", "emptied", "", 0}, {7, "", "emptied", "", 0}, {8, "a", "backwards", "", 0},
			{9, "abc", "ok", "", 0}, {10, "abcd", "removes ", "", 0}, {11, "abcdef", "removes ", "", 0}, {12, "bcdef", "removes a", "", 0},
		},
		"a lagging server goes back and names all: nothing is missing": {
			{500, "abc", "ok", "", 0}, {499, "abc", "ok", "", 0}, {501, "ab", "removes c", "", 0},
		},
		"a lagging server goes back and misses one": {
			{500, "abc", "ok", "", 0}, {499, "ab", "ok", "", 0}, {501, "abc", "removes ", "", 0}, {502, "bc", "removes a", "", 0},
		},
		"shrunk: over half and over two": {
			{10, "abcdef", "ok", "", 0}, {11, "ab", "shrunk", "", 0}, {12, "abcdef", "removes ", "", 0}, {13, "abc", "removes def", "", 0},
		},
		"two of three may leave at once": {
			{10, "abc", "ok", "", 0}, {11, "a", "removes bc", "", 0},
		},
		"a service replaced as a whole is an error and known from then on": {
			{10, "abc", "ok", "", 0}, {11, "def", "shrunk", "", 0}, {12, "def", "removes ", "", 0}, {13, "abcdef", "removes ", "", 0}, {14, "def", "removes abc", "", 0},
		},
		"an error that holds is taken": {
			{10, "abcdef", "ok", "", 0}, {11, "a", "shrunk", "", 0}, {11, "a", "shrunk", "", holdInTests - 1},
			{11, "a", "ok", "", 1}, {12, "ab", "removes ", "", 0}, {13, "b", "removes a", "", 0},
		},
		"what interrupts a hold begins it anew": {
			{10, "abcdef", "ok", "", 0}, {11, "a", "shrunk", "", 0}, {12, "", "emptied", "", holdInTests - 1},
			{13, "a", "shrunk", "", holdInTests - 1}, {13, "a", "stale", "old", 1}, {13, "a", "shrunk", "", holdInTests - 1}, {13, "a", "ok", "", 1},
		},
		"so does an index that falls": {
			{500, "abcdef", "ok", "", 0}, {501, "a", "shrunk", "", 0}, {490, "a", "backwards", "", holdInTests - 1}, {491, "a", "backwards", "", 1},
			{492, "a", "ok", "", holdInTests - 1},
		},
		"so does emptiness that goes on": {
			{10, "abcdef", "ok", "", 0}, {11, "", "emptied", "", 0}, {12, "", "emptied", "", holdInTests - 1}, {13, "a", "shrunk", "", 1},
		},
		"an answer that loses more is not taken for one that held": {
			{10, "abcd", "ok", "", 0}, {10, "abc", "ok", "", 0}, {11, "a", "removes bc", "", holdInTests},
		},
		"each that becomes unsure begins it anew": {
			{10, "abcd", "ok", "", 0}, {10, "abc", "ok", "", 0}, {10, "ab", "ok", "", holdInTests - 1},
			{11, "abe", "removes ", "", 1}, {12, "ab", "removes e", "", holdInTests - 2}, {12, "ab", "ok", "", 1}, {13, "ab", "removes ", "", 0},
		},
		"what stays missing does not count as lost again and again": {
			{10, "abcdef", "ok", "", 0}, {10, "abc", "ok", "", 0}, {11, "ab", "removes c", "", 0}, {12, "ag", "removes b", "", 0}, {13, "abcdefg", "removes ", "", 0},
			{14, "ab", "shrunk", "", 0},
		},
		"empty never holds": {
			{10, "abc", "ok", "", 0}, {11, "", "emptied", "", 0}, {11, "", "emptied", "", 10 * holdInTests}, {12, "", "emptied", "", 10 * holdInTests},
		},
		"a stale answer says nothing": {
			{10, "abc", "ok", "", 0}, {11, "ab", "stale", "old", 0}, {12, "ab", "removes c", "", 0},
		},
		"what ACLs hold back is not gone": {
			{10, "abc", "ok", "", 0}, {11, "ab", "ok", "part", 0}, {12, "ab", "ok", "part", 2 * holdInTests}, {13, "ab", "removes ", "", 0},
			{14, "abc", "removes ", "", 0}, {15, "ab", "removes c", "", 0},
		},
		"no index, no removal": {
			{10, "abc", "ok", "", 0}, {0, "abc", "ok", "", 0}, {0, "ab", "ok", "", 0}, {11, "ab", "ok", "", 0}, {12, "a", "removes b", "", 0},
		},
		"nothing to begin with": {
			{1, "", "emptied", "", 0}, {5, "a", "ok", "", 0}, {6, "ab", "removes ", "", 0}, {7, "b", "removes a", "", 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var m memory
			now := time.Unix(1000, 0)
			for i, r := range script {
				now = now.Add(r.after)
				v := judge(m, reading{r.index, strings.Split(r.names, "")[:len(r.names)], r.how != "old", r.how != "part", now}, holdInTests)
				if said(m, v) != r.want {
					t.Fatalf("answer %d (%d %q): %q, want %q; memory %+v", i, r.index, r.names, said(m, v), r.want, m)
				}
				m = v.next
			}
		})
	}
}

// TestKnownFromBefore: a deregistration from while this process was down keeps nothing else from being deregistered.
func TestKnownFromBefore(t *testing.T) {
	ids := []string{"a", "b", "c", "d", "e"}
	m := memory{known: ids, unsure: ids}
	now := time.Unix(1000, 0)
	for i, r := range []reads{{10, "a", "shrunk", "", 0}, {11, "abcd", "ok", "", 0}, {12, "abc", "removes d", "", 0}, {13, "ab", "removes c", "", 0}, {13, "ab", "ok", "", holdInTests}} {
		now = now.Add(r.after)
		v := judge(m, reading{r.index, strings.Split(r.names, ""), true, true, now}, holdInTests)
		if said(m, v) != r.want {
			t.Fatalf("answer %d: %q, want %q", i, said(m, v), r.want)
		}
		m = v.next
	}
	if len(m.known) != 2 {
		t.Errorf("known in the end: %v", m.known)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := memory{}
	for i := range 25 {
		ids := make([]string, 10_000)
		for j := range ids {
			ids[j] = fmt.Sprintf("%04d-%05d", i, j)
		}
		m = judge(m, reading{uint64(i + 1), ids, true, true, time.Unix(1000, 0)}, holdInTests).next
	}
	if len(m.known) > maxKnown || len(m.known) < 100_000 {
		t.Errorf("%d ids are known", len(m.known))
	}
}

// FuzzJudge makes a row of answers out of bytes, four each, and holds every verdict to what the rules promise.
func FuzzJudge(f *testing.F) {
	f.Add([]byte{10, 0xff, 3, 0, 11, 0x0f, 3, 1, 9, 0xff, 3, 1, 12, 0, 3, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		var m memory
		now := time.Unix(1000, 0)
		for ; len(script) >= 4 && len(script) < 4000; script = script[4:] {
			var ids []string
			for bit := range 8 {
				if script[1]>>bit&1 == 1 {
					ids = append(ids, string(rune('a'+bit)))
				}
			}
			now = now.Add(time.Duration(script[3]) * time.Second)
			r := reading{uint64(script[0]), ids, script[2]&1 == 1, script[2]&2 == 2, now}
			v := judge(m, r, holdInTests)
			promises(t, m, r, v)
			m = v.next
		}
	})
}

func promises(t *testing.T, m memory, r reading, v verdict) {
	t.Helper()
	gone := minus(m.known, v.next.known)
	held := len(m.unsure) > 0 && r.at.Sub(m.doubt) >= holdInTests
	switch {
	case v.removes && (v.err != nil || len(r.ids) == 0 || !r.fresh || !r.whole || m.index == 0 || r.index <= m.index):
		t.Fatalf("removes for no good reason: %+v after %+v", r, m)
	case v.removes && mostOf(len(gone), len(m.known)-len(m.unsure)):
		t.Fatalf("removes most at once: %+v after %+v", r, m)
	case v.removes && len(minus(m.unsure, minus(m.unsure, gone))) > 0:
		t.Fatalf("removes what is unsure: %+v after %+v: %v", r, m, gone)
	case !v.removes && (!held || v.err != nil) && len(gone) > 0:
		t.Fatalf("forgets without a removal: %+v after %+v: %+v", r, m, v.next)
	case !v.removes && len(minus(gone, m.unsure)) > 0:
		t.Fatalf("forgets what was sure: %+v after %+v: %+v", r, m, v.next)
	case len(minus(r.ids, v.next.known)) > 0 || len(minus(v.next.unsure, v.next.known)) > 0:
		t.Fatalf("does not know what was named: %+v after %+v: %+v", r, m, v.next)
	case !slices.IsSorted(v.next.known) || len(slices.Compact(slices.Clone(v.next.known))) != len(v.next.known):
		t.Fatalf("not a sorted set: %v", v.next.known)
	case len(r.ids) == 0 && !errors.Is(v.err, ErrEmptied), !r.fresh && v.err == nil:
		t.Fatalf("takes what is empty or stale: %+v", r)
	case (len(v.next.unsure) == 0) != v.next.doubt.IsZero():
		t.Fatalf("doubt without a reason, or none with one: %+v", v.next)
	}
}

func TestPace(t *testing.T) {
	var p pace
	var row []time.Duration
	for range 8 {
		var d time.Duration
		d, p = p.failed(100*time.Millisecond, 5*time.Second)
		row = append(row, d)
	}
	if fmt.Sprint(row) != "[100ms 200ms 400ms 800ms 1.6s 3.2s 5s 5s]" {
		t.Errorf("failures: %v", row)
	}
	d, p := p.news(time.Millisecond)
	if d != minGap || p != (pace{}) {
		t.Errorf("news: %v, %+v", d, p)
	}
	if d, _ = p.news(time.Minute); d != maxWorkGap {
		t.Errorf("news that took a minute to take in: %v", d)
	}
	row = nil
	for range 8 {
		d, p = p.silent(false)
		row = append(row, d)
	}
	if fmt.Sprint(row) != "[100ms 200ms 400ms 800ms 1.6s 3.2s 5s 5s]" {
		t.Errorf("a server that does not block: %v", row)
	}
	if d, p = p.silent(true); d != minGap || p != (pace{}) {
		t.Errorf("a server that blocks: %v", d)
	}
	if low, high := jittered(time.Second, 0), jittered(time.Second, 0.999); low != time.Second || high <= 1490*time.Millisecond || high > 1500*time.Millisecond {
		t.Errorf("jitter %v..%v", low, high)
	}
}
