package regions

import (
	"errors"
	"testing"
)

func TestAuthority(t *testing.T) {
	for _, tc := range []struct{ url, host, want string }{
		{"https://10.0.0.1:8443/mcp", "", "10.0.0.1:8443"},
		{"https://10.0.0.1:8443/mcp", "n1.example.com", "n1.example.com:8443"},
		{"https://[2001:db8::1]/mcp", "n1.example.com", "n1.example.com"},
		{"http://n1.example.com/mcp", "", "n1.example.com"},
		{"https://127.0.0.11:8443/mcp", "n1.example.com", "127.0.0.11:8443"},
	} {
		if got := (Proposal{URL: tc.url, Host: tc.host}).Authority(); got != tc.want {
			t.Errorf("%s at %s: %q, want %q", tc.host, tc.url, got, tc.want)
		}
	}
}

func TestHostsThatAreNone(t *testing.T) {
	for _, host := range []string{"a:1", "a b", "a\r\nX: 1", "http://a", "a/b", "u@a"} {
		if err := CheckProposal(Proposal{ID: "a", URL: "http://127.0.0.1:1/mcp", Host: host}); !errors.Is(err, ErrInvalidNode) {
			t.Errorf("%q: %v", host, err)
		}
	}
}
