package dns

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/regions"
)

// program finds one of Debian's DNS programs; they are not on every user's PATH.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/bin") {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("no %s here: scripts/install-test-deps.sh installs bind9, bind9-utils and unbound", name)
	}
	t.Skipf("LOUD: no %s here, so no real signatures are checked: scripts/install-test-deps.sh installs it", name)
	return ""
}

// signed is a zone as its owner publishes it: signed, and then perhaps spoilt.
type signed struct {
	name    string
	spoil   func(text string) string // nil: as it is
	expired bool
	plain   bool   // not signed
	crowd   int    // more nodes
	targets string // the zone that the SRV records lead to, if another
}

func (z signed) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s.\n$TTL 60\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 127.0.0.1\n", z.name)
	for i := range 2 + z.crowd {
		fmt.Fprintf(&b, "_mcp._tcp IN SRV 1 10 8443 n%d.%s.\nn%d IN A 127.0.1.%d\n", i+1, cmp.Or(z.targets, z.name), i+1, i+1)
	}
	return b.String()
}

// publish writes the zone file into dir and returns its name, and the key that vouches for it ("" when plain).
func (z signed) publish(t *testing.T, dir string) (file, anchor string) {
	t.Helper()
	file = filepath.Join(dir, z.name)
	write(t, file, z.text())
	if z.plain {
		return file, ""
	}
	key := strings.TrimSpace(run(t, program(t, "dnssec-keygen"), "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-K", dir, z.name))
	args := []string{"-q", "-S", "-z", "-K", dir, "-d", dir, "-o", z.name, "-f", file + ".signed"}
	if z.expired {
		args = append(args, "-P", "-s", "20200101000000", "-e", "20200201000000", "-X", "20370101000000") // the keys stay valid
	}
	run(t, program(t, "dnssec-signzone"), append(args, file)...)
	if z.spoil != nil {
		before := read(t, file+".signed")
		after := z.spoil(before)
		if after == before {
			t.Fatalf("nothing to spoil in %s", before)
		}
		write(t, file+".signed", after)
	}
	return file + ".signed", read(t, filepath.Join(dir, key+".key"))
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func run(t *testing.T, path string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), path, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%s %v: %v: %s", path, args, err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return string(out)
}

// freePort is free for UDP and TCP now.
func freePort(t *testing.T) int {
	t.Helper()
	p, l := listen(t)
	defer p.Close()
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// servers are a set of real servers: the zones' owner, and two resolvers that validate.
type servers struct {
	owner        string    // its address; it answers without AD
	resolvers    [2]string // over UDP
	tls          string    // the second resolver over TLS
	ca           authority
	log          *child.Tail
	group        *child.Group
	dir, anchors string
}

func startReal(t *testing.T, zones []signed) *servers {
	t.Helper()
	named, unbound := program(t, "named"), program(t, "unbound")
	r := &servers{ca: newAuthority(t), log: new(child.Tail), group: child.NewGroup(), dir: t.TempDir()}
	t.Cleanup(r.group.Close)
	named, unbound = r.copied(t, named), r.copied(t, unbound)
	r.startOwner(t, named, zones)
	cert, key := r.ca.issue(t, "unbound.example")
	write(t, filepath.Join(r.dir, "cert.pem"), string(cert))
	write(t, filepath.Join(r.dir, "key.pem"), string(key))
	for i := range r.resolvers {
		r.startResolver(t, unbound, i)
	}
	return r
}

// copied returns a copy of a program: where AppArmor runs, what is installed may only read the system's own zones.
func (r *servers) copied(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(r.dir, filepath.Base(path))
	if err := os.WriteFile(to, []byte(read(t, path)), 0o700); err != nil {
		t.Fatal(err)
	}
	return to
}

// startOwner runs BIND as the authority of the zones.
func (r *servers) startOwner(t *testing.T, path string, zones []signed) {
	port := freePort(t)
	config := fmt.Sprintf(`options { directory %q; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; }; recursion no;
		pid-file none; session-keyfile none; dnssec-validation no; notify no; querylog no; };
		controls { };
		`, r.dir, port)
	for _, z := range zones {
		file, anchor := z.publish(t, r.dir)
		r.anchors += anchor
		config += fmt.Sprintf("zone %q { type primary; file %q; };\n", z.name, file)
	}
	file := filepath.Join(r.dir, "named.conf")
	write(t, file, config)
	r.owner = loopback(port)
	r.start(t, r.owner, zones[0].name, path, "-g", "-n", "1", "-c", file)
}

// startResolver runs unbound as a validating resolver that knows where the zones are; the second serves TLS too.
func (r *servers) startResolver(t *testing.T, path string, i int) {
	port := freePort(t)
	r.resolvers[i] = loopback(port)
	var b strings.Builder
	fmt.Fprintf(&b, "server:\n directory: %q\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n use-syslog: no\n do-daemonize: no\n", r.dir)
	fmt.Fprintf(&b, " interface: 127.0.0.1@%d\n do-not-query-localhost: no\n ede: yes\n num-threads: 1\n do-ip6: no\n", port)
	fmt.Fprintf(&b, " module-config: \"validator iterator\"\n trust-anchor-file: anchors\n access-control: 127.0.0.0/8 allow\n")
	if i == 1 {
		tlsPort := freePort(t)
		r.tls = "tls://" + loopback(tlsPort) + "#unbound.example"
		fmt.Fprintf(&b, " interface: 127.0.0.1@%d\n tls-port: %d\n tls-service-key: key.pem\n tls-service-pem: cert.pem\n", tlsPort, tlsPort)
	}
	_, owner, _ := net.SplitHostPort(r.owner)
	fmt.Fprintf(&b, "stub-zone:\n name: example.com\n stub-addr: 127.0.0.1@%s\nremote-control:\n control-enable: no\n", owner)
	write(t, filepath.Join(r.dir, "anchors"), r.anchors)
	file := filepath.Join(r.dir, fmt.Sprintf("unbound%d.conf", i))
	write(t, file, b.String())
	r.start(t, r.resolvers[i], "good.example.com", path, "-d", "-c", file)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// start starts a server and waits until it answers at addr.
func (r *servers) start(t *testing.T, addr, zone, path string, args ...string) {
	t.Helper()
	p, _, err := r.group.Start(t.Context(), child.Spec{Path: path, Args: args, Log: r.log})
	if err != nil {
		t.Fatal(err)
	}
	client := miekg.Client{Timeout: time.Second}
	question := new(miekg.Msg).SetQuestion(zone+".", miekg.TypeSOA)
	deadline, again := time.After(20*time.Second), time.NewTicker(20*time.Millisecond)
	defer again.Stop()
	for {
		reply, _, err := client.ExchangeContext(t.Context(), question, addr)
		if err == nil && len(reply.Answer) > 0 {
			return
		}
		select {
		case <-again.C:
		case <-p.Done():
			t.Fatalf("%s ended: %s", path, r.log)
		case <-deadline:
			t.Fatalf("%s does not answer: %v, %v: %s", path, reply, err, r.log)
		}
	}
}

// Real signatures by real servers: BIND owns the zones, two unbounds validate.
func TestRealSignatures(t *testing.T) {
	swap := func(old, text string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, text, 1) }
	}
	r := startReal(t, []signed{
		{name: "good.example.com"},
		{name: "big.example.com", crowd: 40},
		{name: "plain.example.com", plain: true},
		{name: "bogus.example.com", spoil: swap("SRV\t1 10 8443 n1.", "SRV\t1 10 9443 n1.")},
		{name: "moved.example.com", spoil: swap("A\t127.0.1.1\n", "A\t"+impostor+"\n")},
		{name: "expired.example.com", expired: true},
		{name: "half.example.com", targets: "plain.example.com"},
	})
	validators := []string{r.resolvers[0], r.tls}
	mixed := []string{r.resolvers[0], r.tls, r.owner} // the owner answers itself, without AD
	two := []string{"n1:8443@127.0.1.1", "n2:8443@127.0.1.2"}
	for _, tc := range []struct {
		zone      string
		mode      Validation
		resolvers []string
		want      []string
		err       error
		parties   string
		says      string // by the first
		last      string // by the last
	}{
		{"good", Off, mixed, two, nil, "yyy", "2 endpoints", ""},
		{"good", Prefer, mixed, two, nil, "yyn", "AD", "does not count: no AD"},
		{"good", Require, validators, two, nil, "yy", "AD", "AD"},
		{"plain", Prefer, mixed, two, nil, "yyy", "2 endpoints", ""},
		{"plain", Require, validators, nil, ErrBogus, "nn", "does not count: no AD", ""},
		{"bogus", Off, validators, nil, ErrBogus, "nn", "SERVFAIL: DNSSEC Bogus", "SERVFAIL: DNSSEC Bogus"},
		{"bogus", Prefer, mixed, nil, ErrBogus, "nnn", "SERVFAIL: DNSSEC Bogus", "does not count: no AD"},
		{"bogus", Require, validators, nil, ErrBogus, "nn", "SERVFAIL: DNSSEC Bogus", ""},
		{"expired", Off, validators, nil, ErrBogus, "nn", "SERVFAIL: Signature Expired", "SERVFAIL: Signature Expired"},
		// From its cache unbound 1.17 no longer says that the signature is too old, only that it is bad.
		{"expired", Prefer, mixed, nil, ErrBogus, "nnn", "SERVFAIL: ", "does not count: no AD"},
		{"expired", Require, validators, nil, ErrBogus, "nn", "SERVFAIL: ", "SERVFAIL: "},
		{"moved", Require, validators, two[1:], nil, "yy", "A: SERVFAIL: DNSSEC Bogus", ""},
		{"moved", Prefer, mixed, two[1:], nil, "yyn", "A: SERVFAIL: DNSSEC Bogus", "no AD"},
		{"nothing.good", Require, validators, nil, ErrNXDomain, "nn", "NXDOMAIN", ""},
	} {
		t.Run(tc.zone+" "+string(tc.mode), func(t *testing.T) {
			c := base(tc.resolvers...)
			c.Name, c.DNSSEC, c.RootCAs, c.Timeout = "_mcp._tcp."+tc.zone+".example.com.", tc.mode, r.ca.pool, 5*time.Second
			a := source(t, c).Ask(t.Context())
			lie{name: "real servers, " + tc.zone + " zone, dnssec " + string(tc.mode), want: tc.want, err: tc.err, parties: tc.parties,
				says: map[int]string{0: tc.says, len(tc.resolvers) - 1: tc.last}}.judge(t, a)
		})
	}
	t.Run("half", func(t *testing.T) { r.half(t, validators) })
	t.Run("addresses", func(t *testing.T) { r.addresses(t, validators) })
	t.Run("big", func(t *testing.T) { r.big(t) })
}

// half are signed SRV records with unsigned addresses: required is that both are signed.
func (r *servers) half(t *testing.T, validators []string) {
	for mode, want := range map[Validation]string{Require: "bogus", Prefer: ""} {
		c := base(validators...)
		c.Name, c.DNSSEC, c.RootCAs, c.Timeout = "_mcp._tcp.half.example.com.", mode, r.ca.pool, 5*time.Second
		a := source(t, c).Ask(t.Context())
		t.Logf("verdict: real servers, signed SRV records with unsigned addresses, dnssec %s: %d nodes, error %v, says %q", mode, len(a.Nodes), a.Err, a.Voices[0].Said)
		if Reason(a.Err) != want || a.Err == nil && len(a.Nodes) != 2 {
			t.Errorf("%s: %v, %v", mode, a.Err, a.Voices)
		}
	}
}

// addresses are signed A records, unsigned ones, and ones that somebody changed.
func (r *servers) addresses(t *testing.T, validators []string) {
	for name, want := range map[string]string{"n1.good": "", "n1.plain": "bogus", "n1.moved": "bogus", "n9.good": "nxdomain", "n9.plain": "bogus", "ns.good": ""} {
		for _, kind := range []Type{A, Address} {
			c := base(validators...)
			c.Name, c.Type, c.Port, c.DNSSEC, c.RootCAs, c.Timeout = name+".example.com", kind, 443, Require, r.ca.pool, 5*time.Second
			a := source(t, c).Ask(t.Context())
			t.Logf("verdict: real servers, %s records of %s, dnssec require: nodes %v, error %v", kind, name, ids(a), a.Err)
			if Reason(a.Err) != want || a.Err == nil && len(a.Nodes) != 1 {
				t.Errorf("%s %s: %v, %v", name, kind, a.Err, a.Voices)
			}
		}
	}
}

// big is a signed answer that no datagram of 1232 bytes holds.
func (r *servers) big(t *testing.T) {
	c := base(r.resolvers[0], r.resolvers[1])
	c.Name, c.DNSSEC, c.Timeout = "_mcp._tcp.big.example.com.", Require, 5*time.Second
	began := time.Now()
	a := source(t, c).Ask(t.Context())
	t.Logf("verdict: real servers, 42 signed SRV records: %d nodes in %v, error %v, says %q", len(a.Nodes), time.Since(began), a.Err, a.Voices[0].Said)
	if a.Err != nil || len(a.Nodes) != 42 || !strings.Contains(a.Voices[0].Said, "asked over TCP: too long for UDP") ||
		!slices.ContainsFunc(a.Nodes, func(n regions.Proposal) bool { return n.URL == "https://127.0.1.42:8443/mcp" }) {
		t.Errorf("%+v", a)
	}
}
