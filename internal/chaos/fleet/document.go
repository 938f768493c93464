package fleet

import (
	"fmt"
	"net"
	"strings"

	"github.com/quorate/quorate/strategies"
)

// Ports on every host; hosts are apart.
const (
	agentPort = ":8080"
	adminPort = ":9090"
	peerPort  = ":9100"
)

// document writes a member's configuration.
func (m *Member) document() string {
	var b strings.Builder
	at := m.host.Addr().String()
	fmt.Fprintf(&b, "name: %s\nregion: %s\ndata_dir: %q\nadmin: {address: \"127.0.0.1%s\"}\n", m.Name, m.Region, m.data(), adminPort)
	fmt.Fprintf(&b, "peer: {address: \"%s%s\", ca_file: ca.crt, cert_file: %s-%s.crt, key_file: %s-%s.key}\n",
		at, peerPort, m.Region, m.Name, m.Region, m.Name)
	if !m.fleet.cfg.Lawless {
		m.authority(&b)
	}
	m.regions(&b)
	if m.Role == strategies.Witness {
		return b.String()
	}
	fmt.Fprintf(&b, "listen: {address: \"%s%s\"}\n", at, agentPort)
	if m.fleet.cfg.Sessions != "" {
		fmt.Fprintf(&b, "replication: {strategy: %s}\n", m.fleet.cfg.Sessions)
	}
	b.WriteString("failover: {interval: 500ms, failures: 4, hold_down: 3s, ramp: 1s, evacuate: 1s}\nservices:\n")
	m.service(&b, "tools", Tools, m.nodes)
	m.service(&b, "shared", Shared, []*node{m.fleet.commons})
	return b.String()
}

// authority writes what makes the fleet one.
func (m *Member) authority(b *strings.Builder) {
	var expect, join []string
	for _, o := range m.fleet.members {
		join = append(join, fmt.Sprintf("%q", o.host.Addr().String()+peerPort))
		if o.Role.Votes() {
			expect = append(expect, o.Name)
		}
	}
	cfg := m.fleet.cfg
	fmt.Fprintf(b, "control: {expect: [%s], join: [%s], role: %s, interval: %s}\n",
		strings.Join(expect, ", "), strings.Join(join, ", "), m.Role, cfg.Interval)
	if cfg.Settable {
		return // what stands in a file cannot be set
	}
	lease := "auto"
	if cfg.Lease > 0 {
		lease = cfg.Lease.String()
	}
	fmt.Fprintf(b, "split_brain: {strategy: %s, minority: read_only, lease: %s", cfg.Strategy, lease)
	if cfg.Master != "" {
		fmt.Fprintf(b, ", master: %s", cfg.Master)
	}
	b.WriteString("}\n")
}

// regions writes the ways to the gateways of other regions.
func (m *Member) regions(b *strings.Builder) {
	gateways := map[string][]string{}
	var order []string
	for _, o := range m.fleet.members {
		if o.Region == m.Region || o.Role == strategies.Witness {
			continue
		}
		if gateways[o.Region] == nil {
			order = append(order, o.Region)
		}
		gateways[o.Region] = append(gateways[o.Region], fmt.Sprintf("%q", net.JoinHostPort(o.host.Addr().String(), peerPort[1:])))
	}
	if len(order) == 0 {
		return
	}
	b.WriteString("regions:\n")
	for _, r := range order {
		fmt.Fprintf(b, "  %s: {gateways: [%s], rtt: %s}\n", r, strings.Join(gateways[r], ", "), 2*m.fleet.cfg.Delay)
	}
}

func (m *Member) service(b *strings.Builder, name, path string, nodes []*node) {
	fmt.Fprintf(b, "  - name: %s\n    path: %s\n    checks: {interval: 500ms, failures: 3, successes: 1}\n", name, path)
	b.WriteString("    discover:\n      - static:\n          nodes:\n")
	for _, n := range nodes {
		fmt.Fprintf(b, "            - {id: %s, url: %q}\n", n.name, n.url())
	}
}
