package builtin

import (
	"slices"

	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/async"
	"github.com/quorate/quorate/strategies/quorum"
)

// Replication is one of the replication strategies that come with Quorate.
type Replication struct {
	Name  string // as configuration calls it
	Short string // where contents are kept, as a sentence without a full stop
	Plan  strategies.PlanFunc
}

// Replications returns them, the default first.
func Replications() []Replication {
	return []Replication{
		{async.Name, "Sessions are copied to other gateways, those of other regions first", async.Plan},
		{quorum.Name, "Sessions are committed in the control group before the agent is answered", quorum.Plan},
	}
}

// ReplicationNames returns their names, in the order of Replications.
func ReplicationNames() []string {
	var names []string
	for _, s := range Replications() {
		names = append(names, s.Name)
	}
	return names
}

// FindReplication returns the replication strategy of that name.
func FindReplication(name string) (Replication, bool) {
	all := Replications()
	i := slices.IndexFunc(all, func(s Replication) bool { return s.Name == name })
	if i < 0 {
		return Replication{}, false
	}
	return all[i], true
}

// Companion is a replication strategy that comes with Quorate as a program of its own, so that what it depends on is no
// part of the gateway.
type Companion struct {
	Name    string // as configuration calls it
	Program string // its file, beside the gateway's or in PATH
}

// FindCompanion returns the companion of that name.
func FindCompanion(name string) (Companion, bool) {
	if name != "jetstream" {
		return Companion{}, false
	}
	return Companion{Name: name, Program: "quorate-jetstream"}, true
}
