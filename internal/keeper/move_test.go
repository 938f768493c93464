package keeper

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/replica"
)

// What waits counts as failed after as many tries as the plan has, and says how long it has waited.
func TestWaiting(t *testing.T) {
	p := pending{work: make(chan struct{}, 1)}
	r := replica.Record{Key: replica.Key{Kind: replica.Session, ID: "a"}, Version: 1}
	if err := p.add(r); err != nil {
		t.Fatal(err)
	}
	began, _ := p.look(r.Key)
	for tries, want := range []replica.State{replica.Pending, replica.Pending, replica.Failed} {
		if w, ok := p.look(r.Key); !ok || w.state(2) != want {
			t.Errorf("after %d tries: %v, %v", tries, w.state(2), ok)
		}
		p.failed(r.Key)
	}
	r.Version = 2
	if err := p.add(r); err != nil {
		t.Fatal(err)
	}
	if w, _ := p.look(r.Key); !w.since.Equal(began.since) || time.Since(w.since) < 0 || w.state(2) != replica.Failed || w.Version != 2 {
		t.Errorf("a newer state waits as %+v", w)
	}
	p.agreed(&r)
	if _, ok := p.look(r.Key); ok {
		t.Error("what is agreed waits on")
	}
}
