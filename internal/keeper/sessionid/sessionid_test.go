package sessionid_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/keeper/sessionid"
)

var (
	key  = bytes.Repeat([]byte{7}, sessionid.KeyBytes)
	noon = time.Date(2026, 11, 29, 12, 0, 0, 500, time.UTC)
)

func mint(t *testing.T, gateway string) sessionid.ID {
	t.Helper()
	id, err := sessionid.New(authority.Life{Gateway: gateway, Incarnation: 12345}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestRoundTrip(t *testing.T) {
	for _, gateway := range []string{"a", "gw-1", strings.Repeat("n", 40), strings.Repeat("n", sessionid.MaxGateway)} {
		id := mint(t, gateway)
		text := id.Sign(key)
		back, err := sessionid.Parse(key, text)
		if err != nil || back != id {
			t.Errorf("%s: %v, %v", gateway, back, err)
		}
		if len(gateway) <= 40 && len(text) > 128 || len(text) > sessionid.MaxLength {
			t.Errorf("%s: %d bytes", gateway, len(text))
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) || !sessionid.Shaped(text) {
			t.Errorf("%q is not visible ASCII of the form", text)
		}
		named, err := sessionid.ParseRecord(id.Record())
		if err != nil || named != id {
			t.Errorf("record of %s: %v, %v", gateway, named, err)
		}
	}
}

func TestOtherIDs(t *testing.T) {
	id := mint(t, "gw-1")
	good := id.Sign(key)
	flipped := func(i int) string {
		b := []byte(good)
		b[i] ^= 1
		return string(b)
	}
	for name, text := range map[string]string{
		"empty": "", "prefix": "q1", "hex": strings.Repeat("ab", 16), "other key": id.Sign(bytes.Repeat([]byte{8}, 32)),
		"cut": good[:len(good)-1], "longer": good + "A", "first": flipped(3), "last": flipped(len(good) - 1), "newline": good + "\n",
		"record": "q1" + id.Record(), "huge": "q1" + strings.Repeat("A", 1<<20), "padded": good + "==",
	} {
		if _, err := sessionid.Parse(key, text); !errors.Is(err, sessionid.ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLifetime(t *testing.T) {
	id := mint(t, "gw-1")
	for at, over := range map[time.Duration]bool{-time.Hour: false, 0: false, sessionid.Lifetime - time.Second: false, sessionid.Lifetime: true, 2 * sessionid.Lifetime: true} {
		if got := id.Over(noon.Add(at)); got != over {
			t.Errorf("%s after it was minted: %v", at, got)
		}
	}
}

func TestWhoMints(t *testing.T) {
	for _, l := range []authority.Life{{}, {Gateway: "gw-1"}, {Incarnation: 1}, {Gateway: strings.Repeat("n", sessionid.MaxGateway+1), Incarnation: 1}} {
		if _, err := sessionid.New(l, noon); err == nil {
			t.Errorf("%v minted", l)
		}
	}
	if one, other := mint(t, "a"), mint(t, "a"); one == other {
		t.Error("two ids are the same")
	}
}

func FuzzParse(f *testing.F) {
	id, err := sessionid.New(authority.Life{Gateway: "gw-1", Incarnation: 12345}, noon)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(id.Sign(key))
	f.Add("q1" + id.Record())
	f.Add(id.Record())
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := sessionid.Parse(key, text); err == nil && got.Sign(key) != text {
			t.Errorf("%q parses and is another's", text)
		}
		if got, err := sessionid.ParseRecord(text); err == nil && got.Record() != text {
			t.Errorf("record %q parses and is another's", text)
		}
	})
}
