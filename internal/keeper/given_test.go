package keeper

import (
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/session"
)

// TestGivenBeforeItIsCommitted: a change that waits goes to another gateway with the session. Once that one has claimed it,
// nothing waits here, and none of it is lost; until then it waits, since the claim may never come.
func TestGivenBeforeItIsCommitted(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, id string) {
		k := w.gws["a"].keeper
		rec, _ := recordOf(w.key, id)
		r, ok := k.local("s", recordKey(rec))
		if !ok {
			t.Fatal("it is not here")
		}
		r.Version++
		if err := k.pending.add(r); err != nil {
			t.Fatal(err)
		}
		for n := range relaysBefore {
			if f := w.find(t, "b", id); f.Where != session.There {
				t.Fatalf("relay %d: %v", n, f.Where)
			}
		}
		if g := k.giveAway(t.Context(), "c", request{Service: "s", ID: id}); !g.Released {
			t.Fatal("not given away")
		}
		if n := len(k.alone()); n != 1 {
			t.Errorf("%d changes would be reported lost before anybody has claimed it, want 1", n)
		}
		if f := w.find(t, "b", id); f.Where != session.Here {
			t.Fatalf("%v", f.Where)
		}
		<-time.After(time.Second) // a has heard of the claim
		k.flushOnce(t.Context())
		if states, lag := k.Waiting(); len(states) > 0 || lag > 0 || len(k.alone()) > 0 {
			t.Errorf("%v wait for up to %s; %d changes would be reported lost", states, lag, len(k.alone()))
		}
	})
}
