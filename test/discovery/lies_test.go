package discovery

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/quorate/quorate/internal/bench/failover"
	"github.com/quorate/quorate/internal/mcpnode/pool"
	"github.com/quorate/quorate/regions/identity/identitytest"
)

// asked is the name that the gateway looks up.
const asked = "_mcp._tcp.search.example.com."

// lied is a gateway that asks three resolvers for the nodes of a service, which are n1 and n2 at 127.0.0.11 and .12,
// on one port. An impostor answers MCP at 127.0.0.66, with a certificate of another authority.
type lied struct {
	t         *testing.T
	nodes     *pool.Pool
	good      []*identitytest.Listener
	impostor  *identitytest.Listener
	trusted   *identitytest.Authority
	port      string
	resolvers []*resolver
	gateway   *gateway
}

// port is one that is free on every address of loopback given.
func freePort(t *testing.T, hosts ...string) string {
	t.Helper()
next:
	for range 50 {
		l, err := net.Listen("tcp", hosts[0]+":0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		_ = l.Close()
		for _, h := range hosts {
			l, err := net.Listen("tcp", net.JoinHostPort(h, port))
			if err != nil {
				continue next
			}
			_ = l.Close()
		}
		return port
	}
	t.Fatal("no port is free on all addresses")
	return ""
}

const impostorHost = "127.0.0.66"

// inLies starts nodes, impostor and honest resolvers. trusted says that the impostor proves the identity.
func inLies(t *testing.T, nodes *pool.Pool, trusted bool) *lied {
	t.Helper()
	w := &lied{t: t, nodes: nodes, trusted: identitytest.NewAuthority(t, "trusted")}
	w.port = freePort(t, "127.0.0.11", "127.0.0.12", "127.0.0.13", impostorHost)
	for i, host := range []string{"127.0.0.11", "127.0.0.12", "127.0.0.13"} {
		w.good = append(w.good, secured(t, net.JoinHostPort(host, w.port), nodes.Nodes()[i%2].Address(), w.trusted.Issue(t, leaf())))
	}
	by := identitytest.NewAuthority(t, "other")
	if trusted {
		by = w.trusted
	}
	false1 := leaf()
	false1.IPs = append(false1.IPs, net.ParseIP(impostorHost))
	w.impostor = secured(t, net.JoinHostPort(impostorHost, w.port), nodes.Nodes()[2].Address(), by.Issue(t, false1))
	for range 3 {
		w.resolvers = append(w.resolvers, resolve(t, knowing(w.truth(), nil)))
	}
	return w
}

// document is the gateway's file; dnsKeys and serviceLines are more of it.
func (w *lied) document(resolvers []*resolver, dnsKeys, serviceLines string) string {
	var addresses []string
	for _, r := range resolvers {
		addresses = append(addresses, fmt.Sprintf("%q", r.addr))
	}
	return base("gw-1", usEast) + fmt.Sprintf(`services:
  - name: search
    path: /mcp
    checks: {interval: 300ms, failures: 2}
    discover: [{dns: {name: %s, resolvers: [%s], min_ttl: 100ms, max_ttl: 200ms, timeout: 1s, tries: 1%s}}]
%s`, asked, strings.Join(addresses, ", "), dnsKeys, serviceLines)
}

// proven is what the nodes have to prove.
func (w *lied) proven() string {
	return fmt.Sprintf("    identity: {tls_name: \"*.search.example.com\", ca_file: %q}\n", authorityFile(w.t, w.trusted.Cert()))
}

func (w *lied) start() {
	w.t.Helper()
	w.gateway = serve(w.t, group(w.t), w.document(w.resolvers, "", w.proven()))
}

// truth is the zone as it is; more lines are added to it.
func (w *lied) truth(more ...string) []dns.RR {
	return zone(w.t, append([]string{
		asked + " 60 IN SRV 1 10 " + w.port + " n1.search.example.com.",
		asked + " 60 IN SRV 1 10 " + w.port + " n2.search.example.com.",
		"n1.search.example.com. 60 IN A 127.0.0.11",
		"n2.search.example.com. 60 IN A 127.0.0.12",
	}, more...)...)
}

// poisoned are zones with the impostor in place of the nodes: as another target, or as another address of theirs.
func (w *lied) otherTarget() []dns.RR {
	return zone(w.t, asked+" 60 IN SRV 1 10 "+w.port+" evil.search.example.com.", "evil.search.example.com. 60 IN A "+impostorHost)
}

func (w *lied) otherAddress() []dns.RR {
	return zone(w.t, asked+" 60 IN SRV 1 10 "+w.port+" n1.search.example.com.", asked+" 60 IN SRV 1 10 "+w.port+" n2.search.example.com.",
		"n1.search.example.com. 60 IN A "+impostorHost, "n2.search.example.com. 60 IN A "+impostorHost)
}

// say has the first n resolvers say something else.
func (w *lied) say(n int, what respond) {
	for _, r := range w.resolvers[:n] {
		r.say(what)
	}
}

// node is the id of a target at an address.
func (w *lied) node(target, host string) string { return target + ":" + w.port + "@" + host }

// answering waits until these nodes have answered once more.
func (w *lied) answering(what string, ids ...string) {
	w.t.Helper()
	before := w.gateway.samples("quorate_attempts_total")
	for _, id := range ids {
		await(w.t, what+": "+id+" serves", func() bool {
			return sum(w.gateway.samples("quorate_attempts_total"), label("node", id), label("result", "ok")) > max(0, sum(before, label("node", id), label("result", "ok")))
		})
	}
}

const dnsSource = "dns:" + asked

// rounds waits until every resolver was asked n times more.
func (w *lied) rounds(n int64) {
	w.t.Helper()
	for _, r := range w.resolvers {
		from := r.asked.Load()
		await(w.t, "resolvers are asked again", func() bool { return r.asked.Load() >= from+n })
	}
}

// few are agents enough to see a loss.
var few = failover.Mix{ModernRaw: 2, LegacyRaw: 2}

// Resolvers lie in every way that is known of them. Each lie ends in a verdict: the impostor gets no byte, no node is
// lost, no call fails, and what nobody could learn anything from is shown to be stale.
func TestDNSLies(t *testing.T) {
	nodes := startPool(t, group(t), "n", 3)

	lies := []struct {
		name  string
		tell  func(w *lied)
		stale bool
	}{
		{"silence", func(w *lied) { w.say(3, silent) }, true}, // first, as resolvers that were silent are left alone for 30 s
		{"one of three poisoned, another target", func(w *lied) { w.say(1, knowing(w.otherTarget(), nil)) }, false},
		{"one of three poisoned, other addresses", func(w *lied) { w.say(1, knowing(w.otherAddress(), nil)) }, false},
		{"all poisoned, another target", func(w *lied) { w.say(3, knowing(w.otherTarget(), nil)) }, false},
		{"all poisoned, other addresses", func(w *lied) { w.say(3, knowing(w.otherAddress(), nil)) }, false},
		{"no records", func(w *lied) { w.say(3, failing(dns.RcodeSuccess)) }, true},
		{"NXDOMAIN", func(w *lied) { w.say(3, failing(dns.RcodeNameError)) }, true},
		{"SERVFAIL", func(w *lied) { w.say(3, failing(dns.RcodeServerFailure)) }, true},
		{"SERVFAIL of two of three", func(w *lied) { w.say(2, failing(dns.RcodeServerFailure)) }, true},
		{"NXDOMAIN of one of three", func(w *lied) { w.say(1, failing(dns.RcodeNameError)) }, false},
		{"truncated, and TCP has it all", func(w *lied) { w.say(3, truncated(w.truth())) }, false},
		{"replies over UDP forged without the case", func(w *lied) { w.say(3, forged(w.otherTarget(), w.truth())) }, false},
		{"a time to live of 68 years", func(w *lied) {
			w.say(3, knowing(w.truth(), func(m *dns.Msg, _ bool) { ttl(m, 1<<31-1) }))
		}, false},
		{"a time to live of 0", func(w *lied) { w.say(3, knowing(w.truth(), func(m *dns.Msg, _ bool) { ttl(m, 0) })) }, false},
		{"sets that flap", func(w *lied) {
			for i, r := range w.resolvers {
				calls := i
				r.say(knowing(w.truth(), func(m *dns.Msg, _ bool) {
					if calls++; len(m.Answer) == 2 {
						m.Answer = m.Answer[calls/3%2 : calls/3%2+1]
					}
				}))
			}
		}, false},
	}
	for _, lie := range lies {
		t.Run(lie.name, func(t *testing.T) {
			t.Parallel()
			w := inLies(t, nodes, false)
			w.start()
			ids := []string{w.node("n1", "127.0.0.11"), w.node("n2", "127.0.0.12")}
			await(t, "both nodes are healthy", func() bool { return len(w.gateway.nodes("search", "healthy")) == 2 })
			load := agents(t, seed(t), few, w.gateway.url+"/mcp")
			w.answering("before", ids...)
			lie.tell(w)
			want := 0.0
			if lie.stale {
				want = 1
			}
			if !lie.stale { // resolvers that are silent are left alone for a while
				w.rounds(6)
			}
			await(t, fmt.Sprintf("stale is %g", want), func() bool { return w.gateway.stale("search", dnsSource) == want })
			pause(t, 1500*time.Millisecond) // until nodes would have been found dead and dropped
			w.answering("in the lie", ids...)
			if is := w.gateway.stale("search", dnsSource); is != want {
				t.Errorf("stale is %g, want %g", is, want)
			}
			known := w.gateway.service("search")
			healthy := 0
			for _, n := range known.Nodes {
				if n.State == "healthy" {
					healthy++
				}
				if strings.Contains(n.URL, impostorHost) && (n.State == "healthy" || !n.Unproven) {
					t.Errorf("the impostor is %s, unproven %v: %s", n.State, n.Unproven, n.Problem)
				}
			}
			w.say(3, knowing(w.truth(), nil))
			cleared := await(t, "the source is fresh again", func() bool { return w.gateway.stale("search", dnsSource) == 0 })
			w.answering("after", ids...)
			res := load.result(nodes)
			t.Logf("verdict %-40s impostor: %d connections, %d bytes of requests; %d of 2 nodes healthy; stale %g, 0 again after %s; %d disagreements; %s",
				lie.name+":", w.impostor.Connections(), w.impostor.Received(), healthy, want, cleared.Round(10*time.Millisecond), known.Sources[0].Disagreements, figures(res))
			lossless(t, res)
			if w.impostor.Received() != 0 || healthy != 2 {
				t.Errorf("the impostor got %d bytes, %d nodes are healthy", w.impostor.Received(), healthy)
			}
			if attempts := w.gateway.metric("quorate_attempts_total", impostorHost); attempts > 0 {
				t.Errorf("%g tries at the impostor", attempts)
			}
		})
	}
	t.Run("all poisoned from the start", func(t *testing.T) {
		t.Parallel()
		w := inLies(t, nodes, false)
		w.say(3, knowing(w.otherTarget(), nil))
		w.start()
		await(t, "the impostor is found out", func() bool {
			all := w.gateway.service("search").Nodes
			return len(all) == 1 && all[0].Unproven
		})
		early, _ := call(t, w.gateway.url+"/mcp")
		w.rounds(6)
		w.say(3, knowing(w.truth(), nil))
		await(t, "both nodes are healthy", func() bool { return len(w.gateway.nodes("search", "healthy")) == 2 })
		good, _ := call(t, w.gateway.url+"/mcp")
		t.Logf("verdict %-40s impostor: %d connections, %d bytes of requests; a call was answered: %v, and with the truth: %v",
			"all poisoned from the start:", w.impostor.Connections(), w.impostor.Received(), early, good)
		if w.impostor.Received() != 0 || w.impostor.Connections() == 0 || early || !good {
			t.Errorf("%d bytes, %d connections, %v, %v", w.impostor.Received(), w.impostor.Connections(), early, good)
		}
	})
	t.Run("answers that differ and share the identity", func(t *testing.T) {
		t.Parallel()
		w := inLies(t, nodes, false)
		var ids []string
		for i, r := range w.resolvers {
			host := fmt.Sprintf("127.0.0.%d", 11+i)
			ids = append(ids, w.node("n1", host))
			r.say(knowing(zone(t, asked+" 60 IN SRV 1 10 "+w.port+" n1.search.example.com.", "n1.search.example.com. 60 IN A "+host), nil))
		}
		w.start()
		await(t, "all three are healthy", func() bool { return len(w.gateway.nodes("search", "healthy")) == 3 })
		load := agents(t, seed(t), few, w.gateway.url+"/mcp")
		w.answering("all", ids...)
		res := load.result(nodes)
		source := w.gateway.source("search", dnsSource)
		t.Logf("verdict %-40s accepted, traffic on all %d; stale %v, %d disagreements; %s", "answers that differ, one identity:", len(ids), source.Stale, source.Disagreements, figures(res))
		lossless(t, res)
		if source.Stale {
			t.Errorf("stale: %s", source.Cause)
		}
	})
	t.Run("control: one resolver, and the impostor has the identity", func(t *testing.T) {
		t.Parallel()
		w := inLies(t, nodes, true)
		w.gateway = serve(t, group(t), w.document(w.resolvers[:1], ", agree: 1", w.proven()))
		w.say(1, knowing(w.otherTarget(), nil))
		w.believed("control: agree 1, identity can be proven:")
	})
	t.Run("control: no identity, and all are poisoned", func(t *testing.T) {
		t.Parallel()
		w := inLies(t, nodes, true)
		w.gateway = serve(t, group(t), w.document(w.resolvers, "", fmt.Sprintf("    identity: {ca_file: %q}\n", authorityFile(t, w.trusted.Cert()))))
		w.say(3, knowing(w.otherTarget(), nil))
		w.believed("control: no identity, all poisoned:")
	})
}

// believed fails the test unless the impostor gets requests.
func (w *lied) believed(what string) {
	w.t.Helper()
	load := agents(w.t, seed(w.t), few, w.gateway.url+"/mcp")
	w.answering(what, w.node("evil", impostorHost))
	res := load.result(w.nodes)
	w.t.Logf("%-48s impostor: %d connections, %d bytes of requests; %d calls", what, w.impostor.Connections(), w.impostor.Received(), res.Calls)
	if w.impostor.Received() == 0 {
		w.t.Error("the impostor got nothing: this test could not see it")
	}
}

func ttl(m *dns.Msg, seconds uint32) {
	for i, rr := range m.Answer {
		m.Answer[i] = dns.Copy(rr)
		m.Answer[i].Header().Ttl = seconds
	}
}
