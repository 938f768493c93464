package ledger

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

// A clock that jumps a day ahead makes nobody forget a key before the fleet has the time from more than one; a key is
// remembered by the fleet's time from the beginning.
func TestKeysAreForgottenByASureClock(t *testing.T) {
	for name, tc := range map[string]struct {
		ahead time.Duration // once the key is there
		sure  bool
		known bool
	}{
		"a day ahead, and unsure": {25 * time.Hour, false, true},
		"a day later":             {25 * time.Hour, true, false},
		"an hour later":           {time.Hour, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				part, me, index := NewPart(), life("a", 1), uint64(0)
				var ahead atomic.Int64
				l, err := New(Config{
					Part: part, Life: func() authority.Life { return me }, Ended: func(authority.Life) bool { return false },
					Propose: func(_ context.Context, command []byte) ([]byte, error) {
						index++
						return part.Apply(index, command)
					},
					Clock:  func() (time.Time, bool) { return time.Now().Add(time.Duration(ahead.Load())), tc.sure },
					Logger: slog.New(slog.DiscardHandler),
				})
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close(t.Context())
				b, err := l.Begin(t.Context(), Call{Service: "s", Tool: "t", Key: "k", Retention: 24 * time.Hour})
				if err != nil || b.Intent == nil || b.Intent.Settle(Outcome{Kind: Result, Value: []byte(`{}`)}) != nil {
					t.Fatal(err)
				}
				ahead.Store(int64(tc.ahead))
				time.Sleep(3 * time.Minute)
				synctest.Wait()
				if known := part.Figures().Entries == 1; known != tc.known {
					t.Errorf("remembered: %t, want %t", known, tc.known)
				}
			})
		})
	}
}
