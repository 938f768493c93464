package admin

import (
	"strings"
	"testing"
	"time"
)

// members returns a roster of which the first up are up.
func members(up, of int) []Member {
	all := make([]Member, of)
	for i := range all {
		all[i] = Member{Gateway: string(rune('a' + i)), Up: i < up, Gate: GateOpen}
	}
	return all
}

func TestGrades(t *testing.T) {
	now := time.Unix(1e9, 0)
	failover := func(took float64, ago time.Duration) func(*Cluster) {
		return func(c *Cluster) { c.LastFailover = &Failover{At: Time{now.Add(-ago)}, TookMS: took} }
	}
	roster := func(up, of int) func(*Cluster) { return func(c *Cluster) { c.Gateways = members(up, of) } }
	rtt := func(ms float64) func(*Cluster) { return func(c *Cluster) { c.Gateways[1].RTTMS = ms } }
	lag := func(ms float64) func(*Cluster) { return func(c *Cluster) { c.Gateways[2].LagMS = ms } }
	for _, tc := range []struct {
		name    string
		change  []func(*Cluster)
		want    Grade
		reasons []string
	}{
		{"three of three", nil, Healthy, nil},
		{"one of one", []func(*Cluster){roster(1, 1)}, Healthy, nil},
		{"two of three", []func(*Cluster){roster(2, 3)}, Warning, []string{"2 of 3 gateways are up"}},
		{"one of three", []func(*Cluster){roster(1, 3)}, Critical, []string{"1 of 3"}},
		{"one voter after a forced recovery", []func(*Cluster){roster(1, 1), func(c *Cluster) { c.Gateways[0].Role, c.Declared = RoleVoter, 3 }}, Warning, []string{"1 of the 3 voters"}},
		{"as many voters as declared", []func(*Cluster){func(c *Cluster) {
			c.Gateways[0].Role, c.Gateways[1].Role, c.Gateways[2].Role, c.Declared = RoleVoter, RoleMember, RoleWitness, 2
		}}, Healthy, nil},
		{"four of five", []func(*Cluster){roster(4, 5)}, Warning, []string{"4 of 5"}},
		{"three of five", []func(*Cluster){roster(3, 5)}, Critical, []string{"3 of 5"}},
		{"four of six", []func(*Cluster){roster(4, 6)}, Warning, []string{"4 of 6"}},
		{"one of two", []func(*Cluster){roster(1, 2)}, Critical, []string{"1 of 2"}},
		{"none of three", []func(*Cluster){roster(0, 3)}, Critical, []string{"0 of 3"}},
		{"no roster", []func(*Cluster){roster(0, 0)}, Critical, []string{"no gateway is in the roster"}},
		{"50 ms", []func(*Cluster){rtt(50)}, Healthy, nil},
		{"50.1 ms", []func(*Cluster){rtt(50.1)}, Warning, []string{"round trip to b: 50.1 ms, more than 50 ms"}},
		{"100 ms", []func(*Cluster){rtt(100)}, Warning, []string{"round trip to b"}},
		{"101 ms", []func(*Cluster){rtt(101)}, Critical, []string{"more than 100 ms"}},
		{"far, and down", []func(*Cluster){roster(1, 3), rtt(900)}, Critical, []string{"1 of 3"}},
		{"lag 100 ms", []func(*Cluster){lag(100)}, Healthy, nil},
		{"lag 101 ms", []func(*Cluster){lag(101)}, Warning, []string{"lag of c: 101.0 ms"}},
		{"lag 500 ms", []func(*Cluster){lag(500)}, Warning, []string{"lag of c"}},
		{"lag 501 ms", []func(*Cluster){lag(501)}, Critical, []string{"more than 500 ms"}},
		{"failover 1 s", []func(*Cluster){failover(1000, 0)}, Healthy, nil},
		{"failover 1.1 s", []func(*Cluster){failover(1100, time.Minute)}, Warning, []string{"the last failover: 1100.0 ms"}},
		{"failover 3 s", []func(*Cluster){failover(3000, 0)}, Warning, []string{"the last failover"}},
		{"failover 4 s", []func(*Cluster){failover(4000, time.Minute)}, Critical, []string{"more than 3000 ms"}},
		{"failover 4 s, long ago", []func(*Cluster){failover(4000, time.Hour)}, Healthy, nil},
		{"the worst counts", []func(*Cluster){rtt(200), lag(200), roster(2, 3)}, Warning, []string{"2 of 3"}},
		{"a warning after a critical one", []func(*Cluster){roster(3, 3), rtt(200), lag(200)}, Critical, []string{"round trip", "lag"}},
		{"a critical one after a warning", []func(*Cluster){rtt(60), lag(900)}, Critical, []string{"round trip", "lag"}},
		{"no leader", []func(*Cluster){func(c *Cluster) { c.Leader = "" }}, Critical, []string{"no leader"}},
		{"stuck", []func(*Cluster){func(c *Cluster) { c.Problem = "an entry of a newer release" }}, Critical, []string{"newer release"}},
		{"closed", []func(*Cluster){func(c *Cluster) { c.Gate = Gate{Reason: "no quorum"} }}, Critical, []string{"may not write: no quorum"}},
	} {
		c := Cluster{Leader: "a", Gate: Gate{Open: true}, Gateways: members(3, 3)}
		for _, change := range tc.change {
			change(&c)
		}
		got := graded(c, now)
		if got.Grade != tc.want || len(got.Reasons) != len(tc.reasons) || got.Reasons == nil {
			t.Errorf("%s: %s %q, want %s %q", tc.name, got.Grade, got.Reasons, tc.want, tc.reasons)
			continue
		}
		for i, r := range tc.reasons {
			if !strings.Contains(got.Reasons[i], r) {
				t.Errorf("%s: reason %q, want %q", tc.name, got.Reasons[i], r)
			}
		}
	}
}
