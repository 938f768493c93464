package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/authority"
)

// log applies commands one after another, as the control group does.
type log struct {
	*Part
	index uint64
	batch map[authority.Life]uint64
}

func newLog() *log { return &log{Part: NewPart(), batch: map[authority.Life]uint64{}} }

func life(gateway string, incarnation int) authority.Life {
	return authority.Life{Gateway: gateway, Incarnation: authority.Index(incarnation)}
}

// send applies the items as the next batch of a life.
func (l *log) send(t *testing.T, from authority.Life, at int64, items ...item) []verdict {
	t.Helper()
	l.batch[from]++
	a := l.command(t, command{Format: 1, From: from, Batch: l.batch[from], At: at, Items: items})
	if a.Stale {
		t.Fatalf("batch %d of %s is stale", l.batch[from], from)
	}
	return a.Verdicts
}

func (l *log) command(t *testing.T, c command) answer {
	t.Helper()
	b, err := c.encode()
	if err != nil {
		t.Fatal(err)
	}
	l.index++
	out, err := l.Apply(l.index, b)
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func scopeOf(key string) []byte {
	s := (&Call{Service: "tools", Tool: "charge", Key: key}).scope(make([]byte, keySize))
	return s[:]
}

func (a attempt) intent(key string) item {
	return item{Op: opIntent, Scope: scopeOf(key), Attempt: a, Digest: make([]byte, 32), Until: 1000}
}

func (a attempt) ran(key, value string) item {
	return item{Op: opOutcome, Scope: scopeOf(key), Attempt: a, Kind: Result, Value: json.RawMessage(value)}
}

func (a attempt) of(o op, key string) item { return item{Op: o, Scope: scopeOf(key), Attempt: a} }

// stands writes how a key stands: "free", "open", or the kind of outcome and its value.
func (l *log) stands(key string) string {
	s, known := l.look(Scope(scopeOf(key)))
	switch {
	case !known:
		return "free"
	case s.open:
		return "open"
	}
	return fmt.Sprintf("%d %s", s.outcome.Kind, s.outcome.Value)
}

// Every order of words about one key: what is known never changes, and only the attempt itself knows.
func TestWords(t *testing.T) {
	a, b := attempt{life("a", 1), 1}, attempt{life("b", 2), 2}
	for name, tt := range map[string]struct {
		items    []item
		verdicts []verdict
		stands   string
	}{
		"intent":                   {[]item{a.intent("k")}, []verdict{done}, "open"},
		"intent twice":             {[]item{a.intent("k"), a.intent("k")}, []verdict{done, done}, "open"},
		"another's intent":         {[]item{a.intent("k"), b.intent("k")}, []verdict{done, existing}, "open"},
		"outcome":                  {[]item{a.intent("k"), a.ran("k", `{"x":1}`)}, []verdict{done, done}, `1 {"x":1}`},
		"outcome twice":            {[]item{a.intent("k"), a.ran("k", `1`), a.ran("k", `2`)}, []verdict{done, done, gone}, `1 1`},
		"another's outcome":        {[]item{a.intent("k"), b.ran("k", `1`)}, []verdict{done, gone}, "open"},
		"outcome without intent":   {[]item{a.ran("k", `1`)}, []verdict{gone}, "free"},
		"unknown":                  {[]item{a.intent("k"), a.of(opUnknown, "k")}, []verdict{done, done}, "0 "},
		"late outcome":             {[]item{a.intent("k"), a.of(opUnknown, "k"), a.ran("k", `1`)}, []verdict{done, done, done}, "1 1"},
		"late outcome of another":  {[]item{a.intent("k"), a.of(opUnknown, "k"), b.ran("k", `1`)}, []verdict{done, done, gone}, "0 "},
		"unknown after outcome":    {[]item{a.intent("k"), a.ran("k", `1`), a.of(opUnknown, "k")}, []verdict{done, done, gone}, "1 1"},
		"unknown of another":       {[]item{a.intent("k"), b.of(opUnknown, "k")}, []verdict{done, gone}, "open"},
		"withdrawn":                {[]item{a.intent("k"), a.of(opWithdraw, "k")}, []verdict{done, done}, "free"},
		"withdrawn and begun":      {[]item{a.intent("k"), a.of(opWithdraw, "k"), b.intent("k")}, []verdict{done, done, done}, "open"},
		"withdrawn after unknown":  {[]item{a.intent("k"), a.of(opUnknown, "k"), a.of(opWithdraw, "k")}, []verdict{done, done, done}, "free"},
		"withdrawn after outcome":  {[]item{a.intent("k"), a.ran("k", `1`), a.of(opWithdraw, "k")}, []verdict{done, done, gone}, "1 1"},
		"another's withdrawal":     {[]item{a.intent("k"), b.of(opWithdraw, "k")}, []verdict{done, gone}, "open"},
		"intent after unknown":     {[]item{a.intent("k"), a.of(opUnknown, "k"), b.intent("k")}, []verdict{done, done, existing}, "0 "},
		"not kept":                 {[]item{a.intent("k"), {Op: opOutcome, Scope: scopeOf("k"), Attempt: a, Kind: Unkept}}, []verdict{done, done}, "3 "},
		"another key":              {[]item{a.intent("k"), b.intent("l")}, []verdict{done, done}, "open"},
		"a result that is null":    {[]item{a.intent("k"), a.ran("k", `null`)}, []verdict{done, done}, "1 null"},
		"a result with odd text":   {[]item{a.intent("k"), a.ran("k", `"<\ud800&>"`)}, []verdict{done, done}, `1 "<\ud800&>"`},
		"a result in many lines":   {[]item{a.intent("k"), a.ran("k", "{\n \"a\": 1}")}, []verdict{done, done}, `1 {"a":1}`},
		"nothing expires too soon": {[]item{a.intent("k"), {Op: opExpire}}, []verdict{done, done}, "open"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog()
			got := l.send(t, a.Life, 1000, tt.items...)
			if fmt.Sprint(got) != fmt.Sprint(tt.verdicts) || l.stands("k") != tt.stands {
				t.Errorf("%v, the key is %s; want %v, %s", got, l.stands("k"), tt.verdicts, tt.stands)
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	l, a := newLog(), attempt{life("a", 1), 1}
	l.send(t, a.Life, 900, a.intent("k"), a.ran("k", `"text"`))
	l.send(t, a.Life, 1001, item{Op: opExpire})
	if f := l.Figures(); l.stands("k") != "free" || f != (Figures{}) {
		t.Errorf("the key is %s, %+v", l.stands("k"), f)
	}
}

// A proposal that was lost on its way must not arrive after what was said later.
func TestBatchesInOrder(t *testing.T) {
	l, a := newLog(), attempt{life("a", 5), 1}
	send := func(from authority.Life, batch uint64, items ...item) bool {
		return !l.command(t, command{Format: 1, From: from, Batch: batch, Items: items}).Stale
	}
	if !send(a.Life, 7, a.of(opWithdraw, "k")) || send(a.Life, 6, a.intent("k")) || send(a.Life, 7, a.intent("k")) || send(life("a", 4), 99, a.intent("k")) {
		t.Error("an older batch was taken")
	}
	if l.stands("k") != "free" {
		t.Error("an intent came back")
	}
	if !send(life("a", 6), 1, a.intent("k")) || !send(life("b", 1), 1, a.of(opUnknown, "k")) {
		t.Error("a new life, or another gateway, is not heard")
	}
}

func TestBounds(t *testing.T) {
	l, a := newLog(), attempt{life("a", 1), 1}
	l.bounds = bounds{2, 10}
	got := l.send(t, a.Life, 1, a.intent("k"), a.intent("l"), a.intent("m"))
	if fmt.Sprint(got) != "[done done full]" {
		t.Error(got)
	}
	l.send(t, a.Life, 1, a.ran("k", `"12345678"`), a.ran("l", `"1"`))
	if l.stands("k") != `1 "12345678"` || l.stands("l") != "3 " || l.Figures().Bytes != 10 {
		t.Errorf("%s, %s, %+v", l.stands("k"), l.stands("l"), l.Figures())
	}
	for i := range maxGateways + 10 {
		l.send(t, life(fmt.Sprint("g", i), 1), int64(i), item{Op: opExpire})
	}
	if len(l.heard) != maxGateways {
		t.Errorf("%d gateways are remembered", len(l.heard))
	}
}

func TestFirstKeyStays(t *testing.T) {
	l := newLog()
	for _, c := range []string{"A", "B"} {
		value, err := json.Marshal([]byte(strings.Repeat(c, keySize)))
		if err != nil {
			t.Fatal(err)
		}
		l.send(t, life("a", 1), 1, item{Op: opKey, Value: value})
	}
	if got := string(l.fleetKey()); got != strings.Repeat("A", keySize) {
		t.Errorf("%q", got)
	}
}

func TestCommandsAreChecked(t *testing.T) {
	p := NewPart()
	for entry, want := range map[string]error{
		``: ErrRefused, `[]`: ErrRefused, `{}`: ErrRefused, strings.Repeat(" ", maxCommand+1): ErrRefused,
		`{"format":2,"anything":1}`: ErrNewer,
		`{"format":1,"more":1}`:     ErrNewer,
		`{"format":1,"from":{"gateway":"a","incarnation":1},"items":[]}`:                               ErrRefused,
		`{"format":1,"from":{"gateway":"","incarnation":1},"items":[{"op":"expire"}]}`:                 ErrRefused,
		`{"format":1,"from":{"gateway":"a","incarnation":1},"items":[{"op":"frob"}]}`:                  ErrNewer,
		`{"format":1,"from":{"gateway":"a","incarnation":1},"items":[{"op":"intent"}]}`:                ErrRefused,
		`{"format":1,"from":{"gateway":"a","incarnation":1},"items":[{"op":"key","value":"c2hvcnQ"}]}`: ErrRefused,
	} {
		if _, err := p.Apply(1, []byte(entry)); !errors.Is(err, want) {
			t.Errorf("%.80s: %v, want %v", entry, err, want)
		}
	}
	a := attempt{life("a", 1), 1}
	for _, bad := range []item{
		{Op: opOutcome, Scope: scopeOf("k"), Attempt: a, Kind: Result},
		{Op: opOutcome, Scope: scopeOf("k"), Attempt: a, Kind: 9, Value: json.RawMessage(`1`)},
		{Op: opOutcome, Scope: scopeOf("k"), Attempt: a, Kind: Result, Status: 1000, Value: json.RawMessage(`1`)},
		a.ran("k", `"`+strings.Repeat("x", MaxResult)+`"`),
		{Op: opUnknown, Scope: []byte("short"), Attempt: a},
		{Op: opUnknown, Scope: scopeOf("k")},
	} {
		if err := bad.check(); !errors.Is(err, ErrRefused) {
			t.Errorf("%+.80v: %v", bad, err)
		}
	}
}

// A snapshot gives the same part, byte for byte, and one that is cut or changed never half of it.
func TestSnapshot(t *testing.T) {
	l := newLog()
	value, err := json.Marshal([]byte(strings.Repeat("k", keySize)))
	if err != nil {
		t.Fatal(err)
	}
	l.send(t, life("a", 1), 1, item{Op: opKey, Value: value})
	for i := range 50 {
		a := attempt{life(fmt.Sprint("g", i%7), 1+i%3), uint64(i)}
		key := fmt.Sprint("k", i)
		l.send(t, life("a", 1), int64(i), a.intent(key), []item{a.ran(key, fmt.Sprint(i)), a.of(opUnknown, key), a.of(opWithdraw, key), {Op: opExpire}}[i%4])
	}
	b, err := l.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	p := NewPart()
	if err := p.Restore(b); err != nil {
		t.Fatal(err)
	}
	again, err := p.Snapshot()
	if err != nil || string(again) != string(b) || p.Figures() != l.Figures() || string(p.fleetKey()) != string(l.fleetKey()) {
		t.Errorf("another part: %+v and %+v, %v", p.Figures(), l.Figures(), err)
	}
	if b, err := NewPart().Snapshot(); err != nil || len(b) != 0 || NewPart().Restore(nil) != nil {
		t.Errorf("a part that was never used: %q, %v", b, err)
	}
	for n := 1; n < len(b); n++ {
		if err := p.Restore(b[:n]); err == nil {
			t.Fatalf("restored from the first %d bytes of %d", n, len(b))
		}
	}
	if err := p.Restore([]byte(snapshotHead + "2\nwhatever")); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer snapshot: %v", err)
	}
	if err := p.Restore(append(b, 0)); err == nil {
		t.Error("restored from more than a snapshot")
	}
	if p.Figures() != l.Figures() {
		t.Error("a bad snapshot changed the part")
	}
}

func TestScopesAreApart(t *testing.T) {
	key := make([]byte, keySize)
	seen := map[Scope]int{}
	for i, c := range []Call{
		{Service: "s", Caller: []string{"c"}, Tool: "t", Key: "k"}, {Service: "s", Tool: "t", Key: "k"}, {Service: "s", Caller: []string{""}, Tool: "t", Key: "k"},
		{Service: "s", Caller: []string{"c"}, Tool: "t", Key: "l"}, {Service: "s", Caller: []string{"c"}, Tool: "u", Key: "k"},
		{Service: "r", Caller: []string{"c"}, Tool: "t", Key: "k"}, {Service: "s", Caller: []string{"c"}, Tool: "tk", Key: ""},
		{Service: "s", Caller: []string{"c", ""}, Tool: "t", Key: "k"}, {Service: "s", Caller: []string{"c"}, Tool: "t", Key: "k", Step: "x"},
	} {
		s := c.scope(key)
		if j, twice := seen[s]; twice {
			t.Errorf("calls %d and %d share a scope", i, j)
		}
		seen[s] = i
		key[0]++
		if c.scope(key) == s {
			t.Error("the scope does not depend on the key")
		}
		key[0]--
	}
}

func FuzzApply(f *testing.F) {
	a := attempt{life("a", 1), 1}
	c := command{Format: 1, From: a.Life, Batch: 1, Items: []item{a.intent("k"), a.ran("k", `{}`), {Op: opExpire}}}
	b, err := c.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		one, two := NewPart(), NewPart()
		first, err1 := one.Apply(1, b)
		second, err2 := two.Apply(1, b)
		if string(first) != string(second) || (err1 == nil) != (err2 == nil) {
			t.Fatalf("the same command gave %s %v and %s %v", first, err1, second, err2)
		}
		s1, _ := one.Snapshot()
		s2, _ := two.Snapshot()
		if string(s1) != string(s2) {
			t.Fatal("the same command gave two states")
		}
		if err := two.Restore(s1); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzRestore(f *testing.F) {
	l := newLog()
	a := attempt{life("a", 1), 1}
	c := command{Format: 1, From: a.Life, Batch: 1, Items: []item{a.intent("k"), a.ran("k", `{}`)}}
	b, err := c.encode()
	if err != nil {
		f.Fatal(err)
	}
	if _, err := l.Apply(1, b); err != nil {
		f.Fatal(err)
	}
	s, _ := l.Snapshot()
	f.Add(s)
	f.Fuzz(func(t *testing.T, b []byte) {
		p := NewPart()
		if p.Restore(b) != nil {
			return
		}
		s, err := p.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if err := NewPart().Restore(s); err != nil {
			t.Fatalf("its own snapshot is refused: %v", err)
		}
	})
}
