package sessions_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/quorate/quorate/internal/natsproc"
	"github.com/quorate/quorate/internal/testnet"
)

// way is a replication strategy that a suite is run with: what it needs, and what of it breaks in schedules.
type way struct {
	name   string
	setup  setup
	faults func(w *world) []fault
}

// fault is one that a schedule brings about, for some time, and takes back. Its functions may be called from any goroutine.
type fault struct {
	name  string
	lasts time.Duration
	hurt  func(round int)
	heal  func(round int) error
}

// asyncWay needs nothing: its places are the gateways.
func asyncWay() way {
	return way{name: "async", faults: func(w *world) []fault { return []fault{w.killGateway(), w.killNode()} }}
}

// jetstreamWay has every gateway and every NATS server on a host of its own.
func jetstreamWay(seed uint64) way {
	return way{
		name: "jetstream", setup: setup{apart: true, seed: seed, engine: natsApart},
		faults: func(w *world) []fault {
			return []fault{w.killGateway(), w.killNATS(), w.killNode(), w.cutNATS(), w.cutGateway()}
		},
	}
}

// natsApart has three NATS servers on hosts of their own, and returns what the file says of them.
func natsApart(w *world) string {
	w.t.Helper()
	var places []natsproc.Place
	for i := range 3 {
		at := newHost(w.t, w.net, fmt.Sprintf("nats-%d", i+1))
		w.natsHosts = append(w.natsHosts, at.host)
		places = append(places, natsPlace(at, ""))
	}
	w.nats = natsAt(w.t, places)
	return inJetStream(w.nats)
}

// natsPlace is a NATS server's on a host of its own.
func natsPlace(at *place, region string) natsproc.Place {
	return natsproc.Place{
		Name: at.host.Name, Client: at.address(), Cluster: at.address(), Monitoring: at.address(), Region: region, Group: at.group,
		Dial: at.host.DialContext,
	}
}

func (w *world) killGateway() fault {
	at := w.gateways()
	return fault{
		"a gateway killed", time.Second,
		func(round int) { at[round%len(at)].kill() },
		func(round int) error { return at[round%len(at)].begin() },
	}
}

func (w *world) cutGateway() fault {
	at := w.gateways()
	return fault{
		"a gateway cut off from the others", 3 * time.Second,
		func(round int) { w.part(at[round%len(at)], true, true) },
		func(round int) error { w.unite(at[round%len(at)]); return nil },
	}
}

func (w *world) killNode() fault {
	return fault{
		"a node killed", 500 * time.Millisecond,
		func(round int) { w.nodes[round%len(w.nodes)].process.Kill() },
		func(round int) error { return w.nodes[round%len(w.nodes)].begin(w.t.Context()) },
	}
}

// killNATS kills the server that leads the bucket.
func (w *world) killNATS() fault {
	hit := 0
	return fault{
		"the NATS leader killed", time.Second,
		func(int) { hit = w.leads(); w.nats.Servers[hit].Kill() },
		func(int) error { return w.nats.Servers[hit].Start(w.t.Context()) },
	}
}

// cutNATS cuts off the server that leads the bucket, from everybody.
func (w *world) cutNATS() fault {
	hit := 0
	cut := func(off bool) { w.net.Isolate(w.natsHosts[hit], func(c *testnet.Condition) { c.Cut = off }) }
	return fault{
		"the NATS leader cut off", 3 * time.Second,
		func(int) { hit = w.leads(); cut(true) },
		func(int) error { cut(false); return nil },
	}
}

// monitored asks a NATS server's monitoring port, and reports whether all is well with the answer.
func (w *world) monitored(s *natsproc.Server, path string, into any) bool {
	line := w.edge.transport(nil)
	line.DisableKeepAlives = true
	client := &http.Client{Transport: line, Timeout: time.Second}
	answer, err := client.Get("http://" + s.Monitoring + path)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK && json.NewDecoder(answer.Body).Decode(into) == nil
}

// recovered waits until every gateway may write again, and every NATS server is up to date, after a fault.
func (w *world) recovered(after string) error {
	end := monotonic() + healed
	if w.nats != nil {
		for _, s := range w.nats.Servers {
			for ; !w.monitored(s, "/healthz", &struct{ Status string }{}); w.pass(50 * time.Millisecond) {
				if monotonic() > end {
					return fmt.Errorf("%s is not healthy again after: %s", s.Name, after)
				}
			}
		}
	}
	for _, m := range w.gateways() {
		for ; m.status("/writez") != 200; w.pass(50 * time.Millisecond) {
			if monotonic() > end {
				return fmt.Errorf("%s does not write again after: %s", m.name, after)
			}
		}
	}
	return nil
}
