package consul

import (
	"cmp"
	"strings"
)

// instance is one element of Consul's /v1/health/service answer, without the parts that nobody here reads: they are
// most of it, and decoding them would cost most of an update.
type instance struct {
	Node struct {
		Node, Address, Datacenter string
	}
	Service struct {
		ID, Address string
		Port        int
		Ports       []struct {
			Port    int
			Default bool
		}
		Tags    []string
		Meta    map[string]string
		Weights struct{ Passing, Warning int }
	}
	Checks []struct{ CheckID, Status string }
}

// id is unique in the service and the same in every answer and every gateway, whoever else is registered: a service's id
// is unique on its Consul node only, and a node's name in its datacenter only.
func (i *instance) id() string {
	return i.Service.ID + "@" + i.Node.Node + "." + i.Node.Datacenter
}

// address is the instance's own, else its Consul node's.
func (i *instance) address() string { return cmp.Or(i.Service.Address, i.Node.Address) }

// port is the instance's only port, or the default one of several.
func (i *instance) port() int {
	for _, p := range i.Service.Ports {
		if p.Default {
			return p.Port
		}
	}
	return i.Service.Port
}

// hasTag compares as Consul does, without regard to case.
func (i *instance) hasTag(tag string) bool {
	for _, t := range i.Service.Tags {
		if strings.EqualFold(t, tag) {
			return true
		}
	}
	return false
}

// status is what an instance's checks come to.
type status uint8

const (
	passing status = iota
	warning
	critical // or in maintenance
)

// status is that of the worst check; without checks an instance passes. A status that Consul does not have is critical.
func (i *instance) status() status {
	worst := passing
	for _, c := range i.Checks {
		switch {
		case c.CheckID == "_node_maintenance", strings.HasPrefix(c.CheckID, "_service_maintenance:"):
			return critical
		case c.Status == "passing":
		case c.Status == "warning":
			worst = max(worst, warning)
		default:
			worst = critical
		}
	}
	return worst
}

// weight is Consul's own for the status, from 1; a critical instance keeps 1, because verification decides what is dead.
func (i *instance) weight() int {
	switch i.status() {
	case passing:
		return max(i.Service.Weights.Passing, 1)
	case warning:
		return max(i.Service.Weights.Warning, 1)
	default:
		return 1
	}
}
