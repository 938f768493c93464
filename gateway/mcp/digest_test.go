package mcp_test

import (
	"testing"

	"github.com/quorate/quorate/gateway/mcp"
)

func TestDigestParams(t *testing.T) {
	same := []string{
		`{"name":"t","arguments":{"a":1,"b":[1.0,"x"]}}`,
		`{ "arguments" : {"b":[1.0, "\u0078"], "a":1}, "name":"t" }`,
		`{"name":"t","arguments":{"a":1,"b":[1.0,"x"]},"_meta":{"progressToken":7}}`,
	}
	for _, p := range same {
		if mcp.DigestParams([]byte(p)) != mcp.DigestParams([]byte(same[0])) {
			t.Errorf("%s asks for something else than %s", p, same[0])
		}
	}
	seen := map[[32]byte]string{}
	for _, p := range []string{
		same[0], `{"name":"u","arguments":{"a":1,"b":[1.0,"x"]}}`, `{"name":"t","arguments":{"a":1,"b":["x",1.0]}}`, `{"name":"t"}`, `{"name":"t","arguments":{}}`,
		`{"name":"t","arguments":{"a":9007199254740993}}`, `{"name":"t","arguments":{"a":9007199254740992}}`, `{"name":"t","arguments":null}`, ``, `[]`, `7`, `null`,
		`{"name":"t","arguments":{"a":1,"a":2}}`, `{"name":"t","arguments":{"a":1}}`, `{"name":"t","arguments":{"a":2}}`, `{"name":"t","arguments":{"a":1},"inputResponses":{}}`,
		`{"name":"t","arguments":{"a":"\ud800"}}`, `{"name":"t","arguments":{"a":"\ud801"}}`,
	} {
		d := mcp.DigestParams([]byte(p))
		if other, twice := seen[d]; twice {
			t.Errorf("%s and %s ask for the same", p, other)
		}
		seen[d] = p
	}
}

func TestErrorCode(t *testing.T) {
	for object, want := range map[string]int{`{"code":-32070,"message":""}`: -32070, `{"code":"x"}`: 0, `null`: 0, ``: 0, `{"message":"m"}`: 0} {
		if got := mcp.ErrorCode([]byte(object)); got != want {
			t.Errorf("%s: %d, want %d", object, got, want)
		}
	}
}
