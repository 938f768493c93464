package listen

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQueue(t *testing.T) {
	for _, tc := range []struct {
		name               string
		push               string // key/raw, a leading dash is no key
		items, bytes       int
		want               string
		coalesced, dropped int
	}{
		{"in order", "-/1 -/2 a/3", 9, 99, "1 2 3", 0, 0},
		{"one key, one event, the newest", "a/1 b/2 a/3", 9, 99, "3 2", 1, 0},
		{"no key is never coalesced", "-/1 -/1", 9, 99, "1 1", 0, 0},
		{"full by count", "-/1 a/2 b/3 -/4", 3, 99, "2 3 4", 0, 1},
		{"full, but the key is there", "a/1 b/2 c/3 b/4", 3, 99, "1 4 3", 1, 0},
		{"full by bytes", "-/123 a/456 -/78", 9, 6, "456 78", 0, 1},
		{"full by bytes as an event grows", "-/123 a/4 a/4567", 9, 6, "4567", 1, 1},
		{"larger than all", "-/1 -/12345678", 9, 6, "12345678", 0, 1},
		{"keys after drops", "-/1 a/2 b/3 c/4 a/5 b/6", 3, 99, "5 6 4", 2, 1},
		{"a dropped key comes again", "a/1 b/2 c/3 a/4 b/5", 2, 99, "4 5", 0, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := queue{maxItems: tc.items, maxBytes: tc.bytes}
			var batch []item
			for range 2 { // the second round is on used slices and maps
				coalesced, dropped := 0, 0
				for p := range strings.FieldsSeq(tc.push) {
					key, raw, _ := strings.Cut(p, "/")
					c, d := q.push(item{raw: []byte(raw), key: strings.TrimPrefix(key, "-")})
					coalesced, dropped = coalesced+c, dropped+d
				}
				var got []string
				batch = q.take(batch)
				for _, it := range batch {
					got = append(got, string(it.raw))
				}
				if d := cmp.Diff(tc.want, strings.Join(got, " ")); d != "" {
					t.Error(d)
				}
				if coalesced != tc.coalesced || dropped != tc.dropped {
					t.Errorf("coalesced %d, dropped %d", coalesced, dropped)
				}
				if q.bytes != 0 || len(q.items) != 0 || len(q.at) != 0 {
					t.Errorf("left behind: %+v", q)
				}
			}
		})
	}
}

func BenchmarkQueue(b *testing.B) {
	q := queue{maxItems: 256, maxBytes: 1 << 20}
	keys := make([]string, 16)
	for i := range keys {
		keys[i] = fmt.Sprint("key", i)
	}
	raw, n := []byte(strings.Repeat("x", 120)), 0
	var batch []item
	b.ReportAllocs()
	for b.Loop() {
		q.push(item{raw: raw, key: keys[n%len(keys)]})
		if n++; n%8 == 0 {
			batch = q.take(batch)
		}
	}
}
