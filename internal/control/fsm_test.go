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
	"github.com/quorate/quorate/internal/rulebook"
	"github.com/quorate/quorate/strategies"
)

// newState is an fsm with a part, and what it told.
func newState(t *testing.T) (*fsm, *sum, *[]authority.Event) {
	t.Helper()
	part, told := &sum{}, &[]authority.Event{}
	f, err := newFSM(rulebook.Rulebook{}, map[string]Part{"sum": part}, func(e authority.Event) { *told = append(*told, e) })
	must(t, err)
	return f, part, told
}

func command(t *testing.T, c authority.Command) []byte {
	t.Helper()
	b, err := authorityEntry(c)
	must(t, err)
	return b
}

func forPart(t *testing.T, part, text string) []byte {
	t.Helper()
	b, err := partEntry(part, []byte(text))
	must(t, err)
	return b
}

// loaded is the entry that replaces a part.
func loaded(t *testing.T, part, text string) []byte {
	t.Helper()
	b, err := pack(saved{Format: savedFormat, Parts: map[string][]byte{part: []byte(text)}})
	must(t, err)
	return append([]byte{entryLoad}, b...)
}

func (f *fsm) at(index uint64, entry []byte) outcome {
	return f.Apply(&raft.Log{Index: index, Data: entry}).(outcome)
}

// What another release may have accepted stops this one; what every release refuses does not.
func TestStuck(t *testing.T) {
	for name, entry := range map[string][]byte{
		"kind":              {99},
		"part":              forPart(t, "other", "1"),
		"command":           append([]byte{entryAuthority}, `{"format":1,"kind":"merge","body":{}}`...),
		"format":            append([]byte{entryAuthority}, `{"format":2,"kind":"noop","body":{}}`...),
		"size of a command": append([]byte{entryAuthority}, strings.Repeat(" ", authority.MaxCommand+1)...),
		"snapshot's part":   loaded(t, "other", "1"),
		"snapshot":          {entryLoad, 1, 2, 3},
	} {
		f, part, _ := newState(t)
		f.at(1, forPart(t, "sum", "5"))
		here, _ := f.reached(3)
		f.at(2, entry)
		if o := f.at(3, forPart(t, "sum", "5")); !errors.Is(o.err, authority.ErrNewer) || f.read().stuck == nil || f.read().index != 1 || part.total != 5 {
			t.Errorf("%s: %v, %+v, sum %d", name, o.err, f.read(), part.total)
		}
		select {
		case <-here:
		default:
			t.Errorf("%s: whoever waits for the next entry waits for ever", name)
		}
		if _, err := f.Snapshot(); err == nil {
			t.Errorf("%s: a snapshot of a state that is not the others'", name)
		}
	}
	for name, entry := range map[string][]byte{
		"nothing": {}, "a part's refusal": forPart(t, "sum", "x"), "a cut part": {entryPart, 9, 'a'},
		"a command": command(t, authority.Leave{Life: authority.Life{Gateway: "a", Incarnation: 1}}), "a bad part": loaded(t, "sum", "x"),
	} {
		f, part, _ := newState(t)
		if o := f.at(1, entry); o.err == nil || f.read().stuck != nil {
			t.Errorf("%s: %v, %v", name, o.err, f.read().stuck)
		}
		if o := f.at(2, forPart(t, "sum", "5")); o.err != nil || part.total != 5 {
			t.Errorf("%s: %v, sum %d", name, o.err, part.total)
		}
	}
}

// A stuck gateway closes its gate, and does not call refused what others may have applied.
func TestStuckGateway(t *testing.T) {
	n := solo(t, func(c *Config) { c.Parts = map[string]Part{"sum": &sum{}} })
	f := n.current().Apply([]byte{99}, time.Second)
	must(t, f.Error())
	eventually(t, "the gate is closed", func() bool { return !n.Allow() })
	if _, _, err := n.submit(t.Context(), forPart(t, "sum", "1")); !errors.Is(err, ErrNoQuorum) || errors.Is(err, ErrRefused) {
		t.Error(err)
	}
	if len(n.Ready()) == 0 {
		t.Error("it is ready")
	}
}

// history is a log with an entry of every kind.
func history(t *testing.T) [][]byte {
	t.Helper()
	voter := authority.Member{VoterID: authority.VoterID{Name: "a", Store: "s"}, Region: "r"}
	q := authority.Quorum{Source: strategies.Single("a").Encode(), Voters: []authority.Member{voter}, Promise: time.Second}
	wider := q
	wider.Promise = 2 * time.Second
	a, b := authority.Life{Gateway: "a", Incarnation: 2}, authority.Life{Gateway: "b", Incarnation: 3}
	by := []authority.VoterID{voter.VoterID}
	return [][]byte{
		command(t, authority.Bootstrap{Cluster: "c", Quorum: q, Declared: 1}),
		command(t, authority.Join{Gateway: "a", Region: "r", Store: "s", Nonce: "1"}),
		command(t, authority.Join{Gateway: "b", Region: "r", Store: "t", Nonce: "2"}),
		forPart(t, "sum", "4"), command(t, authority.Suspect{Life: b}), forPart(t, "sum", "refused"),
		command(t, authority.Clear{Life: b, Suspect: 5}), command(t, authority.Suspect{Life: b}),
		command(t, authority.Fence{Life: b, Suspect: 8, Confirmed: by}), markEntry("first"),
		command(t, authority.Takes{Claims: []authority.Take{{Record: "x", Minter: b, Claimant: a}, {Record: "y", Minter: a, Claimant: b}}}), loaded(t, "sum", "40"),
		command(t, authority.Change{From: 1, Quorum: wider, Declared: 1}), forPart(t, "sum", "2"),
		command(t, authority.Finish{Barrier: 13, Confirmed: by}), command(t, authority.Leave{Life: a}),
	}
}

// Whether a state was applied or restored half way, it is the same; and what happened before is not told again.
func TestSameState(t *testing.T) {
	whole, part, told := newState(t)
	log := history(t)
	for i, entry := range log {
		whole.at(uint64(i+1), entry)
	}
	whole.at(20, markEntry("end"))
	want, ok := whole.marked("end")
	if !ok || part.total != 42 || len(*told) != 12 || whole.read().epoch != 16 {
		t.Fatalf("%+v, sum %d, %d events, %+v", want, part.total, len(*told), whole.read())
	}
	for k := range log {
		first, _, _ := newState(t)
		for i, entry := range log[:k] {
			first.at(uint64(i+1), entry)
		}
		s, err := first.Snapshot()
		must(t, err)
		second, _, again := newState(t)
		second.tellAfter(uint64(len(log)))
		must(t, second.Restore(io.NopCloser(bytes.NewReader(s.(snapshot)))))
		for i, entry := range log[k:] {
			second.at(uint64(k+i+1), entry)
		}
		second.at(20, markEntry("end"))
		if got, _ := second.marked("end"); got != want || second.read().epoch != 16 || len(*again) != 0 {
			t.Errorf("restored at %d: %+v, not %+v; %d events", k, got, want, len(*again))
		}
	}
}

// A snapshot that is restored by half leaves nobody who acts on it, until a whole one is.
func TestRestoredByHalf(t *testing.T) {
	f, part, _ := newState(t)
	for i, entry := range history(t) {
		f.at(uint64(i+1), entry)
	}
	good, err := f.Snapshot()
	must(t, err)
	bad := bytes.Replace(good.(snapshot), []byte(`{"sum":"NDI="}`), []byte(`{"sum":"eA=="}`), 1)
	g, _, _ := newState(t)
	if err := g.Restore(io.NopCloser(bytes.NewReader(bad))); err == nil || g.read().stuck == nil {
		t.Errorf("%v, %v", err, g.read().stuck)
	}
	must(t, g.Restore(io.NopCloser(bytes.NewReader(good.(snapshot)))))
	if g.read().stuck != nil || part.total != 42 {
		t.Errorf("%v", g.read().stuck)
	}
}
