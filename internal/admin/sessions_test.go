package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// lasting are the sessions of a gateway that knows one, by the name eu-west.
func lasting() *Sessions {
	return &Sessions{
		List: func() SessionList {
			return SessionList{Gateway: "gw-1", Kept: true, LagMS: 1.5, Owners: []SessionOwner{{"gw-2", 3}, {"gw-1", 7}}, Unclaimed: 2}
		},
		One: func(_ context.Context, name string) (Session, error) {
			if name != "eu-west" {
				return Session{}, ErrNoSession
			}
			return Session{Session: "0123456789ab", Owner: "gw-2", Ballot: 17, Minted: Time{time.Unix(1, 0)}, State: "synced"}, nil
		},
		Dropped: func() DroppedList {
			return DroppedList{Gateway: "gw-1", Dropped: []Dropped{{Session: "0123456789ab", Changes: 2}}}
		},
	}
}

func TestSessions(t *testing.T) {
	var given []Order
	c := fleet(&given)
	if _, err := New(func() Config { c := c; c.Sessions = &Sessions{}; return c }()); err == nil {
		t.Error("sessions without functions are served")
	}
	c.Sessions = lasting()
	url := serve(t, c)
	for path, want := range map[string]struct {
		status int
		holds  []string
	}{
		"/v1/sessions":                             {200, []string{`"kept":true`, `"owners":[{"gateway":"gw-1","sessions":7},{"gateway":"gw-2"`, `"reasons":[]`, `"states":{}`, `"unclaimed":2`}},
		"/v1/sessions/eu-west":                     {200, []string{`"ballot":17`, `"copies":[]`, `"state":"synced"`}},
		"/v1/sessions/other":                       {404, []string{`unknown_session`}},
		"/v1/sessions/dropped":                     {200, []string{`"changes":2`}},
		"/v1/sessions/":                            {404, nil},
		"/v1/sessions/a/b":                         {404, nil},
		"/v1/sessions/" + strings.Repeat("n", 513): {404, nil},
	} {
		got := ask(t, http.MethodGet, url+path, nil)
		if got.status != want.status {
			t.Errorf("%.40s: %d, want %d", path, got.status, want.status)
		}
		for _, part := range want.holds {
			if !strings.Contains(got.body, part) {
				t.Errorf("%s: %s holds no %s", path, got.body, part)
			}
		}
		if got.status == http.StatusOK && !json.Valid([]byte(got.body)) {
			t.Errorf("%s: no JSON", path)
		}
	}
}
