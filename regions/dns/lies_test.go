package dns

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/discovery"
)

// lie is a row: what three resolvers reply, and what may come of it.
type lie struct {
	name      string
	resolvers []func(t testing.TB) *fake
	change    func(*Config) // of base, which asks for SRV, with no identity and two of three agreeing
	want      []string      // node ids
	err       error
	parties   string // Agree of each voice: "yyn"
	says      map[int]string
	check     func(t *testing.T, fakes []*fake, a discovery.Answer)
}

var (
	both    = []string{"n1:8443@127.0.0.11", "n2:8443@127.0.0.12"}
	proving = func(c *Config) { c.Identity = identity }
)

func replying(r func(t testing.TB) respond) func(t testing.TB) *fake {
	return func(t testing.TB) *fake { return serve(t, r(t)) }
}

func knows(z zone) func(t testing.TB) *fake {
	return replying(func(t testing.TB) respond { return honest(t, z) })
}

func fails(code int, options ...miekg.EDNS0) func(t testing.TB) *fake {
	return replying(func(t testing.TB) respond { return coded(t, code, options...) })
}

func alters(z zone, change func(m *miekg.Msg, tcp bool)) func(t testing.TB) *fake {
	return replying(func(t testing.TB) respond { return altered(t, z, change) })
}

// thrice is the same three times over, each a server of its own.
func thrice(f func(t testing.TB) *fake) []func(t testing.TB) *fake {
	return []func(t testing.TB) *fake{f, f, f}
}

// oneOf is two honest resolvers and another one.
func oneOf(f func(t testing.TB) *fake) []func(t testing.TB) *fake {
	return []func(t testing.TB) *fake{knows(truth), knows(truth), f}
}

var (
	elsewhere = truth.with(asked+" 60 IN SRV 0 65535 8443 evil.example.net.", "evil.example.net. 60 IN A "+impostor)
	beside    = append(slices.Clone(truth), asked+" 60 IN SRV 0 65535 8443 evil.example.net.", "evil.example.net. 60 IN A "+impostor)
	samePlace = truth.with("n1.search.example.com. 60 IN A "+impostor, "n2.search.example.com. 60 IN A "+impostor)
	expired   = &miekg.EDNS0_EDE{InfoCode: miekg.ExtendedErrorCodeSignatureExpired, ExtraText: "too late\nby a day"}
)

func poisoned() []lie {
	return []lie{
		{name: "all tell the truth", resolvers: thrice(knows(truth)), want: both, parties: "yyy"},
		{name: "one of three is poisoned: another target", resolvers: oneOf(knows(elsewhere)),
			want: both, parties: "yyn", says: map[int]string{2: "alone with evil.example.net:8443"}},
		{name: "one of three is poisoned: the truth and another target", resolvers: oneOf(knows(beside)),
			want: both, parties: "yyn", says: map[int]string{2: "alone with evil.example.net:8443"}},
		{name: "one of three is poisoned: same target and port, another address, no identity", resolvers: oneOf(knows(samePlace)),
			want: both, parties: "yyn", says: map[int]string{2: "addresses that too few others"}},
		{name: "two of three are poisoned alike, no identity to prove: agreement is all there is",
			resolvers: []func(t testing.TB) *fake{knows(truth), knows(elsewhere), knows(elsewhere)},
			want:      []string{"evil.example.net:8443@127.0.0.66"}, parties: "nyy"},
		{name: "all are poisoned alike, and the node must prove an identity", resolvers: thrice(knows(samePlace)), change: proving,
			want: []string{"n1:8443@127.0.0.66"}, parties: "yyy",
			check: func(t *testing.T, _ []*fake, a discovery.Answer) {
				if a.Nodes[0].Identity != identity {
					t.Errorf("the impostor is proposed with %+v to prove, not %+v", a.Nodes[0].Identity, identity)
				}
			}},
		{name: "all are poisoned, each its own way", err: ErrNoAgreement, parties: "nnn", resolvers: []func(t testing.TB) *fake{
			knows(truth.with(asked + " 60 IN SRV 0 1 8443 e1.example.net.")), knows(elsewhere), knows(truth.with(asked + " 60 IN SRV 0 1 1 n1.search.example.com.")),
		}},
		{name: "they differ in addresses and share an identity", change: proving, parties: "yyy",
			want: []string{"n1:8443@127.0.0.11", "n1:8443@127.0.1.11", "n1:8443@127.0.2.11", "n2:8443@127.0.0.12"},
			resolvers: []func(t testing.TB) *fake{
				knows(truth),
				knows(truth.with("n1.search.example.com. 60 IN A 127.0.1.11")),
				knows(truth.with("n1.search.example.com. 60 IN A 127.0.2.11")),
			}},
		{name: "sets that overlap: what two name is believed", parties: "yny", resolvers: []func(t testing.TB) *fake{
			knows(truth), knows(beside), knows(truth.with(asked + " 60 IN SRV 1 10 8443 n1.search.example.com.")),
		}, want: both},
		{name: "one names loopback of IPv6 in disguise, 0.0.0.0 and a metadata service", resolvers: thrice(knows(truth.with(
			"n1.search.example.com. 60 IN A 0.0.0.0", "n1.search.example.com. 60 IN A 169.254.169.254",
			"n1.search.example.com. 60 IN AAAA ::ffff:127.0.0.66", "n1.search.example.com. 60 IN AAAA ff02::1"))),
			want: both[1:], parties: "yyy"},
	}
}

func absent() []lie {
	return []lie{
		{name: "empty answers", resolvers: thrice(knows(zone{asked + " 60 IN TXT nothing"})), err: ErrEmpty, parties: "nnn",
			says: map[int]string{0: "no SRV records"}},
		{name: "NXDOMAIN", resolvers: thrice(knows(nil)), err: ErrNXDomain, parties: "nnn", says: map[int]string{0: "NXDOMAIN"}},
		{name: "the service is decidedly not available", resolvers: thrice(knows(zone{asked + " 60 IN SRV 0 0 0 ."})), err: ErrEmpty,
			parties: "nnn", says: map[int]string{0: "no service is offered"}},
		{name: "targets without addresses", resolvers: thrice(knows(truth[:2])), err: ErrEmpty, parties: "nnn"},
		{name: "one of three has NXDOMAIN", resolvers: oneOf(knows(nil)), want: both, parties: "yyn"},
		{name: "one of three is silent", resolvers: oneOf(replying(func(testing.TB) respond { return mute })), want: both, parties: "yyn",
			says: map[int]string{2: "no reply in time"}},
		{name: "SERVFAIL", resolvers: thrice(fails(miekg.RcodeServerFailure)), err: ErrServFail, parties: "nnn", says: map[int]string{0: "SERVFAIL"}},
		{name: "REFUSED", resolvers: thrice(fails(miekg.RcodeRefused)), err: ErrServFail, parties: "nnn", says: map[int]string{0: "REFUSED"}},
		{name: "SERVFAIL for an expired signature", resolvers: thrice(fails(miekg.RcodeServerFailure, expired)), err: ErrBogus,
			parties: "nnn", says: map[int]string{0: "SERVFAIL: Signature Expired (too late?by a day)"}},
		{name: "a stale answer, which says so", parties: "yyy", want: both, says: map[int]string{0: "; Stale Answer"},
			resolvers: thrice(alters(truth, func(m *miekg.Msg, _ bool) {
				m.IsEdns0().Option = []miekg.EDNS0{&miekg.EDNS0_EDE{InfoCode: miekg.ExtendedErrorCodeStaleAnswer}}
			}))},
		{name: "an answer that says itself that it is forged", parties: "yyn", want: both, says: map[int]string{2: "NOERROR: Forged Answer"},
			resolvers: oneOf(alters(elsewhere, func(m *miekg.Msg, _ bool) {
				m.IsEdns0().Option = []miekg.EDNS0{&miekg.EDNS0_EDE{InfoCode: miekg.ExtendedErrorCodeForgedAnswer}}
			}))},
		{name: "timeouts", change: func(c *Config) { c.Timeout = 100 * time.Millisecond }, resolvers: thrice(replying(func(testing.TB) respond { return mute })), err: ErrUnanswered, parties: "nnn",
			says: map[int]string{0: "no reply in time"}},
		{name: "one answers, one fails, one is silent", err: ErrUnanswered, parties: "nnn",
			resolvers: []func(t testing.TB) *fake{knows(truth), fails(miekg.RcodeServerFailure), replying(func(testing.TB) respond { return mute })}},
	}
}

// inverted is a name with every letter in the other case.
func inverted(name string) string { return mixCase(name, []byte(strings.Repeat("\x01", len(name)))) }

func garbled() []lie {
	truncate := func(m *miekg.Msg, tcp bool) {
		if !tcp {
			m.Truncated, m.Answer = true, nil
		}
	}
	foldCase := func(always bool) func(m *miekg.Msg, tcp bool) {
		return func(m *miekg.Msg, tcp bool) {
			if always || !tcp {
				m.Question[0].Name = inverted(m.Question[0].Name)
			}
		}
	}
	forged := truth.with("n1.search.example.com. 60 IN A "+impostor, "n2.search.example.com. 60 IN A "+impostor)
	overUDP := func(change func(m *miekg.Msg)) func(t testing.TB) *fake { // forged over UDP, the truth over TCP
		return replying(func(t testing.TB) respond {
			honestly, lying := honest(t, truth), altered(t, forged, func(m *miekg.Msg, _ bool) { change(m) })
			return func(w miekg.ResponseWriter, q *miekg.Msg) {
				if overTCP(w) {
					honestly(w, q)
					return
				}
				lying(w, q)
			}
		})
	}
	allTCP := func(t *testing.T, fakes []*fake, _ discovery.Answer) {
		for _, f := range fakes {
			if all, tcp := f.asked.Load(), f.tcp.Load(); tcp*2 != all {
				t.Errorf("%d queries, %d over TCP: each has to be asked again", all, tcp)
			}
		}
	}
	return []lie{
		{name: "truncated: asked over TCP", resolvers: thrice(alters(truth, truncate)), want: both, parties: "yyy",
			says: map[int]string{0: "too long for UDP"}, check: allTCP},
		{name: "truncated, and TCP is refused", err: ErrUnanswered, parties: "nnn", says: map[int]string{0: "nothing listens"},
			resolvers: thrice(func(t testing.TB) *fake { return serveOn(t, altered(t, truth, truncate), false) })},
		{name: "truncated over TCP too", resolvers: thrice(alters(truth, func(m *miekg.Msg, _ bool) { m.Truncated = true })),
			err: ErrUnanswered, parties: "nnn", says: map[int]string{0: "cut short over TCP"}},
		{name: "wrong case over UDP: asked over TCP", resolvers: thrice(alters(truth, foldCase(false))), want: both, parties: "yyy",
			says: map[int]string{0: "wrong case over UDP"}, check: allTCP},
		{name: "wrong case over TCP too: marked", resolvers: thrice(alters(truth, foldCase(true))), want: both, parties: "yyy",
			says: map[int]string{0: "does not keep the case of names"}, check: allTCP},
		{name: "wrong case, forged over UDP", resolvers: thrice(overUDP(func(m *miekg.Msg) {
			m.Question[0].Name = inverted(m.Question[0].Name)
		})), want: both, parties: "yyy"},
		{name: "wrong id, forged over UDP", resolvers: thrice(overUDP(func(m *miekg.Msg) { m.Id++ })), want: both, parties: "yyy",
			says: map[int]string{0: "a UDP reply to another question"}},
		{name: "wrong id everywhere", resolvers: thrice(alters(truth, func(m *miekg.Msg, _ bool) { m.Id++ })), err: ErrUnanswered, parties: "nnn",
			says: map[int]string{0: "its reply is to another question"}},
		{name: "another question", resolvers: thrice(overUDP(func(m *miekg.Msg) { m.Question[0].Name = "evil.example.net." })),
			want: both, parties: "yyy"},
		{name: "another type in question", resolvers: thrice(overUDP(func(m *miekg.Msg) { m.Question[0].Qtype = miekg.TypeTXT })),
			want: both, parties: "yyy"},
		{name: "no question", resolvers: thrice(overUDP(func(m *miekg.Msg) { m.Question = nil })), want: both, parties: "yyy"},
		{name: "a query in place of a reply", resolvers: thrice(overUDP(func(m *miekg.Msg) { m.Response = false })), want: both, parties: "yyy"},
		{name: "no DNS message", want: both, parties: "yyn", resolvers: oneOf(replying(func(testing.TB) respond {
			return func(w miekg.ResponseWriter, _ *miekg.Msg) { _, _ = w.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }
		}))},
		{name: "no DNS message over UDP", want: both, parties: "yyy", says: map[int]string{0: "a UDP reply that cannot be read"},
			resolvers: thrice(replying(func(t testing.TB) respond {
				honestly := honest(t, truth)
				return func(w miekg.ResponseWriter, q *miekg.Msg) {
					if overTCP(w) {
						honestly(w, q)
						return
					}
					_, _ = w.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
				}
			}))},
		{name: "records of other names in the answer", resolvers: thrice(alters(truth, func(m *miekg.Msg, _ bool) {
			evil, _ := miekg.NewRR("evil.example.net. 60 IN A " + impostor)
			m.Answer, m.Extra = append(m.Answer, evil), append(m.Extra, evil)
		})), want: both, parties: "yyy"},
	}
}

func oversized() []lie {
	many := func(n int) zone {
		z := slices.Clone(truth)
		for i := range n {
			z = append(z, fmt.Sprintf("%s 60 IN SRV 1 1 %d evil.example.net.", asked, 1+i))
		}
		return z
	}
	crowd := slices.Clone(truth)
	for i := range maxAddresses + 1 {
		crowd = append(crowd, fmt.Sprintf("n1.search.example.com. 60 IN A 127.1.0.%d", 1+i))
	}
	cut := func(m *miekg.Msg, tcp bool) {
		if m.Compress = true; !tcp && len(m.Answer) > 20 {
			m.Truncated, m.Answer = true, nil
		}
	}
	alias := func(n int) zone { // n aliases on the way to the records
		z := slices.Clone(truth[2:])
		owner := asked
		for i := range n {
			next := fmt.Sprintf("c%d.example.com.", i)
			z, owner = append(z, owner+" 60 IN CNAME "+next), next
		}
		return append(z, owner+" 60 IN SRV 1 10 8443 n1.search.example.com.", owner+" 60 IN SRV 1 10 8443 n2.search.example.com.")
	}
	return []lie{
		{name: "more endpoints than allowed", resolvers: oneOf(alters(many(maxEndpoints), cut)), want: both, parties: "yyn",
			says: map[int]string{2: "its answer is too large: 1026 SRV records"}},
		{name: "more addresses of a target than allowed", resolvers: thrice(alters(crowd, cut)), want: both[1:], parties: "yyy",
			says: map[int]string{0: "34 addresses, 32 is the limit"}},
		{name: "a datagram larger than asked for", want: both, parties: "yyy", resolvers: thrice(alters(truth, func(m *miekg.Msg, tcp bool) {
			if !tcp {
				txt := &miekg.TXT{Hdr: miekg.RR_Header{Name: asked, Rrtype: miekg.TypeTXT, Class: miekg.ClassINET}}
				for range 6 {
					txt.Txt = append(txt.Txt, strings.Repeat("x", 250))
				}
				m.Answer = append(m.Answer, txt)
			}
		})), says: map[int]string{0: "its UDP reply is larger than allowed"}},
		{name: "a loop of CNAMEs", resolvers: oneOf(knows(zone{asked + " 60 IN CNAME b.example.com.", "b.example.com. 60 IN CNAME " + asked})),
			want: both, parties: "yyn", says: map[int]string{2: "its CNAME records lead nowhere"}},
		{name: "an alias of itself", resolvers: thrice(knows(zone{asked + " 60 IN CNAME " + asked})), err: ErrUnanswered, parties: "nnn"},
		{name: "eight aliases", resolvers: thrice(knows(alias(8))), want: both, parties: "yyy"},
		{name: "nine aliases", resolvers: thrice(knows(alias(9))), err: ErrUnanswered, parties: "nnn"},
		{name: "an alias to somewhere that the answer does not hold", resolvers: thrice(knows(zone{asked + " 60 IN CNAME b.example.com."})),
			err: ErrEmpty, parties: "nnn"},
		{name: "SRV targets that are aliases", parties: "yyy", want: []string{"n1:8443@127.0.0.31", "n2:8443@127.0.0.12"},
			resolvers: thrice(knows(append(slices.Delete(slices.Clone(truth), 2, 3),
				"n1.search.example.com. 60 IN CNAME far.example.net.", "far.example.net. 60 IN A 127.0.0.31")))},
		{name: "a target that is no host name, and one at port 0", parties: "yyy", want: both,
			resolvers: thrice(knows(append(slices.Clone(truth), asked+` 60 IN SRV 0 1 8443 a\000b.example.net.`,
				asked+" 60 IN SRV 0 1 0 n1.search.example.com.")))},
	}
}

func TestLies(t *testing.T) {
	for _, group := range [][]lie{poisoned(), absent(), garbled(), oversized()} {
		for _, l := range group {
			t.Run(l.name, l.run)
		}
	}
}

func (l lie) run(t *testing.T) {
	t.Parallel()
	var fakes []*fake
	c := base()
	for _, r := range l.resolvers {
		f := r(t)
		fakes, c.Resolvers = append(fakes, f), append(c.Resolvers, f.addr)
	}
	if l.change != nil {
		l.change(&c)
	}
	a := source(t, c).Ask(t.Context())
	l.judge(t, a)
	if l.check != nil && !t.Failed() {
		l.check(t, fakes, a)
	}
}

func (l lie) judge(t *testing.T, a discovery.Answer) {
	parties, at := "", 0
	for i, v := range a.Voices {
		parties += map[bool]string{true: "y", false: "n"}[v.Agree]
		if want := l.says[i]; !strings.Contains(v.Said, want) || v.Said == "" || len(v.Said) > maxSaid {
			t.Errorf("voice %d says %q, want %q in it", i, v.Said, want)
		}
	}
	for _, n := range a.Nodes {
		if strings.Contains(n.URL, impostor) {
			at++
		}
		if err := regions.CheckProposal(n); err != nil || n.Source != Name {
			t.Errorf("proposal %+v: %v", n, err)
		}
	}
	t.Logf("verdict: %s: nodes %v, %d at the impostor's address, agree %s, error %v", l.name, ids(a), at, parties, a.Err)
	if !errors.Is(a.Err, l.err) || (a.Err == nil) != (l.err == nil) || a.Removes {
		t.Errorf("error %v, want %v; removes %v", a.Err, l.err, a.Removes)
	}
	if !slices.Equal(ids(a), l.want) {
		t.Errorf("nodes %v, want %v", ids(a), l.want)
	}
	if parties != l.parties {
		t.Errorf("agree %s, want %s", parties, l.parties)
	}
	if t.Failed() {
		for _, v := range a.Voices {
			t.Logf("%s %v %s", v.Who, v.Agree, v.Said)
		}
	}
}
