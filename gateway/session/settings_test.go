package session_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestSettingsAreBounded: what a session remembers for a move is bounded in bytes too, and a request that does not fit is
// refused, not run and forgotten.
func TestSettingsAreBounded(t *testing.T) {
	s := &script{json: true}
	w := dial(t, newBed(t, nil, s))
	padding := strings.Repeat("x", 300<<10)
	set := func(i int, method, params string) string {
		_, body := w.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":{%s,"pad":%q}}`, i, method, params, padding))
		return body
	}
	for i := range 6 {
		fits := i < 3
		if body := set(i, "resources/subscribe", fmt.Sprintf(`"uri":"file:///%d"`, i)); strings.Contains(body, `"result"`) != fits {
			t.Errorf("subscription %d: %s", i, body)
		}
	}
	if body := set(9, "logging/setLevel", `"level":"info"`); !strings.Contains(body, "-32073") {
		t.Errorf("level: %s", body)
	}
	if body := set(10, "resources/unsubscribe", `"uri":"file:///0"`); !strings.Contains(body, `"result"`) {
		t.Errorf("unsubscribe: %s", body)
	}
	if body := set(11, "logging/setLevel", `"level":"info"`); !strings.Contains(body, `"result"`) {
		t.Errorf("level when there is room: %s", body)
	}
}
