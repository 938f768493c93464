package config

import (
	"slices"
	"time"
)

// Replication says where what a gateway knows of sessions is kept besides.
type Replication struct {
	Strategy  string            `yaml:"strategy" default:"async" is:"name" example:"quorum" doc:"Where the contents of sessions are kept, so that they outlive a gateway: async (copies at other gateways, those of other regions first), quorum (in the control group, before the agent is answered), jetstream (in a NATS JetStream cluster, by the program quorate-jetstream), or the name of plugin."`
	Factor    int               `yaml:"factor" default:"2" min:"0" max:"8" doc:"Copies besides the one at the gateway that a session belongs to, each at another gateway. Where there are fewer gateways there are fewer copies. 0: none."`
	Timeout   time.Duration     `yaml:"timeout" default:"5s" min:"100ms" max:"1m" doc:"How long one try to bring a change to its copies may take."`
	Retries   int               `yaml:"retries" default:"3" min:"1" max:"10" doc:"Tries before a copy counts as failed. It is still brought up to date once its gateway answers."`
	MaxLag    time.Duration     `yaml:"max_lag" default:"5s" min:"100ms" max:"10m" doc:"Age of the oldest change without its copies beyond which this gateway refuses further changes of sessions."`
	MaxRecord Size              `yaml:"max_record" default:"1MiB" min:"4KiB" max:"3MiB" restart:"true" doc:"Largest contents of one session that are kept elsewhere."`
	Options   map[string]string `yaml:"options" is:"option" max:"32" example:"eu-west" doc:"Settings of the strategy, by name. It is shown them with every question."`
	Plugin    ReplicationPlugin `yaml:"plugin" doc:"A strategy of your own, run as a process. Nothing: strategy is one of those built in."`
}

// ReplicationPlugin is a replication strategy that is not built in, and what it is told once when it starts.
type ReplicationPlugin struct {
	Path     string   `yaml:"path" is:"executable" example:"/usr/lib/quorate/my-strategy" doc:"The executable, absolute."`
	SHA256   string   `yaml:"sha256" is:"sha256" example:"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" doc:"Its checksum, as sha256sum prints it. It is compared before every start."`
	Args     []string `yaml:"args" is:"argument" max:"64" example:"--verbose" doc:"Its arguments."`
	Settings Tree     `yaml:"settings" max:"16KiB" example:"{urls: [\"nats://127.0.0.1:4222\"]}" doc:"What it is told when it starts, such as where its store is: any keys, values and lists that the plugin understands. Secrets belong into files that these name."`
}

// Enabled reports whether a program is named.
func (p ReplicationPlugin) Enabled() bool { return p.Path != "" }

// program is the plugin without its settings.
func (p ReplicationPlugin) program() Plugin {
	return Plugin{Path: p.Path, SHA256: p.SHA256, Args: p.Args}
}

func (p ReplicationPlugin) given() bool {
	return p.Path != "" || p.SHA256 != "" || len(p.Args) > 0 || p.Settings != ""
}

// ServiceReplication is what a service has otherwise than the others.
type ServiceReplication struct {
	Strategy string            `yaml:"strategy" is:"name" example:"quorum" doc:"As in the top-level section. A service that names another strategy than stands there takes neither its options nor its plugin."`
	Factor   *int              `yaml:"factor" min:"0" max:"8" example:"2" doc:"As in the top-level section."`
	Timeout  *time.Duration    `yaml:"timeout" min:"100ms" max:"1m" example:"5s" doc:"As in the top-level section."`
	Retries  *int              `yaml:"retries" min:"1" max:"10" example:"3" doc:"As in the top-level section."`
	MaxLag   *time.Duration    `yaml:"max_lag" min:"100ms" max:"10m" example:"5s" doc:"As in the top-level section."`
	Options  map[string]string `yaml:"options" is:"option" max:"32" example:"eu-west" doc:"As in the top-level section, in the place of those."`
	Plugin   ReplicationPlugin `yaml:"plugin" doc:"As in the top-level section, in the place of that."`
}

// chooses reports whether the service has a strategy, options or a plugin of its own.
func (s ServiceReplication) chooses() bool {
	return s.Strategy != "" || s.Options != nil || s.Plugin.given()
}

// over returns what holds for the service under what stands at the top.
func (s ServiceReplication) over(top Replication) Replication {
	if s.Strategy != "" && s.Strategy != top.Strategy {
		top.Strategy, top.Options, top.Plugin = s.Strategy, nil, ReplicationPlugin{}
	}
	if s.Options != nil {
		top.Options = s.Options
	}
	if s.Plugin.given() {
		top.Plugin = s.Plugin
	}
	top.Factor, top.Retries = either(s.Factor, top.Factor), either(s.Retries, top.Retries)
	top.Timeout, top.MaxLag = either(s.Timeout, top.Timeout), either(s.MaxLag, top.MaxLag)
	return top
}

// either returns the service's own value where there is one.
func either[T any](own *T, top T) T {
	if own != nil {
		return *own
	}
	return top
}

// ReplicationOf returns what holds for a service: its own section, and for what that leaves out the top-level one.
func (c *Config) ReplicationOf(service string) Replication {
	i := slices.IndexFunc(c.Services, func(s Service) bool { return s.Name == service })
	if i < 0 {
		return c.Replication
	}
	return c.Services[i].Replication.over(c.Replication)
}
