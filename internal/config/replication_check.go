package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/quorate/quorate/strategies/builtin"
)

// checkReplication reports a strategy that cannot be run.
func (c *Config) checkReplication(r *report) {
	c.Replication.check(r, "replication")
	for i, s := range c.Services {
		if s.Replication.chooses() {
			s.Replication.over(c.Replication).check(r, fmt.Sprintf("services[%d].replication", i))
		}
	}
}

func (p Replication) check(r *report, at string) {
	_, known := builtin.FindReplication(p.Strategy)
	_, companion := builtin.FindCompanion(p.Strategy)
	r.checkProgram(at, p.Strategy, known || companion && !p.Plugin.Enabled(), append(builtin.ReplicationNames(), "jetstream"), p.Plugin.program())
	if companion && p.Plugin.Settings == "" {
		r.add(at+".plugin.settings", "are missing", `settings: {urls: ["nats://HOST:4222"]}`)
	}
	if known && p.Plugin.Settings != "" && !p.Plugin.Enabled() {
		r.add(at+".plugin.settings", "are for a plugin, and "+show(p.Strategy)+" is built in", "no settings")
	}
	r.checkOptions(at+".options", p.Options)
}

// checkProgram reports a strategy that is neither built in nor a plugin, or both.
func (r *report) checkProgram(at, strategy string, known bool, builtins []string, p Plugin) {
	switch {
	case known && p.Enabled():
		r.add(at+".strategy", show(strategy)+" is built in, and a plugin is named too", "a name of the plugin's own, or no plugin")
	case !known && !p.Enabled() && !r.bad[at+".strategy"] && !r.badBelow(at+".plugin"):
		r.add(at+".strategy", show(strategy)+" is not built in", orList(builtins)+", or name its program under plugin")
	}
	switch {
	case p.Enabled() && p.SHA256 == "" && !r.bad[at+".plugin.sha256"]:
		r.add(at+".plugin.sha256", "is missing beside path", "sha256: what sha256sum "+p.Path+" prints")
	case !p.Enabled() && (p.SHA256 != "" || len(p.Args) > 0) && !r.bad[at+".plugin.path"]:
		r.add(at+".plugin.path", "is missing", "path: FILE, the plugin's executable")
	}
}

// checkOptions reports names that are none.
func (r *report) checkOptions(at string, options map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if f := checkName(name); f != nil {
			r.add(at+"."+name, f.what, f.write)
		}
	}
}
