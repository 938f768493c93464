package main

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
	miekg "github.com/miekg/dns"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/consulproc"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/internal/mcpnode/pool"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/regions/identity/identitytest"
)

// place is what one setup is built of: a directory, real nodes behind TLS, and names for what differs from run to run.
type place struct {
	t     *testing.T
	dir   string
	nodes *identitytest.Authority
	names []string // pairs for strings.NewReplacer
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir(), nodes: identitytest.NewAuthority(t, "nodes")}
	p.file("nodes-ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.nodes.Cert().Raw})))
	return p
}

func (p *place) file(name, text string) string {
	p.t.Helper()
	file := filepath.Join(p.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return file
}

// called gives what differs from run to run a name in the golden file.
func (p *place) called(name, value string) string {
	p.names = append(p.names, value, name)
	return value
}

// shut is an address at which nothing listens, and where nothing will while the test runs.
func (p *place) shut() string {
	p.t.Helper()
	address, mark, err := pool.Reserve()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = mark.Close() })
	return address
}

// realNode starts a node process and returns its address.
func realNode(t *testing.T) string {
	t.Helper()
	binary, err := exec.LookPath("quorate") // this test binary, see TestMain
	if err != nil {
		t.Fatal(err)
	}
	group := child.NewGroup()
	t.Cleanup(group.Close)
	nodes, err := pool.Start(t.Context(), group, pool.Config{Binary: binary, Dir: t.TempDir(), Nodes: []pool.Spec{{ID: "n", Era: "both"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nodes.Close)
	return nodes.Nodes()[0].Address()
}

// node puts TLS in front of a real node, with a certificate of authority for name.
func (p *place) node(behind string, authority *identitytest.Authority, name string) *identitytest.Listener {
	p.t.Helper()
	l := identitytest.Listen(p.t, "", &tls.Config{Certificates: []tls.Certificate{authority.Issue(p.t, identitytest.Leaf{DNS: []string{name}})}})
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: behind}) }}
	p.serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Such a proxy cuts an answer now and then that begins before it has read the body to its end.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	return l
}

func (p *place) serve(l net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	p.t.Cleanup(func() { _ = s.Close(); <-done })
}

// resolver answers from records in presentation form. Names that it does not know do not exist.
func (p *place) resolver(name string, records ...string) string {
	p.t.Helper()
	var zone []miekg.RR
	for _, r := range records {
		rr, err := miekg.NewRR(r)
		if err != nil {
			p.t.Fatal(err)
		}
		zone = append(zone, rr)
	}
	return p.called(name, p.dnsServer(func(w miekg.ResponseWriter, q *miekg.Msg) {
		m := new(miekg.Msg).SetReply(q)
		m.Rcode = miekg.RcodeNameError
		for _, rr := range zone {
			if !strings.EqualFold(rr.Header().Name, q.Question[0].Name) {
				continue
			}
			m.Rcode = miekg.RcodeSuccess
			if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		_ = w.WriteMsg(m)
	}))
}

func (p *place) dnsServer(h miekg.HandlerFunc) string {
	p.t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	up, down := make(chan struct{}), make(chan struct{})
	s := &miekg.Server{PacketConn: packets, Handler: h, NotifyStartedFunc: func() { close(up) }}
	go func() { defer close(down); _ = s.ActivateAndServe() }()
	<-up
	p.t.Cleanup(func() { _ = s.Shutdown(); <-down })
	return packets.LocalAddr().String()
}

// zoneOf names a node at address in DNS, as target.
func zoneOf(target, address string) []string {
	_, port, _ := net.SplitHostPort(address)
	return []string{"_mcp._tcp.search.example.com. 60 IN SRV 1 1 " + port + " " + target + ".", target + ". 60 IN A 127.0.0.1"}
}

// agent is a real Consul.
type agent struct {
	*consulproc.Agent
	api *api.Client
}

func startConsul(t *testing.T, cfg consulproc.Config) *agent {
	t.Helper()
	binary, err := consulproc.Binary(t.Context())
	if err != nil && os.Getenv("CI") == "" && errors.Is(err, consulproc.ErrNotInstalled) {
		t.Skip("LOUD: no real Consul, so what doctor says of one stays untested:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	group := child.NewGroup()
	t.Cleanup(group.Close)
	cfg.Binary, cfg.Dir = binary, t.TempDir()
	a, err := consulproc.Start(t.Context(), group, cfg)
	if err != nil {
		t.Fatal(err)
	}
	client, err := api.NewClient(&api.Config{Address: a.URL(), Token: cfg.ManagementToken})
	if err != nil {
		t.Fatal(err)
	}
	return &agent{a, client}
}

// register puts a node into the catalog, as an instance of service.
func (a *agent) register(t *testing.T, service, id, address string, meta map[string]string, tags ...string) {
	t.Helper()
	host, text, _ := net.SplitHostPort(address)
	port := 0
	if _, err := fmt.Sscan(text, &port); err != nil {
		t.Fatal(err)
	}
	err := a.api.Agent().ServiceRegister(&api.AgentServiceRegistration{ID: id, Name: service, Address: host, Port: port, Tags: tags, Meta: meta})
	if err != nil {
		t.Fatal(err)
	}
}

// token makes an ACL token that may do what rules say, nothing for none.
func (a *agent) token(t *testing.T, rules string) string {
	t.Helper()
	token := &api.ACLToken{}
	if rules != "" {
		policy, _, err := a.api.ACL().PolicyCreate(&api.ACLPolicy{Name: "doctor", Rules: rules}, nil)
		if err != nil {
			t.Fatal(err)
		}
		token.Policies = []*api.ACLTokenPolicyLink{{ID: policy.ID}}
	}
	made, _, err := a.api.ACL().TokenCreate(token, nil)
	if err != nil {
		t.Fatal(err)
	}
	return made.SecretID
}

// fleet makes an authority below the place's directory.
func (p *place) fleet(name string) string {
	p.t.Helper()
	dir := filepath.Join(p.dir, name)
	if err := ca.Init(dir, ca.Options{}); err != nil {
		p.t.Fatal(err)
	}
	return dir
}

func (p *place) issue(fleet, region, name string, o ca.Options) ca.Files {
	p.t.Helper()
	files, err := ca.Issue(fleet, region, name, o)
	if err != nil {
		p.t.Fatal(err)
	}
	return files
}

// gateway serves the peer protocol with certificates of a fleet.
func (p *place) gateway(fleet string, files ca.Files) string {
	p.t.Helper()
	c, err := peer.LoadCredentials(filepath.Join(fleet, ca.CertFile), files.Cert, files.Key)
	if err != nil {
		p.t.Fatal(err)
	}
	g, err := peer.New(peer.Config{Credentials: c, Version: "v0", Forward: http.NotFoundHandler(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		p.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- g.Serve(l) }()
	p.t.Cleanup(func() {
		_ = g.Close(p.t.Context()) // its context has ended: it does not wait
		<-done
	})
	return l.Addr().String()
}

// expired is a gateway whose certificate ran out while it runs, as its listener shows it.
func (p *place) expired(files ca.Files) string {
	p.t.Helper()
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		p.t.Fatal(err)
	}
	l := identitytest.Listen(p.t, "", &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"quorate-link/1"}})
	p.serve(l, http.NotFoundHandler())
	return l.Address()
}

// doctor runs the command on a configuration and returns what it prints, and its exit code.
func (p *place) doctor(config string, args ...string) (out string, code int) {
	p.t.Helper()
	return p.doctorOf(p.file("quorate.yaml", config), args...)
}

func (p *place) doctorOf(file string, args ...string) (out string, code int) {
	p.t.Helper()
	out, code, stderr := p.run(append([]string{"--config", file}, args...)...)
	if stderr != "" {
		p.t.Errorf("standard error: %s", stderr)
	}
	return out, code
}

func (p *place) run(args ...string) (out string, code int, stderr string) {
	p.t.Helper()
	cmd := exec.Command("quorate", append([]string{"doctor"}, args...)...)
	var said strings.Builder
	cmd.Stderr = &said
	text, err := cmd.Output()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		code = ended.ExitCode()
	} else if err != nil {
		p.t.Fatal(err)
	}
	return string(text), code, said.String()
}

var changing = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "MOMENT"},
	{regexp.MustCompile(`\b((\d+(\.\d+)?(h|ms|m|s))+|\d+ days)\b`), "TIME"},
	{regexp.MustCompile(`:\d{4,5}\b`), ":PORT"},
	{regexp.MustCompile(` {3,}`), "  "}, // the width of a column follows from what it holds
}

// plain gives names to what differs from run to run.
func (p *place) plain(text string) string {
	names := append(slices.Clone(p.names), p.dir, "DIR")
	text = strings.NewReplacer(names...).Replace(text)
	for _, c := range changing {
		text = c.pattern.ReplaceAllString(text, c.name)
	}
	return text
}

// mcpPath is where nodes serve.
const mcpPath = mcpnode.Path
