package control

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/rulebook"
)

// young is a part that the last release had not; it is what was applied last.
type young struct{ state string }

func (y *young) Apply(_ uint64, command []byte) ([]byte, error) {
	y.state = string(command)
	return nil, nil
}
func (y *young) Snapshot() ([]byte, error) { return []byte(y.state), nil }
func (y *young) Restore(b []byte) error    { y.state = string(b); return nil }

func stateOf(t *testing.T, parts map[string]Part) *fsm {
	t.Helper()
	f, err := newFSM(rulebook.Rulebook{}, parts, func(authority.Event) {})
	must(t, err)
	return f
}

func imageOf(t *testing.T, f *fsm) io.ReadCloser {
	t.Helper()
	s, err := f.Snapshot()
	must(t, err)
	return io.NopCloser(bytes.NewReader(s.(snapshot)))
}

// A release without a part reads an image while the part is empty, and has the same digest; afterwards it stops.
func TestYoungPart(t *testing.T) {
	part, with, without := &young{}, &sum{}, &sum{}
	now := stateOf(t, map[string]Part{"sum": with, "young": part})
	before := stateOf(t, map[string]Part{"sum": without})
	now.at(1, forPart(t, "sum", "7"))
	must(t, before.Restore(imageOf(t, now)))
	if without.total != 7 {
		t.Errorf("sum %d", without.total)
	}
	a, err := now.digest()
	must(t, err)
	if b, err := before.digest(); err != nil || a.Digest != b.Digest {
		t.Errorf("%v, %v, %v", a, b, err)
	}
	now.at(2, forPart(t, "young", "full"))
	if err := before.Restore(imageOf(t, now)); !errors.Is(err, authority.ErrNewer) || before.read().stuck == nil {
		t.Errorf("read without the part: %v", err)
	}
	older := stateOf(t, map[string]Part{"sum": &sum{}})
	older.at(1, forPart(t, "sum", "9"))
	must(t, now.Restore(imageOf(t, older)))
	if part.state != "" || with.total != 9 {
		t.Errorf("%q and %d after an image in which the part is empty", part.state, with.total)
	}
}

// What is of this fleet alone is neither saved nor loaded.
func TestOwnParts(t *testing.T) {
	part, kept := &young{}, &sum{}
	f := stateOf(t, map[string]Part{"sum": kept, "young": part})
	f.own = []string{"young"}
	f.at(1, forPart(t, "sum", "7"))
	f.at(2, forPart(t, "young", "key"))
	s, err := f.save()
	must(t, err)
	if len(s.Parts) != 1 || string(s.Parts["sum"]) != "7" {
		t.Errorf("%v", s.Parts)
	}
	if err := f.holds(map[string][]byte{"young": []byte("another")}); !errors.Is(err, ErrBadSnapshot) {
		t.Errorf("loaded: %v", err)
	}
	f.at(3, loaded(t, "sum", "1"))
	if part.state != "key" || kept.total != 1 {
		t.Errorf("%q, %d", part.state, kept.total)
	}
}

// A snapshot that skips the entries tells the ends all the same, and what ended before the start is told to nobody.
func TestEndsByImage(t *testing.T) {
	log := history(t)
	whole, _, _ := newState(t)
	for i, entry := range log {
		whole.at(uint64(i+1), entry)
	}
	a, b := authority.Life{Gateway: "a", Incarnation: 2}, authority.Life{Gateway: "b", Incarnation: 3}
	if got := whole.takeEnded(); len(got) != 2 || got[0] != b || got[1] != a || len(whole.takeEnded()) != 0 {
		t.Errorf("%v", got)
	}
	late, _, _ := newState(t)
	for i, entry := range log[:4] {
		late.at(uint64(i+1), entry)
	}
	must(t, late.Restore(imageOf(t, whole)))
	if got := late.takeEnded(); len(got) != 2 {
		t.Errorf("%v", got)
	}
	again, _, _ := newState(t)
	again.tellAfter(uint64(len(log)))
	for i, entry := range log {
		again.at(uint64(i+1), entry)
	}
	must(t, again.Restore(imageOf(t, whole)))
	if got := again.takeEnded(); len(got) != 0 || !again.machine.Ended(a) {
		t.Errorf("%v", got)
	}
}

// What members have said stands until they say something else; whoever has not spoken does not read.
func TestReads(t *testing.T) {
	r := reads{of: map[raft.ServerID]read{"a/1": {names: []string{"claims", "part"}}}}
	servers := []raft.Server{{ID: "a/1"}, {ID: "b/1"}, {ID: "c/1"}}
	names := []string{"claims"}
	now := time.Now()
	want := func(what string, lacking, due int) {
		t.Helper()
		all := r.lacking(servers, names)
		if got := len(r.due(servers, all, "a/1", now)); len(all) != lacking || got != due {
			t.Errorf("%s: %d lack it, not %d; %d are asked, not %d", what, len(all), lacking, got, due)
		}
	}
	want("at first", 2, 2)
	want("at once again", 2, 0)
	r.said("b/1", []string{"claims"}, moment{})
	r.said("c/1", nil, moment{}) // of an older release
	now = now.Add(readsMissing)
	want("one is older", 1, 1)
	r.said("c/1", []string{"claims", "other"}, moment{})
	want("all do", 0, 0)
	now = now.Add(readsAgain)
	want("after a while, though nobody answers", 0, 2)
	r.said("b/1", nil, moment{})
	want("one went back", 1, 0)
	servers = servers[:1]
	want("it is a member no more", 0, 0)
	servers = append(servers, raft.Server{ID: "b/1"})
	want("it is one again", 1, 1)
	names = append(names, "part", "third")
	want("of several", 2, 0)
}

// A process is gone when its links are down and nobody listens, since it was heard last.
func TestGone(t *testing.T) {
	refused := time.Now().Add(-time.Second)
	for _, c := range []struct {
		name   string
		links  []peer.Link
		silent time.Duration
		want   bool
	}{
		{"refused since", []peer.Link{{Gateway: "g", Refused: refused}}, 2 * time.Second, true},
		{"refused before it was heard", []peer.Link{{Gateway: "g", Refused: refused}}, time.Second / 2, false},
		{"a link is up", []peer.Link{{Gateway: "g", Refused: refused}, {Gateway: "g", Up: true, In: true}}, 2 * time.Second, false},
		{"down, and nobody answers", []peer.Link{{Gateway: "g", Error: "timeout"}}, 2 * time.Second, false},
		{"another one", []peer.Link{{Gateway: "h", Refused: refused}}, 2 * time.Second, false},
		{"never linked", nil, time.Hour, false},
	} {
		if got := gone(c.links, "g", c.silent); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

// The log's answer to claims names each of them, and nothing else has one.
func TestVerdicts(t *testing.T) {
	f, _, _ := newState(t)
	for i, entry := range history(t) {
		o := f.at(uint64(i+1), entry)
		if i != 10 && len(o.result) > 0 && entry[0] == entryAuthority {
			t.Errorf("entry %d: %s", i+1, o.result)
		}
		if i == 10 && (o.err != nil || !strings.HasPrefix(string(o.result), `["","`)) {
			t.Errorf("claims: %s, %v", o.result, o.err)
		}
	}
}
