package terraform_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/bench/failover"
)

// calls are how many the new region has to answer before it is drained.
const calls = 1000

func (f *fleet) load(gateways ...*gateway) *failover.Load {
	f.t.Helper()
	var sites []failover.Site
	for _, g := range gateways {
		sites = append(sites, failover.Site{Name: g.region, URL: "http://" + g.listen + "/mcp", Agents: failover.Mix{ModernRaw: 2, LegacyRaw: 2}})
	}
	seed := uint64(time.Now().UnixNano())
	f.t.Logf("seed %d", seed)
	l, err := failover.NewLoad(failover.LoadConfig{Sites: sites, Think: 15 * time.Millisecond, Seed: seed, Gated: true})
	if err != nil {
		f.t.Fatal(err)
	}
	l.Start(f.t.Context())
	return l
}

// lossless judges what agents saw.
func lossless(t *testing.T, who string, l *failover.Load, least int64) {
	t.Helper()
	l.Stop()
	fig := l.Figures()
	t.Logf("%s: %d calls, %d of them once, answered by %v", who, fig.Calls, fig.Once, fig.Answers)
	if fig.SafeLost != 0 || fig.SessionsLost != 0 || fig.Unknown != 0 || fig.Calls < least {
		t.Errorf("%s: of %d calls %d retry-safe ones failed, %d have no outcome, %d sessions were lost", who, fig.Calls, fig.SafeLost, fig.Unknown, fig.SessionsLost)
	}
	for region, w := range fig.Writes {
		if w.Refused != 0 || w.Done == 0 {
			t.Errorf("%s: writes at %s: %+v", who, region, w)
		}
	}
}

// known lists the regions that a gateway knows.
func (g *gateway) known() (names []string) {
	_, answer := g.ask(http.MethodGet, "/v1/regions", "")
	var all struct{ Regions []struct{ Name string } }
	if json.Unmarshal(answer, &all) != nil {
		return nil
	}
	for _, r := range all.Regions {
		names = append(names, r.Name)
	}
	return names
}

// The example: a fourth region is added, drained and destroyed under load, and no agent notices.
func TestThreeRegions(t *testing.T) {
	f := form(t, true)
	a := f.gateways[0]
	three := f.load(f.gateways...)
	fourth := f.add("gw-4", "sa-east")
	fourth.late = true
	if err := fourth.start(); err != nil {
		t.Fatal(err)
	}
	f.writable(fourth)
	w := copied(t, filepath.Join(tree, "examples", "three-regions"))
	w.apply(a)
	if got := len(a.known()); got != 3 {
		t.Fatalf("%d regions before", got)
	}

	// A fourth region, with agents of its own.
	w.env = append(w.env, "TF_VAR_fourth="+fourth.peer)
	w.apply(a)
	f.await("every gateway knows it", func() bool {
		return len(f.gateways[0].known()) == 4 && len(f.gateways[1].known()) == 4 && len(f.gateways[2].known()) == 4
	})
	there := f.load(fourth)
	served := func() int64 { return there.Figures().Answers["sa-east"]["sa-east"] }
	f.await("it has answered enough calls", func() bool { return served() >= calls })
	t.Logf("the fourth region has answered %d calls", served())

	// Drained, its agents are served by the others.
	w.env = append(w.env, "TF_VAR_state=draining")
	w.apply(a)
	elsewhere := func() (n int64) {
		for region, of := range there.Figures().Answers["sa-east"] {
			if region != "sa-east" {
				n += of
			}
		}
		return n
	}
	before := elsewhere()
	f.await("others serve its agents", func() bool { return elsewhere() > before+100 })
	last, others := served(), elsewhere()
	f.await("it serves no more", func() bool { return elsewhere() > others+100 })
	if more := served() - last; more > 5 {
		t.Errorf("a drained region answered %d more calls", more)
	}

	// And removed.
	if out, err := w.run(w.through(a), "destroy", "-auto-approve"); err != nil {
		t.Fatal(err, out)
	}
	f.await("everything is as it was", func() bool {
		return len(f.gateways[0].known()) == 3 && len(f.gateways[1].known()) == 3 && a.settings("/v1/routes/charges") == ""
	})
	w.holdsNot(token)
	lossless(t, "agents of the fourth region", there, calls)
	lossless(t, "agents of the three", three, calls)
}
