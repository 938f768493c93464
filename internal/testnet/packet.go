package testnet

import (
	"encoding/binary"
	"net/netip"
)

const (
	mtu    = 1500
	tcp    = 6
	header = 20 // bytes of an IPv4 header without options, and of a TCP header without
)

// TCP flags.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	_
	flagACK
)

// packet is one IPv4 packet.
type packet []byte

func (p packet) valid() bool { return len(p) >= header && p[0]>>4 == 4 }

func (p packet) destination() netip.Addr { return netip.AddrFrom4([4]byte(p[16:20])) }

// connection returns the ports of a TCP packet as one number, and whether its connection stays open.
func (p packet) connection() (ports uint32, open bool) {
	size := int(p[0]&15) * 4
	if p[9] != tcp || len(p) < size+header {
		return 0, false
	}
	flags := p[size+13]
	return binary.BigEndian.Uint32(p[size:]), flags&flagACK != 0 && flags&(flagRST|flagFIN) == 0
}

// reset returns the TCP reset that a port nobody listens on would answer p with (RFC 9293 section 3.5.2), nil
// for what is not answered so.
func (p packet) reset() packet {
	size := int(p[0]&15) * 4
	if p[9] != tcp || len(p) < size+header {
		return nil
	}
	segment := p[size:]
	flags := segment[13]
	if flags&flagRST != 0 {
		return nil
	}
	r := make(packet, 2*header)
	r[0], r[8], r[9] = 4<<4|5, 64, tcp
	binary.BigEndian.PutUint16(r[2:], uint16(len(r)))
	copy(r[12:16], p[16:20])
	copy(r[16:20], p[12:16])
	t := r[header:]
	copy(t[0:2], segment[2:4])
	copy(t[2:4], segment[0:2])
	if flags&flagACK != 0 {
		copy(t[4:8], segment[8:12])
		t[13] = flagRST
	} else {
		length := len(segment) - int(segment[12]>>4)*4
		for _, f := range [...]byte{flagSYN, flagFIN} {
			if flags&f != 0 {
				length++
			}
		}
		binary.BigEndian.PutUint32(t[8:], binary.BigEndian.Uint32(segment[4:8])+uint32(length))
		t[13] = flagRST | flagACK
	}
	t[12] = 5 << 4
	binary.BigEndian.PutUint16(r[10:], checksum(0, r[:header]))
	pseudo := sum(sum(0, r[12:20]), []byte{0, tcp, 0, header})
	binary.BigEndian.PutUint16(t[16:], checksum(pseudo, t))
	return r
}

// sum adds 16-bit words (RFC 1071).
func sum(s uint32, b []byte) uint32 {
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	return s
}

func checksum(s uint32, b []byte) uint16 {
	s = sum(s, b)
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}
