package demo

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/config"
)

// TestGatewaysAreConfiguredAsShown reads what the demo writes as a gateway would.
func TestGatewaysAreConfiguredAsShown(t *testing.T) {
	dir := t.TempDir()
	ids, err := issue(dir, places())
	if err != nil {
		t.Fatal(err)
	}
	all, err := newLinks(echoes(t, places()...), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer all.close()
	for _, region := range places() {
		file := filepath.Join(dir, region+".yaml")
		text := "name: " + gatewayName(region) + "\nregion: " + region + "\n" + gatewayYAML(region, dir, "127.0.0.1:20001", ids[region], all, timesOf(false)) +
			"services:\n  - name: tools\n    path: /mcp\n    discover: [{static: {nodes: []}}]\n" + serviceYAML
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(file, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		f := cfg.Failover
		if got := (times{f.Interval, f.Evacuate, f.HoldDown, f.Ramp}); got != timesOf(false) {
			t.Errorf("%s has %+v, the screen says %s", region, got, timesOf(false))
		}
		if c := cfg.Classes; c.Fast != 10*time.Millisecond || c.Medium != 125*time.Millisecond || c.Slow != 200*time.Millisecond {
			t.Errorf("%s: %+v", region, c)
		}
		c := cfg.Control
		expect, join := voters(), 2
		if region == saEast {
			expect, join = nil, 3
		}
		if _, known := cfg.Regions[saEast]; known && region != saEast {
			t.Errorf("%s knows sa-east before anybody has added it", region)
		}
		if cfg.DataDir == "" || !cfg.Controlled() || !slices.Equal(c.Expect, expect) || len(c.Join) != join || cfg.SplitBrain.LeaseOf() != 0 {
			t.Errorf("%s: data_dir %q, control %+v", region, cfg.DataDir, c)
		}
		if s := cfg.SplitBrain; s.Strategy != "winner_takes_all" || s.Mode() != authority.ReadOnly {
			t.Errorf("%s: %+v", region, s)
		}
		for _, address := range c.Join {
			if !slices.ContainsFunc(all.from(region), func(r road) bool { return r.address == address }) {
				t.Errorf("%s joins at %s, which is none of its links", region, address)
			}
		}
		for _, d := range distances() {
			if other := d.other(region); other != "" && other != saEast && (cfg.Regions[other].RTT != d.rtt || len(cfg.Regions[other].Gateways) != 1) {
				t.Errorf("%s – %s: %+v", region, other, cfg.Regions[other])
			}
		}
	}
}

func (d distance) other(region string) string {
	switch region {
	case d.a:
		return d.b
	case d.b:
		return d.a
	}
	return ""
}
