package keeper

import (
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/replica"
)

// TestForesee: while an owner is suspected, the sessions whose requests went to it are asked for already, and those that
// cannot go there too; once its life has ended nobody waits for that any more.
func TestForesee(t *testing.T) {
	for name, c := range map[string]struct {
		relayed, told, again, cut bool
		hints                     int
		questions                 int // that are waited for
	}{
		"relayed and suspected":     {true, true, false, false, 1, 1},
		"suspected and relayed":     {false, true, true, false, 1, 1},
		"control: nobody suspects":  {true, false, true, false, 1, 2},
		"of another's":              {false, true, false, false, 1, 2},
		"not reached, so it waited": {false, false, false, true, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			fleet(t, func(t *testing.T, w *world, id string) {
				rec, _ := recordOf(w.key, id)
				s := &shelf{far: 300 * time.Millisecond, slow: true}
				s.has = &replica.Record{Key: recordKey(rec), Service: "s", Owner: "a", Version: 5, Contents: []byte("new")}
				s.old = s.has
				w.mu.Lock()
				for _, m := range w.gws {
					clear(m.copies)
				}
				for _, other := range []string{"b", "c"} {
					w.cut[[2]string{"a", other}], w.cut[[2]string{other, "a"}] = c.cut, c.cut
				}
				w.mu.Unlock()
				k := w.gws["b"].keeper
				k.cfg.Committed = func(string) Committed { return s }
				relayed := func(is bool) {
					if !is {
						return
					}
					if f := w.find(t, "b", id); f.Where != session.There {
						t.Fatalf("%v", f.Where)
					}
				}
				relayed(c.relayed)
				if c.told {
					k.Suspected("c") // whose sessions these are not
					if s.hints != 0 {
						t.Error("a hint was asked for of another gateway's session")
					}
					k.Suspected("a")
				}
				relayed(c.again)
				ended := make(chan time.Time, 1)
				go func() { w.end("a"); ended <- time.Now() }()
				if !c.cut {
					<-time.After(time.Second) // everybody has heard of the end
				}
				began := time.Now()
				f := w.find(t, "b", id)
				from := <-ended
				if began.After(from) {
					from = began
				}
				if f.Where != session.Here || string(f.Contents) != "new" || s.hints != c.hints {
					t.Errorf("%v %q after %d hints", f.Where, f.Contents, s.hints)
				}
				took := time.Since(from)
				if got := int(took / s.far); got != c.questions {
					t.Errorf("after the end it took %s: %d questions, want %d", took, got, c.questions)
				}
			})
		})
	}
}

// TestForeseenIsBounded: what nobody takes makes room once it is old.
func TestForeseenIsBounded(t *testing.T) {
	var f foreseen
	now := time.Now()
	for i := range maxForeseen {
		if f.begin(fmt.Sprint(i), now) == nil {
			t.Fatalf("%d: no room", i)
		}
	}
	if f.begin("0", now) != nil || f.begin("x", now) != nil {
		t.Error("it is asked twice, or for more than there is room for")
	}
	if f.begin("x", now.Add(foreseenFor)) == nil || len(f.all) != 1 {
		t.Errorf("%d are kept that are old", len(f.all))
	}
}
