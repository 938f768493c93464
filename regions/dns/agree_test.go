package dns

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// named is an endpoint by its target's number and its addresses' numbers.
func named(target int, addrs ...int) endpoint {
	e := endpoint{key: key{"search", fmt.Sprintf("n%d", target), 443}, priority: 1, weight: 10, ttl: 60, secure: true}
	for _, a := range addrs {
		e.addrs = append(e.addrs, number(a))
	}
	return e
}

func number(a int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(a >> 8), byte(a)}) }

func opinions(all ...[]endpoint) (o []opinion) {
	for _, e := range all {
		o = append(o, opinion{endpoints: e})
	}
	return o
}

// summary is a consensus in short: "n1@[...] n2@[...]" and who is a party.
func summary(c consensus) string {
	s := ""
	for _, e := range c.accepted {
		s += fmt.Sprint(e.target, e.addrs, " ")
	}
	for _, p := range c.party {
		s += map[bool]string{true: "y", false: "n"}[p]
	}
	return s
}

func TestAgree(t *testing.T) {
	one, two := named(1, 1), named(2, 2)
	for _, tc := range []struct {
		name     string
		opinions []opinion
		rule     rule
		want     string
	}{
		{"nobody", nil, rule{agree: 1}, ""},
		{"one of one", opinions([]endpoint{one}), rule{agree: 1}, "n1[10.0.0.1] y"},
		{"one of two is too few", opinions([]endpoint{one}, nil), rule{agree: 2}, "nn"},
		{"two of three", opinions([]endpoint{one, two}, []endpoint{two}, []endpoint{named(3, 3)}), rule{agree: 2}, "n2[10.0.0.2] nyn"},
		{"an endpoint given twice is one vote", opinions([]endpoint{one, one}, []endpoint{two}), rule{agree: 2}, "nn"},
		{"an address given twice is one vote", opinions([]endpoint{named(1, 1, 1)}, []endpoint{named(1, 2)}), rule{agree: 2, confirm: true}, "nn"},
		{"addresses differ", opinions([]endpoint{one}, []endpoint{named(1, 2)}), rule{agree: 2}, "n1[10.0.0.1 10.0.0.2] yy"},
		{"addresses differ, most named first", opinions([]endpoint{one}, []endpoint{named(1, 2)}, []endpoint{named(1, 2)}), rule{agree: 2},
			"n1[10.0.0.2 10.0.0.1] yyy"},
		{"addresses differ and prove nothing", opinions([]endpoint{one}, []endpoint{named(1, 2)}), rule{agree: 2, confirm: true}, "nn"},
		{"a common address that proves nothing", opinions([]endpoint{named(1, 1, 5)}, []endpoint{named(1, 5)}), rule{agree: 2, confirm: true},
			"n1[10.0.0.5] ny"},
		{"agreed, without any address", opinions([]endpoint{named(1), two}, []endpoint{named(1), two}), rule{agree: 2}, "n2[10.0.0.2] yy"},
		{"one has the address of both", opinions([]endpoint{named(1)}, []endpoint{one}), rule{agree: 2}, "n1[10.0.0.1] yy"},
		{"nobody validated", opinions([]endpoint{one}, []endpoint{one}), rule{agree: 2, validated: true}, "nn"},
		{"one validated", []opinion{{[]endpoint{one}, true}, {[]endpoint{one, two}, false}, {[]endpoint{two}, false}}, rule{agree: 2, validated: true},
			"n1[10.0.0.1] ynn"},
		{"an address that is not the validated one", []opinion{{[]endpoint{named(1, 1)}, true}, {[]endpoint{named(1, 6)}, false}, {[]endpoint{named(1, 6)}, false}},
			rule{agree: 2, confirm: true, validated: true}, "nnn"},
	} {
		if got := summary(agree(tc.opinions, tc.rule)); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// A resolver that lies about priority, weight or time to live moves nothing but, downwards, the time to live.
func TestAgreeOnPriorityAndWeight(t *testing.T) {
	lie := named(1, 1)
	lie.priority, lie.weight, lie.ttl = 0, 65535, 1<<31-1
	c := agree(opinions([]endpoint{lie}, []endpoint{named(1, 1)}, []endpoint{named(1, 1)}), rule{agree: 2})
	if want := named(1, 1); len(c.accepted) != 1 || !same(c.accepted[0], want) {
		t.Errorf("%+v, want %+v", c.accepted, want)
	}
}

func same(a, b endpoint) bool {
	return slices.Equal(a.addrs, b.addrs) && a.key == b.key && a.priority == b.priority && a.weight == b.weight && a.ttl == b.ttl
}

// decode makes opinions of bytes: few targets and addresses, so that they often meet.
func decode(data []byte) (all []opinion, r rule) {
	if len(data) < 2 || len(data) > 512 {
		return nil, rule{agree: 1}
	}
	r = rule{agree: 1 + int(data[0]%5), confirm: data[0]&0x20 != 0, validated: data[0]&0x40 != 0}
	all = make([]opinion, 1+data[1]%maxResolvers)
	for rest := data[2:]; len(rest) >= 3; rest = rest[3:] {
		o := &all[int(rest[0])%len(all)]
		o.validated = o.validated || rest[0]&0x80 != 0
		e := named(int(rest[1]%8), int(rest[2]%16), int(rest[2]/16))
		e.priority, e.weight, e.ttl, e.secure = uint16(rest[2]), uint16(rest[1]), uint32(rest[0]), rest[1]&0x80 != 0
		o.endpoints = append(o.endpoints, e)
	}
	return all, r
}

func FuzzAgree(f *testing.F) {
	f.Add([]byte{1, 2, 0, 1, 1, 1, 1, 1, 2, 2, 2})
	f.Add([]byte{0x21, 2, 0, 1, 1, 1, 1, 1, 2, 1, 0x66})
	f.Add([]byte{0x61, 4, 0x80, 0x81, 0x11, 0x81, 1, 0x11, 2, 1, 0x22, 3, 1, 0x22})
	f.Fuzz(func(t *testing.T, data []byte) {
		all, r := decode(data)
		c := agree(all, r)
		support(t, all, r, c)
		shuffled := slices.Clone(all)
		rand.New(rand.NewPCG(uint64(len(data)), 1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if got, want := agree(shuffled, r), c; !slices.EqualFunc(got.accepted, want.accepted, same) || len(got.named) != len(want.named) {
			t.Fatalf("the order of opinions matters: %+v\n%+v", got, want)
		}
		liar(t, all, r)
	})
}

// support checks what every accepted endpoint and address rests on.
func support(t *testing.T, all []opinion, r rule, c consensus) {
	for _, e := range c.accepted {
		votes, validated := 0, false
		for _, o := range all {
			if slices.ContainsFunc(o.endpoints, func(other endpoint) bool { return other.key == e.key }) {
				votes, validated = votes+1, validated || o.validated
			}
		}
		if votes < r.agree || r.validated && !validated {
			t.Fatalf("%v has %d votes, validated %v; rule %+v", e.key, votes, validated, r)
		}
		for _, a := range e.addrs {
			if n := naming(all, e.key, a); n == 0 || r.confirm && n < r.agree {
				t.Fatalf("%v at %v has %d votes; rule %+v", e.key, a, n, r)
			}
		}
		if len(e.addrs) == 0 {
			t.Fatalf("%v has no address", e.key)
		}
	}
}

func naming(all []opinion, k key, a netip.Addr) (n int) {
	for _, o := range all {
		if slices.ContainsFunc(o.endpoints, func(e endpoint) bool { return e.key == k && slices.Contains(e.addrs, a) }) {
			n++
		}
	}
	return n
}

// liar adds one opinion that names everything: with two or more that must agree, it gets in nothing that nobody else
// names, and where addresses need agreement, no address either.
func liar(t *testing.T, all []opinion, r rule) {
	var lies []endpoint
	for i := range 8 {
		lies = append(lies, named(i, 0xdead))
	}
	lies = append(lies, named(66, 0xdead))
	c := agree(append(slices.Clone(all), opinion{lies, true}), rule{agree: max(r.agree, 2), confirm: r.confirm, validated: r.validated})
	for _, e := range c.accepted {
		if e.target == "n66" || r.confirm && slices.Contains(e.addrs, number(0xdead)) {
			t.Fatalf("one liar got in %v at %v", e.key, e.addrs)
		}
	}
}

func BenchmarkAgree(b *testing.B) {
	for _, confirm := range []bool{false, true} {
		b.Run(fmt.Sprintf("1000 endpoints x 5 resolvers, confirm %v", confirm), func(b *testing.B) {
			all := make([]opinion, 5)
			for i := range all {
				for n := range 1000 {
					e := named(n, n)
					all[i].endpoints = append(all[i].endpoints, e)
				}
			}
			r := rule{agree: 4, confirm: confirm}
			if got := len(agree(all, r).accepted); got != 1000 {
				b.Fatalf("%d endpoints accepted", got)
			}
			b.ReportAllocs()
			for b.Loop() {
				agree(all, r)
			}
		})
	}
}
