package committed

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// soon is when records of tests are over.
const soon = 1000

func put(id string, ballot, version uint64, contents string) item {
	return item{opPut, Record{Key: Key{1, id}, Service: "s", Owner: "a", Ballot: ballot, Version: version, Until: soon, Contents: []byte(contents)}}
}

func drop(id string, ballot, version uint64) item {
	return item{opDrop, Record{Key: Key{1, id}, Service: "s", Owner: "a", Ballot: ballot, Version: version, Until: soon, Deleted: true}}
}

func take(id string, ballot uint64) item {
	return item{opTake, Record{Key: Key{1, id}, Service: "s", Ballot: ballot, Until: soon}}
}

func expire(now int64) item { return item{opExpire, Record{Until: now}} }

// small is a part with little room.
func small() *Part {
	p := NewPart()
	p.maxLive, p.maxDeleted, p.maxBytes = 3, 20, 40*(overhead+32)
	return p
}

// at applies one item.
func (p *Part) at(t *testing.T, index uint64, i item) outcome {
	t.Helper()
	result, err := p.Apply(index, encodeItems([]item{i}))
	must(t, err)
	return outcome(result[0])
}

func TestApply(t *testing.T) {
	type step struct {
		item item
		want outcome
	}
	large := put("x", 0, 1, "")
	large.record.Contents = make([]byte, MaxContents+1)
	for name, tc := range map[string]struct {
		steps []step
		want  string // of x: ballot.version contents
	}{
		"new":                             {[]step{{put("x", 0, 1, "a"), done}}, "0.1 a"},
		"a higher version":                {[]step{{put("x", 0, 1, "a"), done}, {put("x", 0, 2, "b"), done}}, "0.2 b"},
		"the same once more":              {[]step{{put("x", 0, 1, "a"), done}, {put("x", 0, 1, "a"), done}}, "0.1 a"},
		"two writers of one ballot":       {[]step{{put("x", 0, 1, "a"), done}, {put("x", 0, 1, "b"), stale}}, "0.1 a"},
		"a lower version":                 {[]step{{put("x", 0, 2, "b"), done}, {put("x", 0, 1, "a"), superseded}}, "0.2 b"},
		"a higher ballot":                 {[]step{{put("x", 0, 9, "a"), done}, {put("x", 5, 1, "b"), done}}, "5.1 b"},
		"a lower ballot":                  {[]step{{put("x", 5, 1, "a"), done}, {put("x", 4, 9, "b"), stale}}, "5.1 a"},
		"a late one after a promise":      {[]step{{put("x", 0, 1, "a"), done}, {take("x", 5), done}, {put("x", 0, 2, "b"), stale}}, "0.1 a"},
		"the claimant after a promise":    {[]step{{put("x", 0, 1, "a"), done}, {take("x", 5), done}, {put("x", 5, 1, "b"), done}}, "5.1 b"},
		"a promise twice":                 {[]step{{take("x", 5), done}, {take("x", 5), done}, {put("x", 0, 1, "a"), stale}}, "none"},
		"a promise below another":         {[]step{{take("x", 5), done}, {take("x", 4), stale}, {put("x", 4, 1, "a"), stale}}, "none"},
		"a promise below what is there":   {[]step{{put("x", 5, 1, "a"), done}, {take("x", 4), stale}}, "5.1 a"},
		"deleted":                         {[]step{{put("x", 0, 1, "a"), done}, {drop("x", 0, 2), done}}, "deleted"},
		"deleted, and a late one":         {[]step{{put("x", 0, 1, "a"), done}, {drop("x", 0, 2), done}, {put("x", 0, 3, "b"), deleted}, {put("x", 9, 1, "b"), deleted}}, "deleted"},
		"deleted before it is known":      {[]step{{drop("x", 0, 2), done}, {put("x", 0, 1, "a"), deleted}}, "deleted"},
		"deleted twice":                   {[]step{{drop("x", 0, 2), done}, {drop("x", 0, 2), done}, {drop("x", 7, 1), done}}, "deleted"},
		"deleted, whatever the version":   {[]step{{put("x", 0, 7, "a"), done}, {drop("x", 0, 1), done}}, "deleted"},
		"deleted by an earlier owner":     {[]step{{take("x", 5), done}, {drop("x", 0, 2), stale}, {put("x", 5, 1, "a"), done}}, "5.1 a"},
		"a promise of what is deleted":    {[]step{{drop("x", 0, 2), done}, {take("x", 5), done}}, "deleted"},
		"over":                            {[]step{{put("x", 0, 1, "a"), done}, {expire(soon), done}, {put("x", 0, 2, "b"), over}, {take("x", 5), over}, {drop("x", 0, 3), done}}, "none"},
		"not over yet":                    {[]step{{put("x", 0, 1, "a"), done}, {expire(soon - 1), done}}, "0.1 a"},
		"time does not go back":           {[]step{{expire(soon), done}, {expire(1), done}, {put("x", 0, 1, "a"), over}}, "none"},
		"a deletion that is over":         {[]step{{drop("x", 0, 2), done}, {expire(soon), done}}, "none"},
		"a look changes nothing":          {[]step{{put("x", 0, 1, "a"), done}, {item{op: opLook}, done}}, "0.1 a"},
		"too large":                       {[]step{{put("x", 0, 1, "a"), done}, {large, tooLarge}}, "0.1 a"},
		"no room for one more":            {[]step{{put("1", 0, 1, "a"), done}, {put("2", 0, 1, "a"), done}, {put("3", 0, 1, "a"), done}, {put("x", 0, 1, "a"), full}}, "none"},
		"no room for a promise":           {[]step{{put("1", 0, 1, "a"), done}, {put("2", 0, 1, "a"), done}, {put("3", 0, 1, "a"), done}, {take("x", 5), full}}, "none"},
		"room after a deletion":           {[]step{{put("1", 0, 1, "a"), done}, {put("2", 0, 1, "a"), done}, {put("3", 0, 1, "a"), done}, {drop("3", 0, 2), done}, {put("x", 0, 1, "a"), done}}, "0.1 a"},
		"full, and a change within":       {[]step{{put("1", 0, 1, "a"), done}, {put("2", 0, 1, "a"), done}, {put("x", 0, 1, "a"), done}, {put("x", 0, 2, "b"), done}}, "0.2 b"},
		"bytes: no room":                  {[]step{{put("x", 0, 1, "a"), done}, {put("x", 0, 2, strings.Repeat("b", 40*(overhead+32))), full}}, "0.1 a"},
		"bytes: a smaller one always has": {[]step{{put("x", 0, 1, strings.Repeat("b", 40*overhead)), done}, {put("x", 0, 2, "b"), done}}, "0.2 b"},
	} {
		p := small()
		for n, s := range tc.steps {
			if got := p.at(t, uint64(n+1), s.item); got != s.want {
				t.Errorf("%s: step %d is %d, not %d", name, n+1, got, s.want)
			}
		}
		if got := p.show("x"); got != tc.want {
			t.Errorf("%s: %s, not %s", name, got, tc.want)
		}
	}
}

func (p *Part) show(id string) string {
	r, found := p.Get(Key{1, id})
	switch {
	case !found:
		return "none"
	case r.Deleted:
		return "deleted"
	}
	return fmt.Sprintf("%d.%d %s", r.Ballot, r.Version, r.Contents)
}

// Of too many deletions those of long ago are forgotten, and never a record.
func TestForget(t *testing.T) {
	p := small()
	p.at(t, 1, put("kept", 0, 1, "a"))
	for i := range uint64(21) {
		p.at(t, 2+i, drop(fmt.Sprint("d", i), 0, 1))
	}
	if p.show("kept") != "0.1 a" || p.show("d0") != "none" || p.show("d1") != "none" || p.show("d2") != "deleted" || p.show("d20") != "deleted" {
		t.Errorf("kept %s, d0 %s, d1 %s, d2 %s", p.show("kept"), p.show("d0"), p.show("d1"), p.show("d2"))
	}
	if r := p.Room(); r.Records != 1 || r.Deleted != 19 {
		t.Errorf("%+v", r)
	}
}

// random returns items about few records, so that they meet.
func random(r *rand.Rand) []item {
	items := make([]item, 1+r.IntN(5))
	for i := range items {
		id, ballot, version := fmt.Sprint("r", r.IntN(5)), uint64(r.IntN(4)), uint64(r.IntN(4))
		switch r.IntN(8) {
		case 0:
			items[i] = drop(id, ballot, version)
		case 1:
			items[i] = take(id, ballot)
		case 2:
			items[i] = expire(int64(r.IntN(soon + soon/500)))
		default:
			items[i] = put(id, ballot, version, fmt.Sprint(r.IntN(3)))
		}
		if items[i].record.Until == soon {
			items[i].record.Until += int64(r.IntN(3)) * soon
		}
	}
	return items
}

// Whether a state was applied or restored half way, it is the same, with the same digest and the same bytes; and what
// it counts is what is there.
func TestSameState(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		first, second := small(), small()
		for index := uint64(1); index <= 40; index++ {
			command := encodeItems(random(r))
			a, err := first.Apply(index, command)
			must(t, err)
			b, err := second.Apply(index, command)
			must(t, err)
			if !bytes.Equal(a, b) {
				t.Fatalf("entry %d: %v and %v", index, a, b)
			}
			if r.IntN(4) == 0 {
				s, err := second.Snapshot()
				must(t, err)
				second = small()
				must(t, second.Restore(s))
			}
		}
		a, err := first.Snapshot()
		must(t, err)
		b, err := second.Snapshot()
		must(t, err)
		if !bytes.Equal(a, b) || !bytes.Equal(first.Digest(), second.Digest()) || first.Room() != second.Room() {
			t.Fatalf("%+v and %+v", first.Room(), second.Room())
		}
		first.consistent(t)
	}
}

// consistent compares what is counted with what is there.
func (p *Part) consistent(t *testing.T) {
	t.Helper()
	var size, live int
	var sum checksum
	for _, e := range p.records {
		size += e.bytes()
		if !e.Deleted {
			live++
		}
		fresh := *e
		fresh.seal()
		sum.add(&fresh)
	}
	if size != p.bytes || live != p.live || sum != p.digest || live > p.maxLive {
		t.Fatalf("%d bytes of %d, %d live of %d, digest %v", p.bytes, size, p.live, live, sum == p.digest)
	}
}

// A digest tells any difference.
func TestDigest(t *testing.T) {
	digests := map[string]string{}
	for name, items := range map[string][]item{
		"none": nil, "time": {expire(1)}, "one": {put("x", 0, 1, "a")}, "contents": {put("x", 0, 1, "b")}, "version": {put("x", 0, 2, "a")},
		"ballot": {put("x", 1, 1, "a")}, "promise": {put("x", 0, 1, "a"), take("x", 1)}, "deleted": {drop("x", 0, 1)}, "two": {put("x", 0, 1, "a"), put("y", 0, 1, "a")},
	} {
		p := small()
		for _, i := range items {
			p.at(t, 1, i)
		}
		d := string(p.Digest())
		if other, twice := digests[d]; twice {
			t.Errorf("%s and %s have one digest", name, other)
		}
		digests[d] = name
	}
}

// What a snapshot holds does not change with the part.
func TestFrozen(t *testing.T) {
	p := small()
	p.at(t, 1, put("x", 0, 1, "a"))
	want, err := p.Snapshot()
	must(t, err)
	f := p.Freeze()
	p.at(t, 2, put("x", 0, 2, "b"))
	p.at(t, 3, take("x", 4))
	p.at(t, 4, expire(2*soon))
	var got bytes.Buffer
	n, err := f.WriteTo(&got)
	if must(t, err); !bytes.Equal(got.Bytes(), want) || n != int64(len(want)) {
		t.Errorf("%q, not %q", got.Bytes(), want)
	}
}

func TestRefused(t *testing.T) {
	good := encodeItems([]item{put("x", 0, 1, "a")})
	many := make([]item, MaxItems+1)
	for i := range many {
		many[i] = put("x", 0, 1, "")
	}
	for name, tc := range map[string]struct {
		entry []byte
		want  error
	}{
		"nothing":        {nil, ErrRefused},
		"cut":            {good[:len(good)-1], ErrRefused},
		"longer":         {append(slices.Clone(good), 0), ErrRefused},
		"too many items": {encodeItems(many), ErrRefused},
		"too large":      {make([]byte, MaxEntry+1), ErrRefused},
		"format":         {append([]byte{commandFormat + 1}, good[1:]...), ErrNewer},
		"kind of item":   {encodeItems([]item{{opLook + 1, Record{}}}), ErrNewer},
		"a long name":    {encodeItems([]item{put(strings.Repeat("x", MaxName+1), 0, 1, "a")}), ErrRefused},
	} {
		p := small()
		before := p.Digest()
		if _, err := p.Apply(1, tc.entry); !errors.Is(err, tc.want) || !bytes.Equal(p.Digest(), before) {
			t.Errorf("%s: %v, not %v", name, err, tc.want)
		}
	}
}

// A snapshot that is no good changes nothing.
func TestRestoreRefused(t *testing.T) {
	p := small()
	p.at(t, 1, put("x", 0, 1, "a"))
	p.at(t, 2, put("y", 0, 1, "a"))
	good, err := p.Snapshot()
	must(t, err)
	before := p.Digest()
	tight := small()
	tight.maxLive = 1
	if tight.Restore(good) == nil {
		t.Error("more records than there may be")
	}
	if b, err := small().Snapshot(); len(b) != 0 || err != nil || tight.Restore(b) != nil || tight.Room() != (Room{}) {
		t.Errorf("before the first entry: %q, %v", b, err)
	}
	for name, b := range map[string][]byte{
		"cut": good[:len(good)-1], "longer": append(slices.Clone(good), 0), "newer": append([]byte{snapshotFormat + 1}, good[1:]...),
		"twice": append(append([]byte{snapshotFormat, 0, 2}, good[3:3+(len(good)-3)/2]...), good[3:3+(len(good)-3)/2]...),
	} {
		if err := p.Restore(b); err == nil || !bytes.Equal(p.Digest(), before) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := p.Restore([]byte{snapshotFormat + 1}); !errors.Is(err, ErrNewer) {
		t.Error(err)
	}
}

// FuzzApply: no entry and no snapshot stops a gateway, and what is refused changes nothing.
func FuzzApply(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		f.Add(encodeItems(random(r)))
	}
	p := small()
	_, _ = p.Apply(1, encodeItems(random(r)))
	s, err := p.Snapshot()
	must(f, err)
	f.Add(s)
	f.Fuzz(func(t *testing.T, b []byte) {
		p := small()
		p.at(t, 1, put("r1", 1, 1, "a"))
		before := p.Digest()
		if _, err := p.Apply(2, b); err != nil && !bytes.Equal(before, p.Digest()) {
			t.Fatal("refused, and changed")
		}
		p.consistent(t)
		if p.Restore(b) == nil {
			again, err := p.Snapshot()
			must(t, err)
			q := small()
			must(t, q.Restore(again))
			if !bytes.Equal(p.Digest(), q.Digest()) {
				t.Fatal("not the same after a round trip")
			}
			p.consistent(t)
		}
	})
}

// Figures of a full part: how long it holds up the log, and how large it is.
func BenchmarkSnapshot(b *testing.B) {
	p := NewPart()
	contents := make([]byte, 1<<10)
	for n := 0; p.Room().Bytes < MaxBytes-(2<<20) && n < MaxRecords; {
		var items []item
		for range 800 {
			n++
			items = append(items, put(fmt.Sprintf("%0100d", n), 0, 1, string(contents)))
		}
		if _, err := p.Apply(1, encodeItems(items)); err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("%+v", p.Room())
	s, err := p.Snapshot()
	must(b, err)
	b.Run("freeze", func(b *testing.B) {
		for b.Loop() {
			p.Freeze()
		}
	})
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(s)))
		for b.Loop() {
			_, err := p.Snapshot()
			must(b, err)
		}
	})
	b.Run("restore", func(b *testing.B) {
		b.SetBytes(int64(len(s)))
		for b.Loop() {
			must(b, p.Restore(s))
		}
	})
	b.Run("digest", func(b *testing.B) {
		for b.Loop() {
			p.Digest()
		}
	})
}
