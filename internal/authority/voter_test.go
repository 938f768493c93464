package authority

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// scene is a voter b, its disk and its clock.
type voterScene struct {
	*Voter
	t    *testing.T
	disk Record
	now  time.Duration
}

var bID = member("b").VoterID

func newVoterScene(t *testing.T, stored Record, now time.Duration) *voterScene {
	t.Helper()
	v, err := NewVoter(stored, now)
	if err != nil {
		t.Fatal(err)
	}
	return &voterScene{v, t, stored, now}
}

// sync applies a view and makes the record safe.
func (s *voterScene) sync(v View) {
	if p := s.Apply(v); p != nil {
		s.disk = p.Record
		s.Persisted(p.Number)
	}
}

// acks reports whether a#5 is acked at now.
func (s *voterScene) acks(now time.Duration) bool {
	a, ok := s.Heartbeat(now, Heartbeat{Life: Life{"a", 5}, Seq: 7})
	if ok && (a.Voter != bID || a.Seq != 7 || a.Life != Life{"a", 5} || a.Version != s.log.Version || a.Promise != s.log.Promise) {
		s.t.Errorf("ack %+v", a)
	}
	return ok
}

func (s *voterScene) confirms(now time.Duration, barrier Index) bool {
	return slices.Contains(s.Confirmations(now), Confirmation{Voter: bID, Barrier: barrier})
}

func suspected(v View, index Index) View {
	v.Index = index
	v.Lives = []Standing{{Life: Life{"a", 5}, Nonce: "n", Suspect: index}}
	return v
}

func TestVoterAcks(t *testing.T) {
	s := newVoterScene(t, NewRecord(bID), 0)
	if s.acks(time.Second) {
		t.Error("it acks before it knows a rule")
	}
	p := s.Apply(viewOf(5, 1))
	if p == nil || s.acks(time.Second) {
		t.Error("it acks before its disk knows the rule, and with it the promise")
	}
	s.Persisted(p.Number)
	if !s.acks(time.Second) {
		t.Error("a rostered life is not acked")
	}
	for _, l := range []Life{{"a", 4}, {"a", 6}, {"x", 5}, {}} {
		if _, ok := s.Heartbeat(time.Second, Heartbeat{Life: l, Seq: 1}); ok {
			t.Errorf("%s is acked", l)
		}
	}
	if s.Apply(suspected(viewOf(5, 1), 8)); s.acks(time.Second) {
		t.Error("a suspect is acked")
	}
}

func TestVoterConfirmsSuspicion(t *testing.T) {
	s := newVoterScene(t, NewRecord(bID), 0)
	s.sync(viewOf(5, 1))
	s.acks(time.Second)
	p := s.Apply(suspected(viewOf(5, 1), 8))
	if s.confirms(time.Hour, 8) {
		t.Error("confirmed before the fsync")
	}
	s.Persisted(p.Number)
	if s.confirms(1599*ms, 8) || !s.confirms(1600*ms, 8) {
		t.Error("not confirmed from 600 ms after the last ack")
	}
	s.sync(viewOf(10, 1))
	if s.confirms(time.Hour, 8) || !s.acks(time.Hour) {
		t.Error("a cleared suspicion is confirmed, or the life not acked again")
	}
	s.sync(suspected(viewOf(5, 1), 12))
	if got := s.Confirmations(2 * time.Hour); len(got) != 1 || got[0].Barrier != 12 {
		t.Errorf("the second suspicion: %v", got)
	}
}

func TestVoterConfirmsChange(t *testing.T) {
	s := newVoterScene(t, NewRecord(bID), 0)
	s.sync(viewOf(5, 1))
	s.acks(time.Second)
	s.sync(changing(viewOf(5, 1), 9))
	if a, ok := s.Heartbeat(1100*ms, Heartbeat{Life: Life{"a", 5}, Seq: 1}); !ok || a.Version != 2 || a.Promise != 300*ms {
		t.Errorf("ack %+v, %t", a, ok)
	}
	if s.confirms(1599*ms, 9) || !s.confirms(1600*ms, 9) {
		t.Error("not confirmed from 600 ms, the larger promise, after the last ack of the old rule")
	}
	final := changing(viewOf(5, 1), 9)
	final.Index, final.Ruling.Before, final.Ruling.Barrier = 11, nil, 0
	if s.sync(final); s.confirms(time.Hour, 9) {
		t.Error("confirmed after it is over")
	}
}

func TestVoterRestarts(t *testing.T) {
	s := newVoterScene(t, NewRecord(bID), 0)
	s.sync(viewOf(5, 1))
	s.sync(changing(viewOf(5, 1), 9))
	s.sync(suspected(changing(viewOf(5, 1), 9), 12))
	s = newVoterScene(t, s.disk, 10*time.Second)
	// The log is read again from a snapshot before the suspicion, or cannot be read yet.
	for range 2 {
		if s.acks(11*time.Second) || s.log.Version != 2 {
			t.Error("what the disk holds is not obeyed")
		}
		if s.confirms(10*time.Second+599*ms, 9) || !s.confirms(10*time.Second+600*ms, 9) || !s.confirms(10*time.Second+600*ms, 12) {
			t.Error("not confirmed from the largest promise after the start, with its barriers from disk")
		}
		for _, v := range []View{viewOf(5, 1), changing(viewOf(5, 1), 9), suspected(changing(viewOf(5, 1), 9), 12)} {
			if v.Ruling.Barrier != 0 && v.Lives[0].Suspect != 0 {
				v.Index = 12
			}
			if p := s.Apply(v); p != nil {
				t.Errorf("entry %d changes the disk again", v.Index)
			}
		}
	}
}

func TestVoterFails(t *testing.T) {
	s := newVoterScene(t, NewRecord(bID), 0)
	s.sync(viewOf(5, 1))
	s.Apply(suspected(viewOf(5, 1), 8))
	s.Failed(errors.New("no space"))
	s.Persisted(2)
	if s.acks(time.Second) || len(s.Confirmations(time.Hour)) > 0 || s.Apply(viewOf(20, 1)) != nil || s.Err() == nil {
		t.Error("it goes on after its disk failed")
	}
}

func TestVoterBounds(t *testing.T) {
	s := newVoterScene(t, NewRecord(bID), 0)
	var first, last *Persist
	for i := range Index(3 * maxWaiting) {
		v := viewOf(5+i, 1)
		v.Lives[0].Incarnation = 5 + i
		last = s.Apply(v)
		if first == nil {
			first = last
		}
		s.Heartbeat(0, Heartbeat{Life: Life{"a", 5 + i}})
	}
	if len(s.waiting) > maxWaiting || len(s.acked) > 1 {
		t.Errorf("%d records wait, %d lives are kept", len(s.waiting), len(s.acked))
	}
	s.Persisted(first.Number)
	if s.Voter.disk.Version != 0 {
		t.Error("a forgotten record counts")
	}
	if s.Persisted(last.Number); s.Voter.disk.Index != last.Record.Index || len(s.waiting) > 0 {
		t.Error("the last does not")
	}
	if _, err := NewVoter(Record{}, 0); err == nil {
		t.Error("a voter without a name")
	}
}

func TestRecordFile(t *testing.T) {
	r := NewRecord(bID)
	r = r.next(suspected(changing(viewOf(5, 1), 9), 12))
	content, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRecord(content, bID)
	if err != nil || !got.same(&r) || got.Index != 12 || got.Voter != bID {
		t.Errorf("%+v, %v", got, err)
	}
	other := bID
	other.Store = "another"
	damaged := slices.Clone(content)
	damaged[len(damaged)-10] ^= 1
	for name, c := range map[string]struct {
		content []byte
		id      VoterID
		want    error
	}{
		"missing":      {nil, bID, ErrLostStore},
		"empty":        {[]byte{}, bID, ErrLostStore},
		"cut short":    {content[:len(content)/2], bID, ErrLostStore},
		"damaged":      {damaged, bID, ErrLostStore},
		"another's":    {content, other, ErrLostStore},
		"too large":    {make([]byte, maxRecord+1), bID, ErrLostStore},
		"of no format": {[]byte(`{"record":{}}`), bID, ErrLostStore},
		"newer":        {[]byte(`{"format":2}`), bID, ErrNewer},
	} {
		if _, err := DecodeRecord(c.content, c.id); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDue: a voter that waits for a promise to run out says until when, and no longer.
func TestDue(t *testing.T) {
	v, err := NewVoter(NewRecord(VoterID{"a", "s"}), 0)
	if err != nil {
		t.Fatal(err)
	}
	life := Life{"g", 2}
	see := func(index, suspect Index) {
		t.Helper()
		view := View{Index: index, Ruling: Ruling{Version: 1, Now: Quorum{Promise: time.Second}}, Lives: []Standing{{Life: life, Suspect: suspect}}}
		if p := v.Apply(view); p != nil {
			v.Persisted(p.Number)
		}
	}
	see(2, 0)
	if got := v.Due(0); got != 0 {
		t.Errorf("due at %s with nothing to confirm", got)
	}
	if _, ok := v.Heartbeat(5*time.Second, Heartbeat{Life: life, Seq: 1}); !ok {
		t.Fatal("no ack")
	}
	see(3, 3)
	due := v.Due(5 * time.Second)
	if due != 6*time.Second || len(v.Confirmations(due-1)) != 0 || len(v.Confirmations(due)) != 1 {
		t.Errorf("due at %s", due)
	}
	if got := v.Due(due); got != 0 {
		t.Errorf("due again at %s", got)
	}
}
