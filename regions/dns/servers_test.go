package dns

import (
	"crypto/tls"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/discovery"
)

const (
	asked = "_mcp._tcp.search.example.com."
	// impostor is the address that liars name. Nothing may be proposed there.
	impostor = "127.0.0.66"
)

// zone is what a fake resolver knows: records in the presentation form, by owner name and type.
type zone []string

// truth is two nodes of a service.
var truth = zone{
	asked + " 60 IN SRV 1 10 8443 n1.search.example.com.",
	asked + " 60 IN SRV 1 20 8443 n2.search.example.com.",
	"n1.search.example.com. 60 IN A 127.0.0.11",
	"n2.search.example.com. 60 IN A 127.0.0.12",
}

// with returns the zone with other records, which replace those of the same owner and type.
func (z zone) with(records ...string) zone {
	replaced := func(record string) bool {
		for _, r := range records {
			a, b := strings.Fields(r), strings.Fields(record)
			if a[0] == b[0] && a[3] == b[3] {
				return true
			}
		}
		return false
	}
	var out zone
	for _, record := range z {
		if !replaced(record) {
			out = append(out, record)
		}
	}
	return append(out, records...)
}

// read returns the zone's records.
func (z zone) read(t testing.TB) (records []miekg.RR) {
	t.Helper()
	for _, record := range z {
		rr, err := miekg.NewRR(record)
		if err != nil {
			t.Fatalf("record %q: %v", record, err)
		}
		records = append(records, rr)
	}
	return records
}

// reply is what an honest resolver says that knows the records.
func reply(records []miekg.RR, q *miekg.Msg) *miekg.Msg {
	m := new(miekg.Msg).SetReply(q)
	m.RecursionAvailable = true
	m.SetEdns0(1232, false)
	name, exists := miekg.CanonicalName(q.Question[0].Name), false
	for range 10 {
		alias := ""
		for _, rr := range records {
			if rr.Header().Name != name {
				continue
			}
			exists = true
			if cname, ok := rr.(*miekg.CNAME); ok {
				alias = cname.Target
				m.Answer = append(m.Answer, rr)
			} else if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		if alias == "" {
			break
		}
		name = alias
	}
	if !exists {
		m.Rcode = miekg.RcodeNameError
	}
	return m
}

// fake is a resolver on loopback, over UDP and TCP at one port.
type fake struct {
	addr  string
	asked atomic.Int64 // queries
	tcp   atomic.Int64 // those over TCP
}

// respond writes a reply to q, honest or not, or none.
type respond func(w miekg.ResponseWriter, q *miekg.Msg)

func honest(t testing.TB, z zone) respond { return altered(t, z, func(*miekg.Msg, bool) {}) }

// altered replies from the zone after a change.
func altered(t testing.TB, z zone, change func(m *miekg.Msg, tcp bool)) respond {
	t.Helper()
	records := z.read(t)
	return func(w miekg.ResponseWriter, q *miekg.Msg) {
		m := reply(records, q)
		change(m, overTCP(w))
		_ = w.WriteMsg(m)
	}
}

func coded(t testing.TB, code int, options ...miekg.EDNS0) respond {
	return altered(t, nil, func(m *miekg.Msg, _ bool) {
		m.Rcode = code
		m.IsEdns0().Option = options
	})
}

func mute(miekg.ResponseWriter, *miekg.Msg) {}

func overTCP(w miekg.ResponseWriter) bool { return w.RemoteAddr().Network() == "tcp" }

// listen returns UDP and TCP at one port of loopback.
func listen(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return p, l
		}
		l.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

func serve(t testing.TB, r respond) *fake { return serveOn(t, r, true) }

// serveOn serves over UDP, and over TCP only if tcp says so: otherwise TCP is refused.
func serveOn(t testing.TB, r respond, tcp bool) *fake {
	t.Helper()
	packets, streams := listen(t)
	f := &fake{addr: streams.Addr().String()}
	start(t, &miekg.Server{PacketConn: packets, Handler: f.handler(r)})
	if tcp {
		start(t, &miekg.Server{Listener: streams, Handler: f.handler(r)})
	} else {
		streams.Close()
	}
	return f
}

// serveTLS serves over TLS only.
func serveTLS(t testing.TB, r respond, c *tls.Config) *fake {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{addr: l.Addr().String()}
	start(t, &miekg.Server{Listener: l, Handler: f.handler(r)})
	return f
}

func (f *fake) handler(r respond) miekg.HandlerFunc {
	return func(w miekg.ResponseWriter, q *miekg.Msg) {
		f.asked.Add(1)
		if overTCP(w) {
			f.tcp.Add(1)
		}
		r(w, q)
	}
}

func start(t testing.TB, s *miekg.Server) {
	t.Helper()
	up, down := make(chan struct{}), make(chan error, 1)
	s.NotifyStartedFunc = func() { close(up) }
	go func() { down <- s.ActivateAndServe() }()
	select {
	case <-up:
	case err := <-down:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(); err != nil {
			t.Error(err)
		}
		<-down
	})
}

// base is a configuration for tests: SRV, no identity. Its timeout is for busy machines.
func base(resolvers ...string) Config {
	return Config{
		Service: "search", Region: "us-east", Name: asked, Type: SRV, Resolvers: resolvers, Scheme: "https",
		Timeout: 2 * time.Second, Tries: 1,
	}
}

var identity = regions.Identity{TLSName: "*.search.example.com"}

func source(t testing.TB, c Config) *Source {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ids(a discovery.Answer) (ids []string) {
	for _, n := range a.Nodes {
		ids = append(ids, string(n.ID))
	}
	return ids
}
