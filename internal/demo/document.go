package demo

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// identity is the files of one gateway's fleet certificate.
type identity struct{ ca, cert, key string }

func gatewayName(region string) string { return "gw-" + region }

// times are what the demo shortens of regional failover.
type times struct{ interval, evacuate, holdDown, ramp time.Duration }

// timesOf returns times to watch, or in brief those that a machine has to wait for.
func timesOf(brief bool) times {
	if brief {
		return times{500 * time.Millisecond, time.Second, 2 * time.Second, 2 * time.Second}
	}
	return times{time.Second, 3 * time.Second, 5 * time.Second, 5 * time.Second}
}

// String says what was shortened.
func (t times) String() string {
	return fmt.Sprintf("Shortened for the demo: a region is judged every %s (default 5s) and left over %s (30s); it comes back\n"+
		"after %s (5m) and over %s (1m). Latency classes: %s.", t.interval, t.evacuate, t.holdDown, t.ramp, classes)
}

// classes put the distances into two of them, all clear of the bounds by the fifth that a change takes, so
// that a link that slows down changes one, and back.
const classes = "fast: 10ms, medium: 125ms, slow: 200ms"

// capacity is how many requests of other regions a region takes at once: more than there are agents.
const capacity = 100

// voters are the gateways that begin the control group.
func voters() []string {
	var all []string
	for _, region := range founders() {
		all = append(all, gatewayName(region))
	}
	return all
}

// addresses are where a region's links begin, as YAML. The gateway finds everybody over them, so that no way leads
// past the demo's delays and cuts.
func addresses(roads []road) []string {
	var all []string
	for _, r := range roads {
		all = append(all, strconv.Quote(r.address))
	}
	return all
}

// gatewayYAML is what a gateway is told besides its nodes; dir is for what it must not forget. A founder's file says
// nothing of sa-east, whose own says all of the founders: so it joins them, and is no region of theirs yet.
func gatewayYAML(region, dir, peer string, id identity, all links, t times) string {
	var b strings.Builder
	fmt.Fprintf(&b, "data_dir: %q\n", filepath.Join(dir, gatewayName(region)))
	roads := slices.DeleteFunc(all.from(region), func(r road) bool { return r.to == saEast })
	expect, advertise, own := fmt.Sprintf("expect: [%s], ", strings.Join(voters(), ", ")), "", fmt.Sprintf("  %s: {capacity: %d}\n", region, capacity)
	if region == saEast {
		expect, advertise, own = "", fmt.Sprintf(", advertise: %q", all.to(saEast)), ""
	}
	fmt.Fprintf(&b, "peer: {address: %q%s, ca_file: %q, cert_file: %q, key_file: %q}\n", peer, advertise, id.ca, id.cert, id.key)
	fmt.Fprintf(&b, "control: {%sjoin: [%s]}\n", expect, strings.Join(addresses(roads), ", "))
	b.WriteString("split_brain: {strategy: winner_takes_all, minority: read_only}\n")
	fmt.Fprintf(&b, "regions:\n%s", own)
	for _, r := range roads {
		fmt.Fprintf(&b, "  %s: {gateways: [%q], rtt: %s, capacity: %d}\n", r.to, r.address, r.rtt, capacity)
	}
	fmt.Fprintf(&b, "classes: {%s}\n", classes)
	fmt.Fprintf(&b, "failover: {interval: %s, failures: 3, evacuate: %s, hold_down: %s, ramp: %s}\n", t.interval, t.evacuate, t.holdDown, t.ramp)
	b.WriteString("shutdown: {drain: 5s}\n")
	return b.String()
}

// serviceYAML lets every region take every call, and finds nodes that start again sooner than by default.
// A check of a region takes several round trips and has to end within the interval.
const serviceYAML = `    class: medium
    spill: any
    checks: {interval: 2s, failures: 3, successes: 1}
    balance: {slow_start: 0s}
`
