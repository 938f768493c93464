package schedule

import (
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/configuredmaster"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// Scenarios are schedules that have to be asked for by name, since they take long or need something of their own.
// All but the changes of the rule are of three voters under winner_takes_all.
func Scenarios() map[string]Schedule {
	all := map[string]Schedule{
		"leader-line": scenario(leaderLine()),
		"burn":        scenario(Episode{Faults: []Fault{{Kind: Burn, Count: 8}}, Hold: 10 * time.Minute, Calm: true}),
		"wall-clock":  scenario(clocks()...),
		"upgrade":     scenario(upgrades()...),
		"rule-change": ruleChanges(),
		"voters":      voterChanges(),
		"power":       powerCuts(),
		"wipe":        scenario(wipes()...),
	}
	for _, d := range []time.Duration{time.Second, 10 * time.Second, time.Minute} {
		all[fmt.Sprintf("freeze-%.0fs", d.Seconds())] = scenario(freezes(d)...)
	}
	return all
}

// scenario names its episodes for what is in them.
func scenario(episodes ...Episode) Schedule {
	for i := range episodes {
		var names []string
		for _, f := range episodes[i].Faults {
			names = append(names, f.String())
		}
		episodes[i].Name = strings.Join(names, " and ")
	}
	return Schedule{Seed: 1, Gateways: Voters(3), Strategy: winnertakesall.Name, Episodes: episodes}
}

// leaderLine cuts the leader from one of its followers for a minute.
func leaderLine() Episode {
	return Episode{Faults: []Fault{{Kind: Cut, From: []string{Leader}, To: []string{Follower}}}, Hold: time.Minute, MostTerms: 1}
}

// clocks put each gateway's wall clock off, to either side.
func clocks() (all []Episode) {
	for _, g := range Voters(3) {
		for _, d := range []time.Duration{-time.Hour, time.Hour} {
			all = append(all, Episode{Faults: []Fault{{Kind: Clock, From: []string{g.Name}, Shift: d}}, Hold: 5 * time.Second, Calm: true})
		}
	}
	return all
}

// upgrades give one gateway after the other the new binary.
func upgrades() (all []Episode) {
	for _, g := range Voters(3) {
		all = append(all, Episode{Faults: []Fault{{Kind: Upgrade, From: []string{g.Name}}}, Hold: 5 * time.Second, Safe: true})
	}
	return all
}

// powerCuts have each gateway lose its power, then most of them at once, then all, while sessions are kept that nobody
// may lose.
func powerCuts() Schedule {
	var all []Episode
	for _, who := range [][]string{{"gw-1"}, {"gw-2"}, {"gw-3"}, {Leader}, {"gw-1", "gw-2"}, {"gw-1", "gw-2", "gw-3"}} {
		all = append(all, Episode{Faults: []Fault{{Kind: Power, From: who, For: 200 * time.Millisecond}}, Hold: 4 * time.Second})
	}
	s := scenario(all...)
	s.Sessions = history.Quorum
	return s
}

// wipes have each gateway come back without its data, as a new member.
func wipes() (all []Episode) {
	for _, g := range Voters(3) {
		all = append(all, Episode{Faults: []Fault{{Kind: Wipe, From: []string{g.Name}, For: 200 * time.Millisecond}}, Hold: 5 * time.Second})
	}
	return all
}

// freezes stop each gateway for a time; then again, but so that it wakes up alone: whatever it still holds for true,
// nobody confirms any more.
func freezes(d time.Duration) (all []Episode) {
	for _, g := range Voters(3) {
		who := []string{g.Name}
		freeze := Fault{Kind: Freeze, From: who, For: d}
		all = append(all, Episode{Faults: []Fault{freeze}, Hold: d + time.Second},
			Episode{Faults: []Fault{freeze, {Kind: Cut, From: who}}, Hold: d + 3*time.Second})
	}
	return all
}

// ruleChanges make the master gw-2 and then gw-1 again, in a fleet of five. gw-5 lags: it hears from the old master
// alone, which may have gone on to the new rule. At every step of the change both are cut from the rest, who have the
// new master; once it is so before the change, which must wait.
func ruleChanges() Schedule {
	s := Schedule{Seed: 1, Gateways: Voters(5), Strategy: configuredmaster.Name, Master: "gw-1"}
	old, now := "gw-1", "gw-2"
	add := func(faults ...Fault) {
		s.Episodes = append(s.Episodes, scenario(Episode{Faults: faults, Hold: 4 * time.Second}).Episodes...)
		old, now = now, old
	}
	rest := func() []string { return []string{now, "gw-3", "gw-4"} }
	for d := time.Duration(0); d <= 2*time.Second; d += 200 * time.Millisecond {
		add(Fault{Kind: Cut, From: []string{"gw-5"}, To: rest()}, Fault{Kind: Rule, To: []string{now}},
			Fault{Kind: Cut, From: []string{old}, To: rest(), After: d})
	}
	add(Fault{Kind: Cut, From: []string{old, "gw-5"}, To: rest()}, Fault{Kind: Rule, To: []string{now}})
	return s
}

// voterChanges make the voters of a fleet of five three, four and five, and back. gw-5 lags: it hears from gw-3 alone.
// At every step of the change both are cut from the rest.
func voterChanges() Schedule {
	s := Schedule{Seed: 1, Gateways: Voters(5), Strategy: winnertakesall.Name}
	s.Gateways[3].Role, s.Gateways[4].Role = strategies.Member, strategies.Member
	rest := []string{"gw-1", "gw-2", "gw-4"}
	for i, change := range []Fault{{Kind: Vote, To: []string{"gw-4"}}, {Kind: Vote, To: []string{"gw-5"}},
		{Kind: Unvote, To: []string{"gw-5"}}, {Kind: Unvote, To: []string{"gw-4"}}} {
		for d := time.Duration(i%2) * 400 * time.Millisecond; d <= 2*time.Second; d += 800 * time.Millisecond {
			back := Fault{Kind: map[Kind]Kind{Vote: Unvote, Unvote: Vote}[change.Kind], To: change.To}
			s.Episodes = append(s.Episodes, scenario(Episode{Hold: 4 * time.Second, Faults: []Fault{{Kind: Cut, From: []string{"gw-5"}, To: rest},
				change, {Kind: Cut, From: []string{"gw-3"}, To: rest, After: d}}}, Episode{Hold: time.Second, Faults: []Fault{back}}).Episodes...)
		}
		s.Episodes = append(s.Episodes, scenario(Episode{Hold: time.Second, Faults: []Fault{change}}).Episodes...)
	}
	return s
}
