package mcp

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"
)

// DigestParams returns the digest of everything in params but _meta, whatever the order of its members and the blanks
// between them. Numbers count as they are written. Params that are no object have the digest of their bytes.
func DigestParams(params []byte) [32]byte {
	var members map[string]jsontext.Value
	if json.Unmarshal(params, &members) != nil || members == nil {
		return sha256.Sum256(params)
	}
	delete(members, "_meta")
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for name, v := range members {
		v = bytes.Clone(v)
		if v.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)) == nil {
			members[name] = v
		}
	}
	if e.Encode(members) != nil {
		return sha256.Sum256(params)
	}
	return sha256.Sum256(b.Bytes())
}

// ErrorCode returns the code of a JSON-RPC error object, 0 if it has none.
func ErrorCode(object []byte) int {
	var e struct {
		Code int `json:"code"`
	}
	_ = json.Unmarshal(object, &e) // one that is odd has no code
	return e.Code
}
