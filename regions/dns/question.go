package dns

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	miekg "github.com/miekg/dns"
)

// maxUDP is the largest reply taken over UDP, in bytes: no path of today fragments it (DNS flag day 2020).
const maxUDP = 1232

// Why a reply is not the one that was asked for.
var (
	errMismatch = errors.New("its reply is to another question")
	errCase     = errors.New("its reply does not keep the name's case")
)

// question is one query: a random id, and a name in random case that the reply must repeat, so that a reply is hard
// to forge for who does not see the query (draft-vixie-dnsext-dns0x20, RFC 5452 section 9.2).
type question struct {
	id     uint16
	name   string
	qtype  uint16
	dnssec bool
}

func newQuestion(name string, qtype uint16, dnssec bool) question {
	random := make([]byte, 2+len(name)) // crypto/rand never fails
	_, _ = rand.Read(random)
	return question{
		id: binary.BigEndian.Uint16(random), name: mixCase(name, random[2:]), qtype: qtype, dnssec: dnssec,
	}
}

// mixCase flips the case of a letter where random has its lowest bit set.
func mixCase(name string, random []byte) string {
	mixed := []byte(name)
	for i, c := range mixed {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if letter && random[i]&1 == 1 {
			mixed[i] = c ^ 0x20
		}
	}
	return string(mixed)
}

// pack returns the query. With dnssec it asks for the AD bit twice over: by AD (RFC 6840 section 5.7) and by DO, as
// some resolvers know only the older way.
func (q question) pack() ([]byte, error) {
	m := miekg.Msg{
		MsgHdr:   miekg.MsgHdr{Id: q.id, RecursionDesired: true, AuthenticatedData: q.dnssec},
		Question: []miekg.Question{{Name: q.name, Qtype: q.qtype, Qclass: miekg.ClassINET}},
	}
	m.SetEdns0(maxUDP, q.dnssec)
	return m.Pack()
}

// open returns the reply in packet, or why it is none to q: errCase when all but the name's case is right.
func (q question) open(packet []byte) (*miekg.Msg, error) {
	m := new(miekg.Msg)
	if err := m.Unpack(packet); err != nil {
		return nil, fmt.Errorf("its reply cannot be read: %w", err)
	}
	if m.Id != q.id || !m.Response || m.Opcode != miekg.OpcodeQuery || len(m.Question) != 1 {
		return nil, errMismatch
	}
	got := m.Question[0]
	switch {
	case got.Qtype != q.qtype || got.Qclass != miekg.ClassINET:
		return nil, errMismatch
	case got.Name == q.name:
		return m, nil
	case miekg.CanonicalName(got.Name) == miekg.CanonicalName(q.name):
		return m, errCase
	}
	return nil, errMismatch
}
