package demo

import (
	"fmt"
	"strings"
)

// identity is the files of one gateway's fleet certificate.
type identity struct{ ca, cert, key string }

func gatewayName(region string) string { return "gw-" + region }

// shortened says what the demo cannot wait for; see gatewayYAML.
const shortened = "Shortened for the demo: a region is judged every 1 s (default 5 s) and left over 3 s (30 s); it comes back\n" +
	"after 5 s (5 min) and over 5 s (1 min). Latency classes: fast 10 ms, medium 100 ms, slow 200 ms."

// capacity is how many requests of other regions a region takes at once: more than there are agents.
const capacity = 100

// gatewayYAML is what a gateway is told besides its nodes. The times are shortened; the classes put the
// three distances into two of them, so that a link that slows down changes one.
func gatewayYAML(region, peer string, id identity, all links) string {
	var b strings.Builder
	fmt.Fprintf(&b, "peer: {address: %q, ca_file: %q, cert_file: %q, key_file: %q}\n", peer, id.ca, id.cert, id.key)
	fmt.Fprintf(&b, "regions:\n  %s: {capacity: %d}\n", region, capacity)
	for _, r := range all.from(region) {
		fmt.Fprintf(&b, "  %s: {gateways: [%q], rtt: %s, capacity: %d}\n", r.to, r.address, r.rtt, capacity)
	}
	b.WriteString("classes: {fast: 10ms, medium: 100ms, slow: 200ms}\n")
	b.WriteString("failover: {interval: 1s, failures: 3, hold_down: 5s, ramp: 5s, evacuate: 3s}\n")
	b.WriteString("shutdown: {drain: 5s}\n")
	return b.String()
}

// serviceYAML lets every region take every call, and finds nodes that start again sooner than by default.
const serviceYAML = `    class: medium
    spill: any
    checks: {interval: 400ms, failures: 3, successes: 1}
    balance: {slow_start: 0s}
`
