package replica

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// TestOrder: from the lowest to the highest; every one replaces all before it and none after.
func TestOrder(t *testing.T) {
	all := []mark{
		{0, false, 1, 0}, {0, false, 1, 9}, {0, false, 2, 0}, {0, true, 1, 0}, {0, true, 3, 0},
		{5, false, 1, 0}, {5, true, 1, 0}, {6, false, 0, 0},
	}
	for i, a := range all {
		for j, b := range all {
			if got, want := a.below(b), i < j; got != want {
				t.Errorf("%+v below %+v: %v", a, b, got)
			}
		}
	}
	if (mark{1, false, 1, 1}).below(mark{1, false, 1, 1}) || replaces(mark{1, false, 1, 1}, mark{1, false, 1, 2}) {
		t.Error("the same ballot and version is no newer state of an owner's own")
	}
}

func TestDigestSeesEverything(t *testing.T) {
	base := head{Key: session(1), mark: mark{1, false, 1, 1}}
	seen := map[uint64]bool{base.digest(): true}
	for _, h := range []head{
		{Key{Handle, "session-1"}, base.mark, 0}, {session(2), base.mark, 0}, {base.Key, mark{2, false, 1, 1}, 0},
		{base.Key, mark{1, true, 1, 1}, 0}, {base.Key, mark{1, false, 2, 1}, 0}, {base.Key, mark{1, false, 1, 2}, 0}, {base.Key, base.mark, 7},
	} {
		if seen[h.digest()] {
			t.Errorf("%+v has another's digest", h)
		}
		seen[h.digest()] = true
	}
}

func TestCodec(t *testing.T) {
	for _, r := range []Record{
		{Key: session(1), Service: "files", Owner: "a1", Region: "region-a", Ballot: 1 << 60, Version: 3, Until: -5, Contents: []byte("hello")},
		{Key: Key{Handle, "x"}, Deleted: true, Until: 1 << 40},
	} {
		h := head{r.Key, r.mark(), 8}
		in := reader{b: appendHead(nil, h)}
		if got := in.head(); got != h || in.bad || len(in.b) > 0 {
			t.Errorf("head %+v became %+v", h, got)
		}
		b := encodeEntry(nil, 7, 9, &r)
		promised, until, got, err := decodeEntry(b, 1000)
		if err != nil || promised != 7 || until != 9 || !reflect.DeepEqual(*got, r) {
			t.Errorf("%+v became %+v, %d, %d, %v", r, got, promised, until, err)
		}
		for i := range b { // no byte can be another, and none can be missing
			bad := slices.Clone(b)
			bad[i] ^= 0x40
			if _, _, _, err := decodeEntry(bad, 1000); err == nil {
				t.Errorf("byte %d does not matter", i)
			}
			if _, _, _, err := decodeEntry(b[:i], 1000); err == nil {
				t.Errorf("%d bytes of %d are enough", i, len(b))
			}
		}
	}
	promise := encodeEntry(nil, 7, 9, nil)
	if p, until, r, err := decodeEntry(promise, 10); p != 7 || until != 9 || r != nil || err != nil {
		t.Errorf("a promise alone: %d, %d, %v, %v", p, until, r, err)
	}
}

// TestReaderTakesAnything: what comes from outside is an error or a record, never a panic or more memory than it has.
func TestReaderTakesAnything(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	r := rec(session(1), 4, "some contents")
	good := appendRecord(nil, &r)
	for range 20_000 {
		b := slices.Clone(good[:rng.IntN(len(good)+1)])
		for range rng.IntN(4) {
			if len(b) > 0 {
				b[rng.IntN(len(b))] = byte(rng.Uint32())
			}
		}
		in := reader{b: b}
		if got := in.record(100); !in.bad && len(in.b) == 0 && len(got.ID)+len(got.Contents) > len(b) {
			t.Fatalf("%x gives %+v", b, got)
		}
	}
}

func TestQueue(t *testing.T) {
	q := newQueue()
	for i := range 5000 {
		q.add(session(i))
		q.add(session(i)) // once
	}
	k, _ := q.take()
	q.untake(k)
	q.add(k) // it waits already
	for i := range 5000 {
		k, ok := q.take()
		if !ok || k != session(i) {
			t.Fatalf("%d: %v, %v", i, k, ok)
		}
		if i == 2500 {
			q.untake(k)
			if again, _ := q.take(); again != k {
				t.Fatalf("%v came back as %v", k, again)
			}
		}
	}
	if _, ok := q.take(); ok || q.len() != 0 {
		t.Error("something is left")
	}
	q.untake(session(1))
	if got := q.waiting(); !slices.Equal(got, []Key{session(1)}) {
		t.Errorf("waiting: %v", got)
	}
}

func TestContentsAreTheirOwn(t *testing.T) {
	r := rec(session(1), 1, "abc")
	page := appendRecord(nil, &r)
	in := reader{b: page}
	got := in.record(100)
	clear(page)
	if !bytes.Equal(got.Contents, []byte("abc")) || got.ID != "session-1" {
		t.Errorf("%+v changed with what it was read from", got)
	}
}
