package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/regionmajority"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// checkControl reports what would keep the control group from beginning, from being found or from being kept.
func (c *Config) checkControl(r *report) {
	role := c.Control.RoleOf()
	if role == strategies.Witness && len(c.Services) > 0 {
		r.add("services", "stand in the file of a witness, which carries no traffic", "the file without services, or role: voter under control")
	}
	if !c.Controlled() {
		return
	}
	if c.DataDir == "" {
		r.add("data_dir", "is missing beside control: what a gateway promised must outlive it", "data_dir: DIRECTORY, such as /var/lib/quorate")
	}
	c.checkExpect(r, role)
	c.checkJoin(r)
	if c.meetsOthers() {
		c.checkMeeting(r)
	}
}

// checkExpect reports first voters that cannot begin together.
func (c *Config) checkExpect(r *report, role strategies.Role) {
	const at = "control.expect"
	expect, seen := c.Control.Expect, map[string]string{}
	for i, name := range expect {
		r.unique(seen, name, fmt.Sprintf("%s[%d]", at, i), "every name once")
	}
	own := slices.Contains(expect, c.Name)
	switch {
	case role.Votes() && len(expect) > 0 && !own:
		r.add(at, "does not name this gateway, "+c.Name+", which is to vote", c.Name+" among the names, or role: member")
	case !role.Votes() && own:
		r.add(at, "names this gateway, "+c.Name+", as a voter, and control.role is "+role.String(), "the names without it, or role: voter")
	case len(expect) == 2 && c.SplitBrain.counts():
		r.add(at, "are two voters under "+c.SplitBrain.Strategy+", which needs both: either's loss would stop all writes",
			"a third name, such as that of a witness (quorate serve --witness is a tiny voter for a third place), or strategy: oldest_node or configured_master under split_brain, which need one")
	}
}

// counts reports whether the strategy needs more than half of something.
func (s SplitBrain) counts() bool {
	return !s.Plugin.Enabled() && (s.Strategy == winnertakesall.Name || s.Strategy == regionmajority.Name)
}

func (c *Config) checkJoin(r *report) {
	seen := map[string]string{}
	for i, address := range c.Control.Join {
		at := fmt.Sprintf("control.join[%d]", i)
		r.unique(seen, address, at, "every address once")
		if !reachable(address) {
			r.add(at, show(address)+" is no address to dial", "the HOST:PORT of a gateway's peer listener, such as 10.0.1.7:9100")
		}
	}
}

// meetsOthers reports whether others belong to the control group, or are to.
func (c *Config) meetsOthers() bool {
	alone := len(c.Control.Expect) == 1 && c.Control.Expect[0] == c.Name && len(c.Control.Join) == 0
	return !alone || c.Control.RoleOf() != strategies.Voter
}

// checkMeeting reports why the others of the group cannot find this gateway, or it not them.
func (c *Config) checkMeeting(r *report) {
	switch {
	case c.Peer.Address == "":
		r.add("peer.address", "is missing beside control: the others of the group speak to this gateway there", "address: HOST:PORT under peer, with ca_file, cert_file and key_file")
	case c.Peer.Advertise == "" && !reachable(c.Peer.Address):
		r.add("peer.advertise", "is missing beside control, and peer.address is no address that others can use", "advertise: HOST:PORT as other gateways reach this one")
	}
	if !c.knowsOthers() {
		r.add("control.join", "is missing, and no other gateway is named under regions", `join: ["HOST:PORT"], the peer addresses of gateways in the group`)
	}
}

// knowsOthers reports whether there is an address, or a place to look for one, of another gateway.
func (c *Config) knowsOthers() bool {
	own := func(address string) bool { return address == c.Peer.Address || address == c.Peer.Advertise }
	if slices.ContainsFunc(c.Control.Join, func(a string) bool { return !own(a) }) {
		return true
	}
	for _, region := range c.Regions {
		if len(region.Gateways) > 0 {
			return true
		}
	}
	return c.Consul.Enabled() && c.Consul.Peers
}

// reachable reports whether an address can be dialled from elsewhere.
func reachable(address string) bool { return !openTo(address) && !strings.HasSuffix(address, ":0") }
