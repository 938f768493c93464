package control

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/rulebook"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/configuredmaster"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// unlinked is a gateway's view of links that tell nothing.
type unlinked struct{ linked }

type linked = Links

func (unlinked) Links() []peer.Link { return nil }

// A new leader suspects the one before it that it does not hear, unless it is cut off itself: who cannot write suspects
// nobody.
func TestUnheardOf(t *testing.T) {
	id := func(name string) authority.VoterID { return authority.VoterID{Name: name, Store: "s"} }
	life := func(name string) authority.Life { return authority.Life{Gateway: name, Incarnation: 5} }
	var members []authority.Member
	for _, name := range []string{"a", "b", "c"} {
		members = append(members, authority.Member{VoterID: id(name), Region: name})
	}
	in := rulebook.Input(members, nil, 3, map[string]string{"master": "a"})
	for name, c := range map[string]struct {
		rule         func(strategies.Input) (strategies.Rule, error)
		former, from time.Duration // how long ago a was heard, and c has acked
		fenced       authority.Index
		suspect      authority.Index
		want         int
	}{
		"silent":                   {winnertakesall.Rule, 700 * ms, 100 * ms, 0, 0, 1},
		"heard":                    {winnertakesall.Rule, 500 * ms, 100 * ms, 0, 0, 0},
		"nobody acks":              {winnertakesall.Rule, 700 * ms, 700 * ms, 0, 0, 0},
		"the rule needs the other": {configuredmaster.Rule, 700 * ms, 100 * ms, 0, 0, 0},
		"suspected already":        {winnertakesall.Rule, 700 * ms, 100 * ms, 0, 9, 0},
		"fenced":                   {winnertakesall.Rule, 700 * ms, 100 * ms, 9, 9, 0},
	} {
		r, err := c.rule(in)
		if err != nil {
			t.Fatal(err)
		}
		rule, err := rulebook.Rulebook{}.Parse(r.Encode())
		if err != nil {
			t.Fatal(err)
		}
		lease := authority.NewLease(time.Now().Add(-time.Minute))
		now := lease.Now()
		d := &driver{
			me: id("b"), cfg: &Config{Interval: 200 * ms}, lease: lease, links: unlinked{},
			heard:    map[authority.Life]time.Duration{life("a"): now - c.former, life("c"): now - 50*ms},
			answered: map[string]time.Duration{"a": now - c.former, "c": now - c.from},
		}
		d.view.Ruling.Now = authority.Quorum{Rule: rule, Source: r.Encode(), Voters: members, Promise: 800 * ms}
		d.view.Lives = []authority.Standing{{Life: life("a"), Suspect: c.suspect, Fenced: c.fenced}, {Life: life("b")}, {Life: life("c")}}
		if got := d.unheardOf("a"); len(got) != c.want || c.want > 0 && got[0] != life("a") {
			t.Errorf("%s: %v", name, got)
		}
		if got := d.unheardOf("c"); len(got) > 0 {
			t.Errorf("%s: %v is heard", name, got)
		}
	}
}
