package keeper

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/keeper/sessionid"
)

// living is a gateway in its first life.
type living struct{ Authority }

func (living) Life() authority.Life { return authority.Life{Gateway: "a", Incarnation: 1} }

// Ids carry the fleet's time, and none is over before that is known.
func TestIDsAreOfTheFleetsTime(t *testing.T) {
	key := bytes.Repeat([]byte{1}, sessionid.KeyBytes)
	now, sure := time.Now(), true
	k, err := New(Config{
		Gateway: "a", Authority: living{}, Store: &member{}, Key: func() []byte { return key }, Plan: func(string) Plan { return Plan{} },
		Clock: func() (time.Time, bool) { return now, sure }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(-25 * time.Hour)
	text, _ := k.Mint()
	id, err := sessionid.Parse(key, text)
	if err != nil || id.Minted.Unix() != now.Unix() {
		t.Fatalf("minted at %s, %v", id.Minted, err)
	}
	now = now.Add(25 * time.Hour)
	if got, err := k.Find(t.Context(), "s", text); err != nil || got.Where != session.Unknown {
		t.Errorf("a day later: %+v %v", got, err)
	}
	if !id.Over(k.now()) {
		t.Error("it is not over")
	}
	sure = false
	if id.Over(k.now()) {
		t.Error("it is over by a clock that may be wrong")
	}
}
