package demo

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/bench/failover"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// The regions. What the script does to them, the comments below and docs/demo.md say in these words.
const (
	usEast  = "us-east"
	euWest  = "eu-west"
	apSouth = "ap-south"
	// saEast runs in a hold only, and no other region knows it until somebody adds it to the fleet.
	saEast = "sa-east"
)

// founders are the regions that are a fleet from the start.
func founders() []string { return []string{usEast, euWest, apSouth} }

// places are all regions that there can be, in the order in which they are shown.
func places() []string { return append(founders(), saEast) }

// distance is the round trip between two regions.
type distance struct {
	a, b string
	rtt  time.Duration
}

// distances are what public measurements between such places show, rounded. Sa-east's are one and the same, since one
// address leads there from everywhere.
func distances() []distance {
	return []distance{
		{usEast, euWest, 80 * time.Millisecond},
		{euWest, apSouth, 120 * time.Millisecond},
		{usEast, apSouth, 190 * time.Millisecond},
		{usEast, saEast, 95 * time.Millisecond},
		{euWest, saEast, 95 * time.Millisecond},
		{apSouth, saEast, 95 * time.Millisecond},
	}
}

// specs is the pool of a region. Each era has two nodes in each: in us-east one node speaks both, one
// only the stateful legacy era, one only the stateless modern one. So real nodes of either kind take
// part, and whichever is killed, each era has a node left: no kill excuses a lost call.
func specs(region string) []pool.Spec {
	eras := map[string][]string{
		usEast:  {"both", "legacy", "modern"},
		euWest:  {"both", "both"},
		apSouth: {"both", "both"},
		saEast:  {"both", "both"},
	}
	var out []pool.Spec
	for i, era := range eras[region] {
		out = append(out, pool.Spec{ID: fmt.Sprintf("%s-%d", region, i+1), Era: era, Updates: failover.UpdatesEvery})
	}
	return out
}

// agents are the go-sdk clients at each region's edge: few enough to follow, enough to keep every node
// busy. Each also holds a subscription. Sa-east has more without a session: they turn to its own nodes at once.
func agents(region string) failover.Mix {
	if region == saEast {
		return failover.Mix{ModernSDK: 4, LegacySDK: 2}
	}
	return failover.Mix{ModernSDK: 2, LegacySDK: 2}
}

// think is an agent's time between two calls.
const think = 25 * time.Millisecond
