package dns

import (
	"slices"
	"strings"
	"sync"
	"testing"

	miekg "github.com/miekg/dns"
)

// FuzzAnswer reads any bytes as a reply to each kind of question, and checks the bounds of what comes out.
func FuzzAnswer(f *testing.F) {
	q := question{id: 1, name: asked, qtype: miekg.TypeSRV}
	query := new(miekg.Msg).SetQuestion(asked, miekg.TypeSRV)
	query.Id = 1
	for _, z := range []zone{
		truth, beside, nil, {asked + " 60 IN SRV 0 0 0 ."}, {asked + " 60 IN CNAME " + asked},
		{asked + " 60 IN CNAME n1.search.example.com.", "n1.search.example.com. 4294967295 IN SRV 1 1 1 " + asked},
	} {
		m := reply(z.read(f), query)
		m.IsEdns0().Option = []miekg.EDNS0{expired}
		packet, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packet)
	}
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		m, err := q.open(packet)
		if err == nil && (m.Id != q.id || m.Question[0].Name != q.name) {
			t.Fatal("a reply to another question is taken")
		}
		if m = new(miekg.Msg); m.Unpack(packet) != nil {
			return
		}
		if _, text := rcode(m); len(text) > 3*200 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("says %q", text)
		}
		owners := []string{asked}
		for _, rr := range m.Answer {
			owners = append(owners, rr.Header().Name)
		}
		for _, owner := range owners[:min(len(owners), 4)] {
			bounded(t, m, owner)
		}
	})
}

func bounded(t *testing.T, m *miekg.Msg, owner string) {
	all, _, err := services(m, owner)
	if err == nil && len(all) > maxEndpoints {
		t.Fatalf("%d services", len(all))
	}
	for _, s := range all {
		if s.port == 0 || !hostname(s.target) || strings.HasSuffix(s.target, ".") || s.target != strings.ToLower(s.target) {
			t.Fatalf("service %+v", s)
		}
	}
	for _, e := range endpoints(asked, 1, all) {
		if e.name+"." != asked {
			t.Fatalf("endpoint %+v", e)
		}
	}
	for _, family := range []uint16{miekg.TypeA, miekg.TypeAAAA} {
		addrs, _, err := addresses(m, owner, family, maxAddresses)
		if err == nil && len(addrs) > maxAddresses {
			t.Fatalf("%d addresses", len(addrs))
		}
		for _, a := range addrs {
			if a.Is4() != (family == miekg.TypeA) || a.IsMulticast() || a.IsUnspecified() || a.IsLinkLocalUnicast() || a.Is4In6() {
				t.Fatalf("address %v", a)
			}
		}
	}
}

// Every query has a random case, id and port of its own.
func TestQuestionsAreHardToGuess(t *testing.T) {
	names, ids := map[string]bool{}, map[uint16]bool{}
	for range 200 {
		q := newQuestion(asked, miekg.TypeSRV, false)
		if miekg.CanonicalName(q.name) != asked {
			t.Fatalf("name %q", q.name)
		}
		names[q.name], ids[q.id] = true, true
	}
	// 23 letters: 200 of 2^23 names. Of 65,536 ids, 200 meet twice in more than 10 pairs about never.
	if len(names) < 195 || len(ids) < 190 {
		t.Errorf("%d names and %d ids of 200 queries", len(names), len(ids))
	}
	ports := map[string]bool{}
	var queries []*miekg.Msg
	var mu sync.Mutex
	inner := honest(t, zone{"n1.example.com. 60 IN A 127.0.0.11"})
	f := serve(t, func(w miekg.ResponseWriter, q *miekg.Msg) {
		mu.Lock()
		defer mu.Unlock()
		ports[w.RemoteAddr().String()] = true
		queries = append(queries, q)
		inner(w, q)
	})
	c := base(f.addr)
	c.Name, c.Type, c.Port, c.Identity = "n1.example.com", A, 443, identity
	s := source(t, c)
	for range 50 {
		if a := s.Ask(t.Context()); a.Err != nil {
			t.Fatal(a.Err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ports) < 45 {
		t.Errorf("%d ports of 50 queries", len(ports))
	}
	for _, q := range queries {
		if o := q.IsEdns0(); o == nil || o.UDPSize() != maxUDP || o.Do() || q.AuthenticatedData || !q.RecursionDesired {
			t.Fatalf("query %v", q)
		}
	}
}

func TestLifetime(t *testing.T) {
	for ttl, want := range map[uint32]uint32{0: 0, 1: 1, 1<<31 - 1: 1<<31 - 1, 1 << 31: 0, 1<<32 - 1: 0} {
		if got := lifetime(ttl); got != want {
			t.Errorf("%d: %d, want %d", ttl, got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	if got := plain("a\x1b[31mb\né", 20); got != "a?[31mb??" {
		t.Errorf("%q", got)
	}
	if got := plain(strings.Repeat("x", 30), 20); len(got) != 20 || !strings.HasSuffix(got, "...") {
		t.Errorf("%q", got)
	}
	if got := endpoints(asked, 1, []service{{"b", 1, 2, 5}, {"a", 1, 9, 5}, {"a", 1, 3, 7}}); len(got) != 2 ||
		!slices.Equal([]uint16{got[0].priority, got[1].priority}, []uint16{2, 3}) {
		t.Errorf("an endpoint given twice: %+v", got)
	}
}
