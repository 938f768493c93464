package discovery

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
)

// respond writes a reply to a question, honest or not, or none.
type respond func(w dns.ResponseWriter, q *dns.Msg)

// resolver is a DNS server on loopback, over UDP and TCP at one port, that says what it is told to.
type resolver struct {
	addr  string
	asked atomic.Int64
	says  atomic.Pointer[respond]
	stop  func() // ends it: its port refuses
}

func (r *resolver) say(what respond) { r.says.Store(&what) }

// resolve starts a resolver.
func resolve(t *testing.T, says respond) *resolver {
	t.Helper()
	packets, streams := bothProtocols(t)
	r := &resolver{addr: streams.Addr().String()}
	r.say(says)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		r.asked.Add(1)
		(*r.says.Load())(w, q)
	})
	var ends []func()
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: streams, Handler: handler}} {
		up, down := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		go func() { defer close(down); _ = s.ActivateAndServe() }()
		<-up
		ends = append(ends, func() { _ = s.Shutdown(); <-down })
	}
	r.stop = sync.OnceFunc(func() {
		for _, end := range ends {
			end()
		}
	})
	t.Cleanup(r.stop)
	return r
}

// bothProtocols returns UDP and TCP at one port of loopback.
func bothProtocols(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return p, l
		}
		_ = l.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

// zone makes records of their presentation form.
func zone(t *testing.T, lines ...string) (records []dns.RR) {
	t.Helper()
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatalf("record %q: %v", line, err)
		}
		records = append(records, rr)
	}
	return records
}

// knowing replies as a resolver does that knows these records, after a change to the reply.
func knowing(records []dns.RR, change func(m *dns.Msg, tcp bool)) respond {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.RecursionAvailable = true
		m.SetEdns0(1232, false)
		m.Rcode = dns.RcodeNameError
		for _, rr := range records {
			if rr.Header().Name != dns.CanonicalName(q.Question[0].Name) {
				continue
			}
			m.Rcode = dns.RcodeSuccess
			if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		if change != nil {
			change(m, w.RemoteAddr().Network() == "tcp")
		}
		_ = w.WriteMsg(m)
	}
}

// failing replies with a code and nothing else.
func failing(code int) respond {
	return knowing(nil, func(m *dns.Msg, _ bool) { m.Rcode = code })
}

func silent(dns.ResponseWriter, *dns.Msg) {}

// truncated replies over UDP with nothing but the word that TCP has more.
func truncated(records []dns.RR) respond {
	return knowing(records, func(m *dns.Msg, tcp bool) {
		if !tcp {
			m.Answer, m.Truncated = nil, true
		}
	})
}

// forged replies over UDP as one does who sees no question, only its address and name; over TCP nobody can.
func forged(lie, truth []dns.RR) respond {
	spoofed, honest := knowing(lie, swapCase), knowing(truth, nil)
	return func(w dns.ResponseWriter, q *dns.Msg) {
		if w.RemoteAddr().Network() == "tcp" {
			honest(w, q)
			return
		}
		spoofed(w, q)
	}
}

// swapCase changes the question's case, as a spoofed reply has it that does not know the one sent.
func swapCase(m *dns.Msg, _ bool) {
	m.Question[0].Name = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, m.Question[0].Name)
}
