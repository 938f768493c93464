package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/consul"
	"github.com/quorate/quorate/regions/dns"
	"github.com/quorate/quorate/regions/identity"
	"github.com/quorate/quorate/regions/verify"
)

// longestCheck bounds a check of verification, whatever its interval is.
const longestCheck = 2 * time.Second

// target is a node that is asked once, whoever names it.
type target struct {
	service   int
	url, host string
	identity  regions.Identity
}

// claim reports whether a node is to be asked, and whether it is the first that there is no room for.
func (e *examination) claim(a target) (ask, full bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.seen[a] || e.nodes > maxNodes {
		return false, false
	}
	e.seen[a] = true
	e.nodes++
	return e.nodes <= maxNodes, e.nodes > maxNodes
}

// node starts the examination of a node.
func (e *examination) node(ctx context.Context, from origin, n regions.Proposal) {
	at := place{subject: aboutNode, first: from.service}
	ask, full := e.claim(target{from.service, n.URL, n.Host, n.Identity})
	if full {
		at.subject, at.second = aboutNode, 1
		e.begin(at, "node", "all others").set(Warn, fmt.Sprintf("not asked: %d nodes are asked at most", maxNodes), "see /v1/nodes of a running gateway")
	}
	e.named(from.service, n)
	if !ask {
		return
	}
	service := e.cfg.Services[from.service]
	row := e.begin(at, "node", fmt.Sprintf("%s/%s %s", service.Name, n.ID, shown(n.URL)))
	trust, err := service.Identity.Trust()
	if err != nil {
		row.set(Fail, plainly(err), fmt.Sprintf("correct services[%d].identity.ca_file", from.service))
		return
	}
	e.work.Go(func() {
		if !e.turn(ctx) {
			return
		}
		defer e.leave()
		began := time.Now()
		x, err := e.round(ctx, n, trust)
		if err != nil {
			got, do := unwell(n, from.service, err)
			row.set(Fail, got, do)
			return
		}
		judgeNode(row, n, from.service, x, time.Since(began), min(service.Checks.Interval, longestCheck))
	})
}

// id names a node of a service.
type id struct {
	service int
	node    regions.NodeID
}

// named reports two endpoints of a service that have one id, which is only one node's.
func (e *examination) named(service int, n regions.Proposal) {
	e.mu.Lock()
	other, taken := e.ids[id{service, n.ID}]
	if !taken {
		e.ids[id{service, n.ID}] = n.URL
	}
	e.mu.Unlock()
	if taken && other != n.URL {
		urls := []string{shown(other), shown(n.URL)}
		slices.Sort(urls)
		e.begin(place{subject: aboutNode, first: service, second: 2}, "node", fmt.Sprintf("%s/%s", e.cfg.Services[service].Name, n.ID)).
			set(Warn, "one id for "+strings.Join(urls, " and "), "give one of them another id: only one of the two gets traffic")
	}
}

// turn waits for a slot; it reports whether there was one in time.
func (e *examination) turn(ctx context.Context) bool {
	select {
	case e.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (e *examination) leave() { <-e.slots }

// round is one MCP round trip.
func (e *examination) round(ctx context.Context, n regions.Proposal, trust *x509.CertPool) (verify.Examination, error) {
	return verify.Examine(ctx, verify.Config{
		Service: n.Service, Timeout: patience, Trust: trust, Logger: slog.New(slog.DiscardHandler),
	}, n)
}

// shown is a URL without what may be secret in it.
func shown(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "an invalid URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// judgeNode says what a node that speaks MCP is, and what it has proven; service is its place in the file.
func judgeNode(row *entry, n regions.Proposal, service int, x verify.Examination, took, bound time.Duration) {
	got := fmt.Sprintf("%s, %s, %s", eras(x.Facts.Eras), counted(len(x.Facts.Tools), "tool"), short(took))
	key := fmt.Sprintf("write services[%d].identity: tls_name, spiffe_id or spki_sha256", service)
	switch {
	case took > bound:
		do := "see why it is slow"
		if bound < longestCheck {
			do += fmt.Sprintf(", or write a longer services[%d].checks.interval", service)
		}
		row.set(Warn, got+"; checks give up after "+short(bound), do)
	case !n.Identity.None():
		row.set(OK, got+", "+proven(n.Identity), "-")
	case afar(n.URL):
		row.set(Warn, got+", unverified identity over plain http", "serve it over https and "+key)
	case strings.HasPrefix(n.URL, "http:"):
		row.set(Warn, got+", unverified identity", key+", over https")
	default:
		row.set(Warn, got+", unverified identity", key)
	}
}

// eras is the set in words, newest first.
func eras(e regions.Eras) string {
	switch {
	case e.Has(regions.Modern | regions.Legacy):
		return "modern and legacy MCP"
	case e.Has(regions.Modern):
		return "modern MCP"
	}
	return "legacy MCP"
}

// proven is what a node has shown, in words.
func proven(id regions.Identity) string {
	var all []string
	for _, p := range [][2]string{{"tls_name ", id.TLSName}, {"spiffe_id ", id.SPIFFE}, {"spki_sha256 ", clip(id.SPKI, 16)}} {
		if p[1] != "" {
			all = append(all, p[0]+p[1])
		}
	}
	return "proven " + strings.Join(all, " and ")
}

// afar reports a node that is reached without TLS over a network.
func afar(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback())
}

// unwell says why a node's check failed, and what to do.
func unwell(n regions.Proposal, service int, err error) (got, do string) {
	if failed, ok := errors.AsType[*identity.Error](err); ok {
		return impostor(failed, service)
	}
	if status, ok := verify.Status(err); ok {
		return wrongAnswer(n, status, err)
	}
	if late(err) {
		return noAnswer, "see whether it hangs, or a firewall drops what is sent to it"
	}
	return plainly(err), "start it, or " + withdraw(n)
}

func impostor(failed *identity.Error, service int) (got, do string) {
	got = "identity not proven: expected " + failed.Want + ", got " + failed.Got
	if text := certificate(failed); text != "" {
		got = "identity not proven: " + text
	}
	if _, foreign := errors.AsType[x509.UnknownAuthorityError](failed); foreign {
		return got, fmt.Sprintf("find out who answers there, or write its authority into services[%d].identity.ca_file", service)
	}
	return got, fmt.Sprintf("find out who answers there (it gets no traffic), or correct services[%d].identity", service)
}

func wrongAnswer(n regions.Proposal, status int, err error) (got, do string) {
	switch {
	case status == http.StatusUnauthorized:
		return "HTTP 401: it asks for credentials", "let this gateway in without them: checks have none"
	case status == http.StatusForbidden:
		return "HTTP 403: it refuses the check" + detail(err), "let it take the host name " + n.Authority() + " and requests without credentials"
	case status >= 500:
		return fmt.Sprintf("HTTP %d, no MCP%s", status, detail(err)), "see its own log"
	}
	return fmt.Sprintf("HTTP %d, no MCP%s", status, detail(err)), "correct scheme, host and path of its URL: no MCP server answers there"
}

// detail is what an answer was that is no MCP, if it said more than its status.
func detail(err error) string {
	text := err.Error()
	if at := strings.LastIndex(text, "answered HTTP "); at >= 0 {
		text = text[at+len("answered HTTP "):]
		if _, rest, found := strings.Cut(text, ": "); found {
			return ": " + rest
		}
	}
	return ""
}

// withdraw says how the place that named a node takes it back.
func withdraw(n regions.Proposal) string {
	switch n.Source {
	case consul.Name:
		return "deregister it in Consul"
	case dns.Name:
		return "take it out of DNS"
	}
	return "take it out of the file"
}
