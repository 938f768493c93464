package replica

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A gateway whose clock is a day ahead holds what it is given for over, and keeps nothing: that is no copy, and is not
// told as one. While it does not know what time it is, it keeps what it has and takes what comes.
func TestClockAheadIsNoCopy(t *testing.T) {
	for name, tc := range map[string]struct {
		ahead  time.Duration
		sure   bool
		copied bool
	}{
		"a day ahead":             {25 * time.Hour, true, false},
		"a day ahead, and unsure": {25 * time.Hour, false, true},
		"of one time":             {0, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, "", quick(), "a1")
			a := f.members["a1"]
			b := f.start("b1", func(c *Config) {
				c.Clock = func() (time.Time, bool) { return time.Now().Add(tc.ahead), tc.sure }
			})
			f.ready()
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			err := a.store.Put(ctx, rec(session(1), 1, "hello"), 1)
			if tc.copied && err != nil || !tc.copied && !errors.Is(err, ErrUnconfirmed) {
				t.Errorf("confirmed: %v", err)
			}
			b.store.sweep(b.store.now())
			if got := b.holds(session(1), 1); got != tc.copied {
				t.Errorf("a copy is there: %t, want %t", got, tc.copied)
			}
			if st, _ := a.store.Status(session(1)); (st.State == Synced) != tc.copied || (st.Lag == 0) != tc.copied {
				t.Errorf("told as %s, lag %s", st.State, st.Lag)
			}
		})
	}
}
