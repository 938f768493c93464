package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// log applies commands one after another, as the control group does.
type log struct {
	*Part
	index uint64
}

func newLog() *log { return &log{Part: NewPart()} }

func (l *log) put(t *testing.T, kind Kind, name, body string, c Condition) (Result, error) {
	t.Helper()
	b, err := Put(kind, name, []byte(body), c)
	if err != nil {
		return Result{}, err
	}
	return l.propose(t, b)
}

func (l *log) remove(t *testing.T, kind Kind, name string, c Condition) (Result, error) {
	t.Helper()
	b, err := Delete(kind, name, c)
	if err != nil {
		t.Fatal(err)
	}
	return l.propose(t, b)
}

func (l *log) propose(t *testing.T, b []byte) (Result, error) {
	t.Helper()
	l.index++
	answer, err := l.Apply(l.index, b)
	if err != nil {
		return Result{}, err
	}
	return DecodeResult(answer)
}

func TestDocumentsAreComparedAndSet(t *testing.T) {
	l := newLog()
	r, err := l.put(t, Services, "tools", `{"path":"/mcp"}`, Condition{Absent: true})
	if err != nil || r != (Result{Revision: 1, Created: true, Changed: true}) {
		t.Fatalf("%+v %v", r, err)
	}
	if _, err := l.put(t, Services, "tools", `{}`, Condition{Absent: true}); !errors.Is(err, ErrPrecondition) || !errors.Is(err, ErrRefused) {
		t.Errorf("created twice: %v", err)
	}
	if r, err := l.put(t, Services, "tools", `{"path":"/mcp"}`, Condition{Revisions: []uint64{1}}); err != nil || r != (Result{Revision: 1}) {
		t.Errorf("the same body: %+v %v", r, err)
	}
	if _, err := l.put(t, Services, "tools", `{"path":"/a"}`, Condition{Revisions: []uint64{3, 2}}); !errors.Is(err, ErrPrecondition) {
		t.Errorf("another revision: %v", err)
	}
	if r, err := l.put(t, Services, "tools", `{"path":"/a"}`, Condition{Revisions: []uint64{9, 1}}); err != nil || r != (Result{Revision: 5, Changed: true}) {
		t.Errorf("%+v %v", r, err)
	}
	if d, ok := l.Set().Get(Services, "tools"); !ok || d.Revision != 5 || d.Created != 1 || string(d.Body) != `{"path":"/a"}` {
		t.Errorf("%+v", d)
	}
	if _, err := l.remove(t, Services, "tools", Condition{Revisions: []uint64{1}}); !errors.Is(err, ErrPrecondition) {
		t.Errorf("removed at another revision: %v", err)
	}
	if _, err := l.remove(t, Services, "tools", Condition{Never: true}); !errors.Is(err, ErrPrecondition) {
		t.Errorf("removed under a condition that never holds: %v", err)
	}
	if r, err := l.remove(t, Services, "tools", Condition{Exists: true}); err != nil || r != (Result{Revision: 5, Changed: true}) {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := l.remove(t, Services, "tools", Condition{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := l.put(t, Services, "tools", `{}`, Condition{Exists: true}); !errors.Is(err, ErrPrecondition) {
		t.Errorf("one that must exist: %v", err)
	}
	sync, err := Sync()
	if err != nil {
		t.Fatal(err)
	}
	if r, err := l.propose(t, sync); err != nil || r != (Result{Revision: 8}) {
		t.Errorf("sync: %+v %v", r, err)
	}
	if l.Set().Revision() != 8 || len(l.Set().All()) != 0 {
		t.Errorf("revision %d, %v", l.Set().Revision(), l.Set().All())
	}
}

// A reader's set stays what it was.
func TestSetsNeverChange(t *testing.T) {
	l := newLog()
	if _, err := l.put(t, Routes, "a", `{"match":{"tool":"x"}}`, Condition{}); err != nil {
		t.Fatal(err)
	}
	before := l.Set()
	if _, err := l.remove(t, Routes, "a", Condition{}); err != nil {
		t.Fatal(err)
	}
	if len(before.All()) != 1 || len(l.Set().All()) != 0 {
		t.Errorf("%v, %v", before.All(), l.Set().All())
	}
}

func TestBounds(t *testing.T) {
	l := newLog()
	large := `{"a":"` + strings.Repeat("x", MaxBody-8) + `"}`
	for i := range MaxTotal / MaxBody {
		if _, err := l.put(t, Services, fmt.Sprint("s", i), large, Condition{}); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := l.put(t, Services, "more", `{}`, Condition{}); !errors.Is(err, ErrFull) {
		t.Errorf("beyond the total: %v", err)
	}
	if _, err := l.put(t, Services, "s1", `{}`, Condition{}); err != nil {
		t.Errorf("smaller instead: %v", err)
	}
	for i := range MaxPerKind {
		if _, err := l.put(t, Routes, fmt.Sprint("r", i), `{}`, Condition{}); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := l.put(t, Routes, "more", `{}`, Condition{}); !errors.Is(err, ErrFull) {
		t.Errorf("beyond the number: %v", err)
	}
	if _, err := l.put(t, Routes, "r7", `{"a":1}`, Condition{}); err != nil {
		t.Errorf("another one in place: %v", err)
	}
	b, err := l.Snapshot()
	if err != nil || len(b) > MaxSnapshot {
		t.Errorf("snapshot of %d bytes: %v", len(b), err)
	}
	if err := NewPart().Restore(b); err != nil {
		t.Error(err)
	}
}

func TestCommandsAreChecked(t *testing.T) {
	for _, tt := range []struct {
		kind       Kind
		name, body string
	}{
		{"planets", "a", `{}`}, {Services, "", `{}`}, {Services, "a/b", `{}`}, {Services, strings.Repeat("a", 65), `{}`},
		{Services, "a", ``}, {Services, "a", `[]`}, {Services, "a", `{`}, {Services, "a", `{}{}`}, {Services, "a", `null`},
		{Services, "a", `{"a":"` + strings.Repeat("x", MaxBody) + `"}`},
	} {
		if _, err := Put(tt.kind, tt.name, []byte(tt.body), Condition{}); !errors.Is(err, ErrRefused) {
			t.Errorf("%s/%.9s %.9s: %v", tt.kind, tt.name, tt.body, err)
		}
	}
	if _, err := Put(Services, "a", []byte(`{}`), Condition{Revisions: make([]uint64, MaxConditions+1)}); !errors.Is(err, ErrRefused) {
		t.Errorf("a long condition: %v", err)
	}
	l := newLog()
	for entry, want := range map[string]error{
		``: ErrRefused, `[]`: ErrRefused, strings.Repeat("x", maxCommand+1): ErrRefused,
		`{"format":1,"op":"put","kind":"services","name":"a b","body":{},"condition":{}}`:        ErrRefused,
		`{"format":1,"op":"delete","kind":"services","name":"a","body":{},"condition":{}}`:       ErrRefused,
		`{"format":2,"op":"put","what":1}`:                                                       ErrNewer,
		`{"format":1,"op":"put","kind":"services","name":"a","body":{},"condition":{},"if":"x"}`: ErrNewer,
		`{"format":1,"op":"patch","kind":"services","name":"a","body":{},"condition":{}}`:        ErrNewer,
		`{"format":1,"op":"put","kind":"planets","name":"a","body":{},"condition":{}}`:           ErrNewer,
	} {
		if _, err := l.Apply(1, []byte(entry)); !errors.Is(err, want) {
			t.Errorf("%.80s: %v, want %v", entry, err, want)
		}
	}
	if l.Set().Revision() != 0 {
		t.Error("a refused entry changed something")
	}
}

// Two parts that apply the same entries are the same, also when one of them began from a snapshot in between.
func TestApplyIsDeterministic(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	a, b := newLog(), newLog()
	for range 3000 {
		kind, name := Kinds()[r.IntN(4)], fmt.Sprint("n", r.IntN(5))
		c := []Condition{{}, {}, {Absent: true}, {Exists: true}, {Revisions: []uint64{uint64(r.IntN(3000))}}}[r.IntN(5)]
		entry, err := Put(kind, name, fmt.Appendf(nil, `{"a":"<%d>"}`, r.IntN(3)), c)
		if r.IntN(4) == 0 {
			entry, err = Delete(kind, name, c)
		}
		if err != nil {
			t.Fatal(err)
		}
		one, errOne := a.propose(t, entry)
		two, errTwo := b.propose(t, entry)
		if one != two || (errOne == nil) != (errTwo == nil) {
			t.Fatalf("%+v %v and %+v %v", one, errOne, two, errTwo)
		}
		if r.IntN(50) > 0 {
			continue
		}
		snap, err := a.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		b.Part = NewPart()
		if err := b.Restore(snap); err != nil {
			t.Fatal(err)
		}
		if again, err := b.Snapshot(); err != nil || string(again) != string(snap) {
			t.Fatalf("%s\n%s %v", snap, again, err)
		}
	}
	if a.Set().bytes != b.Set().bytes {
		t.Errorf("%d and %d bytes", a.Set().bytes, b.Set().bytes)
	}
}

func TestBadSnapshotsChangeNothing(t *testing.T) {
	l := newLog()
	if _, err := l.put(t, Regions, "eu", `{}`, Condition{}); err != nil {
		t.Fatal(err)
	}
	doc := func(more string) string {
		return `{"format":1,"revision":9,"documents":[{"kind":"services","name":"a","revision":5,"created":5,"body":{}` + more + `}]}`
	}
	for text, want := range map[string]error{
		`{"format":2}`: ErrNewer, doc(`,"x":1`): ErrNewer, strings.Replace(doc(""), "services", "planets", 1): ErrNewer,
		`{`: nil, strings.Replace(doc(""), `"a"`, `"a b"`, 1): nil, strings.Replace(doc(""), `{}`, `[]`, 1): nil,
		strings.Replace(doc(""), `"created":5`, `"created":6`, 1): nil, strings.Replace(doc(""), `"revision":9`, `"revision":4`, 1): nil,
		strings.Replace(doc(""), `}]`, `},{"kind":"services","name":"a","revision":5,"created":5,"body":{}}]`, 1): nil,
	} {
		if err := l.Restore([]byte(text)); err == nil || want != nil && !errors.Is(err, want) || want == nil && errors.Is(err, ErrNewer) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
	if err := l.Restore([]byte(strings.Repeat("x", MaxSnapshot+1))); err == nil {
		t.Error("a huge snapshot is taken")
	}
	if _, ok := l.Set().Get(Regions, "eu"); !ok {
		t.Error("a refused snapshot changed something")
	}
	if err := l.Restore([]byte(doc(""))); err != nil {
		t.Error(err)
	}
}

// After a snapshot of a longer log, revisions go on from there: none is ever given twice, and the next snapshot is good.
func TestRevisionsGoOnAfterASnapshotOfALongerLog(t *testing.T) {
	l := newLog()
	if err := l.Restore([]byte(`{"format":1,"revision":90,"documents":[{"kind":"services","name":"a","revision":70,"created":5,"body":{}}]}`)); err != nil {
		t.Fatal(err)
	}
	r, err := l.put(t, Services, "b", `{"path":"/b"}`, Condition{})
	if err != nil || r.Revision != 91 {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := l.remove(t, Services, "b", Condition{}); err != nil || l.Set().Revision() != 92 {
		t.Errorf("revision %d, %v", l.Set().Revision(), err)
	}
	b, err := l.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := NewPart().Restore(b); err != nil {
		t.Error(err)
	}
}

func TestChangesAreSignalled(t *testing.T) {
	l := newLog()
	signalled := func() bool {
		select {
		case <-l.Changed():
			return true
		default:
			return false
		}
	}
	for range 2 {
		if _, err := l.put(t, Regions, "eu", `{}`, Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	if !signalled() || signalled() {
		t.Error("two entries of which one changed something make one signal")
	}
	b, err := json.Marshal(snapshot{Format: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Restore(b); err != nil || !signalled() {
		t.Errorf("a snapshot signals: %v", err)
	}
}
