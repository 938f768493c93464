package config

import (
	"maps"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/configuredmaster"
)

// Control says with whom this gateway agrees on who may write.
type Control struct {
	Expect   []string      `yaml:"expect" is:"name" max:"32" example:"gw-1" restart:"true" doc:"Names of the first voters, the same in every voter's file: together they begin the control group, once. Three at least, unless the strategy needs only one of them. Empty: this gateway begins none, it joins one."`
	Join     []string      `yaml:"join" is:"address" max:"64" example:"127.0.0.1:9100" restart:"true" doc:"HOST:PORT of the peer listeners of gateways in the control group, its own among them or not. The gateways of regions are asked too."`
	Role     string        `yaml:"role" default:"voter" enum:"voter,member,witness" restart:"true" doc:"What this gateway is there: a voter, a member without a vote, or a witness, a voter without traffic (quorate serve --witness)."`
	Interval time.Duration `yaml:"interval" default:"200ms" min:"50ms" max:"5s" restart:"true" doc:"Time between two heartbeats to every voter. Over long distances a round trip is a good choice."`
}

// RoleOf returns what this gateway is in the control group.
func (c Control) RoleOf() strategies.Role {
	role, err := strategies.ParseRole(c.Role)
	if err != nil {
		return strategies.Voter // the default; Load takes no other words
	}
	return role
}

// Controlled reports whether this gateway belongs to a control group that its file declares. Else it is a fleet of
// one, and may always write.
func (c *Config) Controlled() bool {
	return len(c.Control.Expect) > 0 || len(c.Control.Join) > 0 || c.Control.RoleOf() != strategies.Voter
}

// SplitBrain says which side of a partition writes, and what the others do.
type SplitBrain struct {
	Strategy string            `yaml:"strategy" default:"winner_takes_all" is:"name" example:"oldest_node" restart:"true" doc:"Which voters are needed for writing: winner_takes_all (most voters), oldest_node (the one that joined first), configured_master (master), region_majority (most voters of most regions), or the name of plugin."`
	Minority string            `yaml:"minority" default:"read_only" enum:"read_only,reject,standalone" doc:"What this gateway does while it may not write: read_only serves reads, reject only ping and discovery, standalone is read_only and goes on with the state of sessions that it owns. Tool calls that write are refused in each."`
	Lease    string            `yaml:"lease" default:"auto" is:"lease" example:"1s" restart:"true" doc:"How long a gateway may write after the last heartbeat that enough voters acknowledged: auto (600ms at least, and four times the interval and the measured round trip), or from 100ms to 1m. The other side waits as long before it takes over."`
	Master   string            `yaml:"master" is:"name" example:"gw-1" restart:"true" doc:"The voter that configured_master needs. Its loss stops writes everywhere until another is named."`
	Options  map[string]string `yaml:"options" is:"option" max:"32" example:"eu-west" restart:"true" doc:"Settings of the strategy, by name."`
	Plugin   Plugin            `yaml:"plugin" doc:"A strategy of your own, run as a process. Nothing: strategy is one of those built in."`
}

// Plugin is a strategy that is not built in.
type Plugin struct {
	Path   string   `yaml:"path" is:"executable" example:"/usr/lib/quorate/my-strategy" restart:"true" doc:"The executable, absolute."`
	SHA256 string   `yaml:"sha256" is:"sha256" example:"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" restart:"true" doc:"Its checksum, as sha256sum prints it. It is compared before every start."`
	Args   []string `yaml:"args" is:"argument" max:"64" example:"--verbose" restart:"true" doc:"Its arguments."`
}

// Enabled reports whether a plugin is named.
func (p Plugin) Enabled() bool { return p.Path != "" }

// Mode returns what this gateway does while it may not write.
func (s SplitBrain) Mode() authority.Mode {
	mode, err := authority.ParseMode(s.Minority)
	if err != nil {
		return authority.ReadOnly // the default; Load takes no other words
	}
	return mode
}

// LeaseOf returns how long acknowledgements count, and 0 for auto.
func (s SplitBrain) LeaseOf() time.Duration {
	d, err := time.ParseDuration(s.Lease)
	if err != nil {
		return 0 // auto; Load takes no other words
	}
	return d
}

// OptionsOf returns the options as the strategy gets them, master among them; the map is the caller's.
func (s SplitBrain) OptionsOf() map[string]string {
	all := map[string]string{}
	maps.Copy(all, s.Options)
	if s.Master != "" {
		all[configuredmaster.Option] = s.Master
	}
	return all
}
