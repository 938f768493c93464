package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
)

// The names of the documents of kind strategies that there are.
const (
	SplitBrainStrategy  = "split_brain" // which side of a partition writes
	ReplicationStrategy = "replication" // where sessions are kept: what a service can have otherwise, for all of them
)

// Strategy is a strategy chosen at run time, with the keys that the file's section of that name has.
type Strategy struct {
	Strategy string            `yaml:"strategy" required:"true" is:"name" example:"oldest_node" doc:"winner_takes_all, oldest_node, configured_master, region_majority, or the name of plugin."`
	Master   string            `yaml:"master" is:"name" example:"gw-1" doc:"The voter that configured_master needs."`
	Options  map[string]string `yaml:"options" max:"32" example:"eu-west" doc:"Settings of the strategy, by name."`
	Plugin   StrategyPlugin    `yaml:"plugin" doc:"A strategy that is not built in."`
}

// StrategyPlugin is the executable of a strategy.
type StrategyPlugin struct {
	Path   string   `yaml:"path" example:"/usr/lib/quorate/my-strategy" doc:"The executable, absolute; it must be there on every voter."`
	SHA256 string   `yaml:"sha256" example:"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" doc:"Its checksum."`
	Args   []string `yaml:"args" max:"64" example:"--verbose" doc:"Its arguments."`
}

// Bounds of a strategy's settings, those of strategies.Input and of a command line.
const (
	maxOption   = 1024
	maxArgument = 4096
)

var checksumForm = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

// builtinStrategies need no plugin.
func builtinStrategies() []string {
	return []string{"winner_takes_all", "oldest_node", "configured_master", "region_majority"}
}

// check reports what a strategy's keys say against each other.
func (s Strategy) check(r *report, at string) {
	builtin := slices.Contains(builtinStrategies(), s.Strategy)
	switch {
	case s.Plugin.Path == "" && !builtin:
		r.add(at+".strategy", show(s.Strategy)+" is not built in", orList(builtinStrategies())+", or the plugin's path and sha256")
	case s.Plugin.Path == "" && (s.Plugin.SHA256 != "" || len(s.Plugin.Args) > 0):
		r.add(at+".plugin.path", "is missing", "path: FILE, the executable")
	case s.Plugin.Path != "" && builtin:
		r.add(at+".strategy", show(s.Strategy)+" is built in and has no plugin", "a name of the plugin's own")
	case s.Strategy == "configured_master" && s.Master == "":
		r.add(at+".master", "is missing with configured_master", "master: NAME, a voter")
	}
	for name, value := range s.Options {
		if f := checkName(name); f != nil || len(value) > maxOption {
			r.add(at+".options."+name, "is not an option", fmt.Sprintf("a name with a value of at most %d bytes", maxOption))
		}
	}
	s.Plugin.check(r, at+".plugin")
}

func (p StrategyPlugin) check(r *report, at string) {
	if p.Path == "" {
		return
	}
	if !filepath.IsAbs(p.Path) || checkFileName(p.Path) != nil {
		r.add(at+".path", show(p.Path)+" is not an absolute path", "a path such as /usr/lib/quorate/my-strategy")
	}
	if !checksumForm.MatchString(p.SHA256) {
		r.add(at+".sha256", "is not a SHA-256 checksum", "the 64 hexadecimal digits that sha256sum prints")
	}
	for i, arg := range p.Args {
		if len(arg) > maxArgument {
			r.add(fmt.Sprintf("%s.args[%d]", at, i), "is too long", fmt.Sprintf("at most %d bytes", maxArgument))
		}
	}
}
