package demo

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/bench/failover"
)

// model is the world as the script leaves it after each deed.
type model struct {
	dead  map[string]string // region → "one" or "all"
	cut   map[string]bool
	rtt   map[string]time.Duration
	gone  string // whose gateway is killed
	killz int
}

func newModel() *model {
	m := &model{dead: map[string]string{}, cut: map[string]bool{}, rtt: map[string]time.Duration{}}
	for _, d := range distances() {
		m.rtt[d.a+d.b] = d.rtt
	}
	return m
}

func (m *model) do(d deed) error {
	switch d.verb {
	case kill, killAll:
		if m.dead[d.at] != "" {
			return fmt.Errorf("%s: nodes of %s are dead already", d, d.at)
		}
		m.dead[d.at] = map[verb]string{kill: "one", killAll: "all"}[d.verb]
		m.killz++
	case start:
		delete(m.dead, d.at)
	case slow:
		if _, ok := m.rtt[d.at+d.to]; !ok {
			return fmt.Errorf("%s: there is no such link", d)
		}
		m.rtt[d.at+d.to] = d.rtt
	case cut:
		m.cut[d.at] = true
	case heal:
		delete(m.cut, d.at)
	case crash:
		if m.gone != "" || len(m.cut) > 0 {
			return fmt.Errorf("%s: two of three voters are away", d)
		}
		m.gone = d.at
	case revive:
		m.gone = ""
	}
	return nil
}

// served returns the regions whose agents somebody can answer: their own region, or one that is neither
// without nodes nor cut off.
func (m *model) served(at string) bool {
	for _, by := range founders() {
		if m.dead[by] != "all" && (by == at || !m.cut[by] && !m.cut[at]) {
			return true
		}
	}
	return false
}

func TestScriptsLeaveEveryAgentServedAndBringEverythingBack(t *testing.T) {
	for _, brief := range []bool{false, true} {
		m := newModel()
		for _, a := range script(brief) {
			for _, d := range append(append([]deed{}, a.do...), a.then...) {
				if err := m.do(d); err != nil {
					t.Errorf("%s: %v", a.name, err)
				}
				for _, at := range founders() {
					if !m.served(at) {
						t.Errorf("%s: after %q nobody can answer the agents of %s, so a lost call proves nothing", a.name, d, at)
					}
				}
			}
		}
		for _, d := range distances() {
			if m.rtt[d.a+d.b] != d.rtt {
				t.Errorf("the link %s – %s stays at %s", d.a, d.b, m.rtt[d.a+d.b])
			}
		}
		if len(m.dead)+len(m.cut) > 0 || m.gone != "" || m.killz < 2 {
			t.Errorf("at the end dead %v, cut off %v, kills %d", m.dead, m.cut, m.killz)
		}
	}
}

// The control of the test before: a script that cuts a region off which has no nodes leaves agents alone.
func TestModelFindsAgentsThatNobodyServes(t *testing.T) {
	m := newModel()
	for _, d := range []deed{{verb: killAll, at: euWest}, {verb: cut, at: euWest}} {
		if err := m.do(d); err != nil {
			t.Fatal(err)
		}
	}
	if m.served(euWest) || !m.served(usEast) {
		t.Error("the model sees nothing")
	}
	if m.do(deed{verb: kill, at: euWest}) == nil || m.do(deed{verb: slow, at: apSouth, to: euWest}) == nil {
		t.Error("the model takes impossible deeds")
	}
}

func TestScriptIsMadeToBeWatched(t *testing.T) {
	least := func(brief bool) (sum time.Duration) {
		for _, a := range script(brief) {
			sum += max(a.least, a.rest)
			if len(a.until) == 0 || a.most <= 0 || a.name == "" || a.says == "" {
				t.Errorf("%+v says or sees nothing", a)
			}
			if n := utf8.RuneCountInString(a.name); n > nameWidth {
				t.Errorf("%q is %d wide and breaks the table", a.name, n)
			}
			if (len(a.then) > 0) != (a.rest > 0) {
				t.Errorf("%s rests %s before %d deeds", a.name, a.rest, len(a.then))
			}
		}
		return sum
	}
	if full, brief := least(false), least(true); full < 40*time.Second || full > 60*time.Second || brief > 16*time.Second {
		t.Errorf("at least %s, brief %s", full, brief)
	}
}

// A region may refuse writes from its cut on, until the act that heals it has seen it write again.
func TestWritesMayBeRefusedWhileCutOffOnly(t *testing.T) {
	off, shut := "", 0
	for _, a := range acts() {
		for _, d := range append(append([]deed{}, a.do...), a.then...) {
			if d.verb == cut {
				off = d.at
			}
		}
		if a.shut != off {
			t.Errorf("%s: %q may refuse writes while %q is cut off", a.name, a.shut, off)
		}
		if off != "" {
			shut++
		}
		for _, d := range a.do {
			if d.verb == heal && d.at == off && slices.Contains(a.until, sight(gate{off, true})) && slices.Contains(a.until, sight(written{off})) {
				off = ""
			}
		}
	}
	if off != "" || shut == 0 {
		t.Errorf("%d acts shut a gate, %q stays shut", shut, off)
	}
}

func TestEveryKillLeavesEachEraANode(t *testing.T) {
	for _, region := range places() {
		for _, dead := range specs(region) {
			left := map[string]bool{}
			for _, s := range specs(region) {
				if s.ID != dead.ID {
					left["legacy"] = left["legacy"] || s.Era != "modern"
					left["modern"] = left["modern"] || s.Era != "legacy"
				}
			}
			if !left["legacy"] || !left["modern"] {
				t.Errorf("without %s %s has %v", dead.ID, region, left)
			}
		}
	}
}

func TestDeedsAreSaid(t *testing.T) {
	for _, a := range acts() {
		for _, d := range append(append([]deed{}, a.do...), a.then...) {
			if !strings.Contains(d.String(), d.at) {
				t.Errorf("%+v is said as %q", d, d)
			}
		}
	}
}

func TestSights(t *testing.T) {
	v := view{
		edges: map[string]edge{euWest: {nodes: 2, healthy: 2, sees: map[string]admin.Region{
			usEast: {Name: usEast, State: "on", Class: "beyond", Measured: true, Services: []admin.RegionService{{Nodes: 1, Healthy: 1}}}, euWest: {Name: euWest, State: "off"}}}},
		rates:  map[string]map[string]float64{euWest: {usEast: 30, apSouth: 20}, apSouth: {apSouth: 9}},
		writes: map[string]failover.Writes{euWest: {Done: 8}, apSouth: {Refused: 3}, usEast: {Done: 1, Refused: 1}},
	}
	for region, open := range map[string]bool{euWest: true, apSouth: false} {
		e := v.edges[region]
		e.gate = gateWord(open)
		v.edges[region] = e
	}
	for s, want := range map[sight]bool{
		up{euWest}:                      true,
		up{usEast}:                      false, // nothing is known of it
		answered{euWest, usEast}:        true,
		answered{euWest, apSouth}:       false,
		reached{euWest, usEast}:         true,
		reached{euWest, apSouth}:        false,
		answered{usEast, usEast}:        false,
		class{euWest, usEast, "beyond"}: true,
		class{euWest, usEast, "slow"}:   false,
		state{euWest, euWest, "off"}:    true,
		state{apSouth, euWest, "off"}:   false,
		gate{euWest, true}:              true,
		gate{euWest, false}:             false,
		gate{apSouth, false}:            true,
		gate{apSouth, true}:             false,
		gate{usEast, true}:              false,
		gate{usEast, false}:             false, // it was not read
		refused{apSouth}:                true,
		refused{usEast}:                 false, // some were done
		refused{euWest}:                 false,
		written{euWest}:                 true,
		written{usEast}:                 false, // some were refused
		written{apSouth}:                false,
	} {
		if s.seen(v) != want {
			t.Errorf("%s: %v", s, !want)
		}
	}
	if got := missing([]sight{up{euWest}, up{usEast}}, v); len(got) != 1 || !strings.Contains(got[0], usEast) {
		t.Errorf("missing %q", got)
	}
	v.edges[euWest] = edge{nodes: 2, healthy: 1}
	if (up{euWest}).seen(v) {
		t.Error("one of two nodes is all")
	}
}
