package admin

import (
	"fmt"
	"net/http"
)

// Words for a write gate.
const (
	GateOpen    = "open"
	GateClosed  = "closed"
	GateUnknown = "unknown" // another gateway's, which does not answer
	GateNone    = "none"    // a witness has none
)

// live answers 200 as long as the process can answer at all. It must never depend on anything
// outside it: an orchestrator restarts what fails here, and a restart mends nothing outside.
func live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Live bool `json:"live"`
	}{true})
}

func ready(reasons func() []string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		why := reasons()
		code := http.StatusOK
		if len(why) > 0 {
			code = http.StatusServiceUnavailable
		}
		writeJSON(w, code, struct {
			Ready   bool     `json:"ready"`
			Reasons []string `json:"reasons"`
		}{len(why) == 0, append([]string{}, why...)})
	}
}

// writable answers 200 while this gateway may write.
func writable(gate func() (bool, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		open, why := gate()
		writeJSON(w, gateCode(open), struct {
			Writable bool   `json:"writable"`
			Gate     string `json:"gate"`
			Reason   string `json:"reason"`
		}{open, gateWord(open), why})
	}
}

// health is the documented pair: the code says whether this gateway may write, the word how it is. It is degraded
// while its gate is closed or a node that was verified once is not healthy, unhealthy when it cannot serve.
func health(c Config) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		open, closed := c.Gate()
		word, why := "healthy", append([]string{}, c.Ready()...)
		if len(why) > 0 {
			word = "unhealthy"
		} else if why = append(why, ill(c.Status())...); len(why) > 0 || !open {
			word = "degraded"
		}
		if !open {
			why = append(why, "gate closed: "+closed)
		}
		writeJSON(w, gateCode(open), struct {
			Status  string   `json:"status"`
			Reasons []string `json:"reasons"`
			Gate    string   `json:"gate"`
		}{word, why, gateWord(open)})
	}
}

// gateCode is 200 for an open gate, else 503.
func gateCode(open bool) int {
	if open {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

func gateWord(open bool) string {
	if open {
		return GateOpen
	}
	return GateClosed
}

// alwaysOpen is the gate of a gateway that is a fleet of one.
func alwaysOpen() (open bool, why string) { return true, "" }

// ill says which services have nodes that are not healthy, without naming the nodes: the path is open.
func ill(s Status) (why []string) {
	for _, service := range s.Services {
		sick := 0
		for _, n := range service.Nodes {
			if n.State != "healthy" {
				sick++
			}
		}
		if sick > 0 {
			why = append(why, fmt.Sprintf("service %s: %d of %d nodes are not healthy", service.Name, sick, len(service.Nodes)))
		}
	}
	return why
}
