package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/consul"
	"github.com/quorate/quorate/regions/discovery"
	"github.com/quorate/quorate/regions/dns"
	"github.com/quorate/quorate/regions/identity"
	"github.com/quorate/quorate/regions/verify"
)

// judged is what a function says of a row.
func judged(f func(*entry)) Check {
	l := &ledger{}
	e := l.begin(place{}, "what", "asked")
	f(e)
	return e.row.check
}

// expect compares a row's status and words; a row that is ok has nothing to do, and any other has.
func expect(t *testing.T, name string, c Check, s Status, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(c.Got+" | "+c.Do, w) {
			t.Errorf("%s: %q is not said: %+v", name, w, c)
		}
	}
	if c.Status != s || (c.Do == "-") != (s == OK) || c.Got == "-" {
		t.Errorf("%s: %+v, want %s", name, c, s)
	}
}

func TestConsulRows(t *testing.T) {
	known := consul.Examination{Leader: "l", Datacenters: []string{"dc1", "dc2"}}
	for name, tt := range map[string]struct {
		found     consul.ServiceExamination
		elsewhere bool
		want      Status
		words     []string
	}{
		"good":             {consul.ServiceExamination{Instances: 2, Passing: 2, KnownLeader: true}, true, OK, []string{"2 instances, 2 passing"}},
		"some critical":    {consul.ServiceExamination{Instances: 2, Passing: 1, Critical: 1, KnownLeader: true}, true, OK, []string{"1 critical"}},
		"all critical":     {consul.ServiceExamination{Instances: 2, Critical: 2, KnownLeader: true}, true, Warn, []string{"2 critical", "their checks"}},
		"none":             {consul.ServiceExamination{KnownLeader: true}, false, Fail, []string{"no instance", "KEY.service", "consul.token_file"}},
		"none but in dc2":  {consul.ServiceExamination{KnownLeader: true}, true, Warn, []string{"no instance"}},
		"none tagged":      {consul.ServiceExamination{Untagged: 3, KnownLeader: true}, false, Fail, []string{"none with the tag, 3 instances without it", "KEY.tag"}},
		"nothing is shown": {consul.ServiceExamination{FilteredByACLs: true, KnownLeader: true}, false, Fail, []string{"permission denied", "service:read for search"}},
		"some are shown":   {consul.ServiceExamination{Instances: 1, Passing: 1, FilteredByACLs: true, KnownLeader: true}, true, Warn, []string{"does not see all"}},
		"stale":            {consul.ServiceExamination{Instances: 1, Passing: 1, KnownLeader: true, LastContact: time.Minute}, true, Warn, []string{"stale", "1m0s"}},
		"leaderless":       {consul.ServiceExamination{Instances: 1, Passing: 1}, true, Warn, []string{"stale"}},
		"denied":           {consul.ServiceExamination{Err: consul.ErrDenied}, true, Fail, []string{"permission denied"}},
		"silent":           {consul.ServiceExamination{Err: consul.ErrTimeout}, true, Fail, []string{"dc1"}},
		"unknown":          {consul.ServiceExamination{Ask: consul.Ask{Datacenter: "dc9"}}, true, Fail, []string{"datacenter is unknown"}},
	} {
		e := newExamination(Options{})
		e.cfg = &config.Config{Consul: config.Consul{MaxStale: 10 * time.Second}}
		tt.found.ConsulService = "search"
		if tt.found.Datacenter == "" {
			tt.found.Datacenter = "dc1"
		}
		expect(t, name, judged(func(row *entry) {
			e.judgeCatalog(catalog{key: "KEY", row: row}, known, tt.found, tt.elsewhere)
		}), tt.want, tt.words...)
	}
	expect(t, "no leader", judged(func(row *entry) { judgeEndpoint(row, consul.Examination{}) }), Fail, "no leader")
	expect(t, "denied", judged(func(row *entry) { judgeEndpoint(row, consul.Examination{Err: consul.ErrDenied}) }), Fail, "consul.token_file")
	expect(t, "no gateway", judged(func(row *entry) { judgeGateways(row, consul.GatewaySet{Err: consul.ErrEmptied}) }), Warn, "consul.register")
	expect(t, "gateways unknown", judged(func(row *entry) { judgeGateways(row, consul.GatewaySet{Err: consul.ErrTimeout}) }), Fail)
}

func TestResolverRows(t *testing.T) {
	said := func(agree bool, text string) discovery.Voice {
		return discovery.Voice{Who: "r", Said: text, Agree: agree, Took: time.Millisecond}
	}
	good := dns.ResolverExamination{Voice: said(true, "1 endpoint, AD"), Answered: true, Names: []string{"n1:1"}}
	liar := dns.ResolverExamination{Voice: said(false, "alone with n2:1"), Answered: true, Names: []string{"n2:1"}}
	denies := dns.ResolverExamination{Voice: said(false, "NXDOMAIN"), Denied: true}
	mute := dns.ResolverExamination{Voice: said(false, "no reply in time: read udp: i/o timeout; a note")}
	unsigned := dns.ResolverExamination{Voice: said(false, "does not count: no AD"), Answered: true, Names: []string{"n1:1"}, Uncounted: "no AD"}
	round := func(err error, all ...dns.ResolverExamination) dns.Examination {
		return dns.Examination{Answer: discovery.Answer{Err: err, Nodes: make([]regions.Proposal, 1)}, Agree: 2, Resolvers: all}
	}
	fine := round(nil, good, good, good)
	for name, tt := range map[string]struct {
		r     dns.ResolverExamination
		x     dns.Examination
		want  Status
		words []string
	}{
		"agrees":             {good, fine, OK, []string{"AD, 1.0ms"}},
		"dissents":           {liar, fine, Warn, []string{"n2:1", "poisoned"}},
		"says there is none": {denies, fine, Warn, []string{"NXDOMAIN", "others do"}},
		"as all do":          {denies, round(dns.ErrNXDomain), Warn, []string{"KEY.name"}},
		"is silent":          {mute, fine, Warn, []string{"no reply in time; a note, ", "KEY.resolvers"}},
		"does not count":     {unsigned, fine, Warn, []string{"no AD", "KEY.dnssec"}},
		"nobody is right":    {liar, round(dns.ErrNoAgreement), OK, nil},
	} {
		expect(t, name, judged(func(row *entry) { judgeResolver(row, "KEY", tt.r, tt.x) }), tt.want, tt.words...)
	}
	for name, tt := range map[string]struct {
		x     dns.Examination
		want  Status
		words []string
	}{
		"all agree":        {fine, OK, []string{"3 of 3 agree on 1 node"}},
		"one dissents":     {round(nil, good, good, liar), Warn, []string{"2 of 3", "r says n2:1", "no other may fail"}},
		"one of four":      {round(nil, good, good, good, mute), Warn, []string{"3 of 4", "r does not count", "1 more may fail"}},
		"one denies":       {round(nil, good, good, denies), Warn, []string{"r says there are none"}},
		"none agree":       {round(dns.ErrNoAgreement, good, liar, liar), Fail, []string{"no 2 of 3 agree"}},
		"no such name":     {round(dns.ErrNXDomain, denies, denies), Fail, []string{"does not exist", "KEY.name"}},
		"nothing there":    {round(dns.ErrEmpty, denies, denies), Fail, []string{"no such records"}},
		"bad signatures":   {round(dns.ErrBogus, unsigned, unsigned), Fail, []string{"DNSSEC", "0 of 2 answer"}},
		"too few answered": {round(dns.ErrUnanswered, good, mute, mute), Fail, []string{"1 of 3 answer, 2 must agree", "KEY.resolvers"}},
	} {
		expect(t, name, judged(func(row *entry) { judgeAgreement(row, "KEY", tt.x) }), tt.want, tt.words...)
	}
}

func TestNodeRows(t *testing.T) {
	both := verify.Examination{Facts: regions.Facts{Eras: regions.Legacy | regions.Modern}}
	for name, tt := range map[string]struct {
		n     regions.Proposal
		took  time.Duration
		want  Status
		words []string
	}{
		"proven":     {regions.Proposal{URL: "https://a", Identity: regions.Identity{SPIFFE: "spiffe://a/b"}}, 0, OK, []string{"modern and legacy MCP", "spiffe://a/b"}},
		"slow":       {regions.Proposal{URL: "https://a", Identity: regions.Identity{SPIFFE: "spiffe://a/b"}}, 3 * time.Second, Warn, []string{"services[1].checks.interval"}},
		"https":      {regions.Proposal{URL: "https://a"}, 0, Warn, []string{"unverified identity", "services[1].identity"}},
		"http":       {regions.Proposal{URL: "http://127.0.0.1:1"}, 0, Warn, []string{"unverified identity", "over https"}},
		"http, afar": {regions.Proposal{URL: "http://192.0.2.1:1"}, 0, Warn, []string{"unverified identity over plain http", "serve it over https"}},
	} {
		expect(t, name, judged(func(row *entry) { judgeNode(row, tt.n, 1, both, tt.took, time.Second) }), tt.want, tt.words...)
	}
}

func TestNodesThatFail(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "hello")
	}))
	defer server.Close()
	n := regions.Proposal{ID: "a", Service: "s", URL: server.URL + "/mcp", Region: "r", Source: "static", Weight: 1}
	for code, words := range map[int][]string{
		http.StatusOK: {"HTTP 200, no MCP: content type", "path of its URL"}, http.StatusNotFound: {"HTTP 404, no MCP", "path of its URL"},
		http.StatusForbidden:    {"HTTP 403", n.Authority()},
		http.StatusUnauthorized: {"HTTP 401", "credentials"}, http.StatusServiceUnavailable: {"HTTP 503", "its own log"},
	} {
		status = code
		_, err := verify.Examine(t.Context(), verify.Config{Service: "s", Logger: slog.New(slog.DiscardHandler)}, n)
		got, do := unwell(n, 1, err)
		expect(t, fmt.Sprint(code), Check{Status: Fail, Got: got, Do: do}, Fail, words...)
	}
	for name, tt := range map[string]struct {
		err   error
		from  string
		words []string
	}{
		"another key":       {&identity.Error{Want: "spki_sha256 ab", Got: "cd"}, "static", []string{"expected spki_sha256 ab, got cd", "services[1].identity"}},
		"another authority": {&identity.Error{Want: "x", Got: "y", Err: x509.UnknownAuthorityError{}}, "static", []string{"unknown authority", "identity.ca_file"}},
		"silent":            {fmt.Errorf("x: %w", context.DeadlineExceeded), "static", []string{noAnswer}},
		"gone, of Consul":   {errors.New("connection reset"), "consul", []string{"deregister it"}},
		"gone, of DNS":      {errors.New("connection reset"), "dns", []string{"DNS"}},
	} {
		got, do := unwell(regions.Proposal{Source: tt.from}, 1, tt.err)
		expect(t, name, Check{Status: Fail, Got: got, Do: do}, Fail, tt.words...)
	}
}

func TestOneIDForTwoNodes(t *testing.T) {
	e := newExamination(Options{})
	e.cfg = &config.Config{Services: []config.Service{{Name: "search"}}}
	for _, url := range []string{"http://b/mcp", "http://a/mcp", "http://b/mcp"} {
		e.named(0, regions.Proposal{ID: "x", URL: url})
	}
	if len(e.rows) != 1 {
		t.Fatalf("%d rows", len(e.rows))
	}
	expect(t, "one id", e.rows[0].check, Warn, "http://a/mcp and http://b/mcp")
}

func TestPeersThatFail(t *testing.T) {
	to, me := peer.Remote{Region: "eu-west", Address: "a:1"}, peer.Identity{Region: "us-east", Gateway: "gw-1"}
	expired := &x509.Certificate{NotAfter: time.Now().Add(-time.Hour)}
	for name, tt := range map[string]struct {
		err   error
		words []string
	}{
		"itself":    {peer.ErrSelf, []string{"us-east/gw-1", "take the address out"}},
		"twin":      {peer.ErrTwin, []string{"us-east/gw-1"}},
		"version":   {fmt.Errorf("peer: examine: %w: here 1, there 2", peer.ErrVersion), []string{"upgrade", "here 1, there 2"}},
		"nameless":  {peer.ErrIdentity, []string{"names no gateway"}},
		"expired":   {x509.CertificateInvalidError{Cert: expired, Reason: x509.Expired}, []string{"expired at", "renew it"}},
		"stranger":  {x509.UnknownAuthorityError{}, []string{"unknown authority", "quorate ca issue eu-west"}},
		"refuses":   {errors.New("x: remote error: tls: bad certificate"), []string{"refuses this gateway's certificate"}},
		"silent":    {context.DeadlineExceeded, []string{noAnswer}},
		"something": {io.ErrUnexpectedEOF, []string{"start that gateway"}},
	} {
		got, do := refusal(to, me, tt.err)
		expect(t, name, Check{Status: Fail, Got: got, Do: do}, Fail, tt.words...)
	}
}

// The order of rows is that of causes, then of the file, whatever was known first.
func TestRowsAreInOrder(t *testing.T) {
	l := &ledger{}
	for _, at := range []place{{subject: aboutPeer}, {subject: aboutDNS, first: 1}, {subject: aboutDNS, third: agreementRow}, {subject: aboutDNS, third: 2}, {}} {
		l.begin(at, fmt.Sprint(at.subject, at.first, at.third), "x").set(OK, "x", "-")
	}
	var got []string
	for _, c := range l.wait(t.Context(), grace, time.Second) {
		got = append(got, c.What)
	}
	if want := []string{"0 0 0", "5 0 2", "5 0 65536", "5 1 0", "9 0 0"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
