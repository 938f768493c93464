package committed

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// checksum is a digest of a set that changes with each member: the sum of their hashes, modulo 2^256. It finds damage
// and divergence; nobody chooses contents so that they hide from it.
type checksum [sha256.Size / 8]uint64

func (c *checksum) add(e *entry) {
	carry := uint64(0)
	for i := range c {
		c[i], carry = bits.Add64(c[i], binary.LittleEndian.Uint64(e.sum[8*i:]), carry)
	}
}

func (c *checksum) remove(e *entry) {
	borrow := uint64(0)
	for i := range c {
		c[i], borrow = bits.Sub64(c[i], binary.LittleEndian.Uint64(e.sum[8*i:]), borrow)
	}
}

// Digest returns bytes that are the same where the state is, at no cost.
func (p *Part) Digest() []byte {
	p.mu.RLock()
	defer p.mu.RUnlock()
	b := binary.AppendVarint(nil, p.now)
	b = binary.AppendUvarint(b, uint64(len(p.records)))
	for _, v := range p.digest {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}
