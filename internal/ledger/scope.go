package ledger

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// keySize is the size of the fleet's key, in bytes.
const keySize = 32

// scope hashes what names the call. Without the key nobody can tell, or try out, who called what.
func (c *Call) scope(key []byte) Scope {
	h := hmac.New(sha256.New, key)
	var b []byte
	add := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	add(c.Service)
	b = binary.AppendUvarint(b, uint64(len(c.Caller)))
	for _, v := range c.Caller {
		add(v)
	}
	add(c.Tool)
	add(c.Key)
	add(c.Step)
	_, _ = h.Write(b) // a hash takes everything
	return Scope(h.Sum(nil))
}
