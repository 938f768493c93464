package schedule

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/quorate/quorate/strategies"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every split and every directed cut, none of them twice.
func TestExhaustive(t *testing.T) {
	for n, want := range map[int]int{3: 3 + 6, 5: 15 + 20} {
		for _, strategy := range Strategies() {
			s := Exhaustive(n, strategy, time.Second)
			seen := map[string]bool{}
			for _, e := range s.Episodes {
				ways := e.Faults[0].Ways(s.Names())
				slices.SortFunc(ways, func(a, b [2]string) int { return strings.Compare(a[0]+a[1], b[0]+b[1]) })
				key := ""
				for _, w := range ways {
					key += w[0] + ">" + w[1] + " "
				}
				if seen[key] {
					t.Errorf("%d gateways: %s comes twice", n, e.Name)
				}
				seen[key] = true
			}
			if len(seen) != want {
				t.Errorf("%d gateways: %d cases, want %d", n, len(seen), want)
			}
			if _, err := QuorumRule(strategy, s.Master, s.Gateways); err != nil {
				t.Error(err)
			}
		}
	}
}

// A seed is a schedule for ever, every fault can be made, and every kind comes up.
func TestSeeded(t *testing.T) {
	kinds, rules := map[Kind]int{}, map[string]int{}
	for seed := range uint64(2000) {
		o := Long()
		s := Seeded(seed, o)
		if diff := cmp.Diff(s, Seeded(seed, o)); diff != "" {
			t.Fatalf("seed %d gives two schedules:\n%s", seed, diff)
		}
		rule, err := QuorumRule(s.Strategy, s.Master, s.Gateways)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if err := strategies.Prove(rule); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		rules[s.Strategy]++
		for _, e := range s.Episodes {
			for _, f := range e.Faults {
				kinds[f.Kind]++
				sound(t, s, e, f)
			}
		}
	}
	for _, k := range Kinds() {
		if kinds[k] < 20 {
			t.Errorf("%s comes %d times in 2000 seeds", k, kinds[k])
		}
	}
	if len(rules) != len(Strategies()) {
		t.Errorf("strategies %v", rules)
	}
}

func sound(t *testing.T, s Schedule, e Episode, f Fault) {
	t.Helper()
	for _, n := range slices.Concat(f.From, f.To) {
		if n != Leader && n != Follower && !slices.Contains(s.Names(), n) {
			t.Errorf("%s: %s is not there", f, n)
		}
	}
	if f.For > e.Hold {
		t.Errorf("%s goes on after its episode of %s", f, e.Hold)
	}
	for _, leader := range s.voters() {
		r := f.Resolve(leader, s.Names())
		for _, way := range r.Ways(s.Names()) {
			if way[0] == way[1] {
				t.Errorf("%s cuts %s from itself", f, way[0])
			}
		}
		if r.Asks() {
			t.Errorf("%s still asks for the leader", r)
		}
	}
}

func TestWays(t *testing.T) {
	all := []string{"a", "b", "c"}
	for want, f := range map[string]Fault{
		"[[a b] [b a] [a c] [c a]]": {Kind: Cut, From: []string{"a"}},
		"[[a b] [b a]]":             {Kind: Cut, From: []string{"a"}, To: []string{"b"}},
		"[[a b]]":                   {Kind: OneWay, From: []string{"a"}, To: []string{"b"}},
	} {
		if got := strings.TrimSpace(sprint(f.Ways(all))); got != want {
			t.Errorf("%s: %s, want %s", f, got, want)
		}
	}
}

func sprint(ways [][2]string) string {
	var parts []string
	for _, w := range ways {
		parts = append(parts, "["+w[0]+" "+w[1]+"]")
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{Short(), Long()} {
		if err := o.Check(); err != nil {
			t.Error(err)
		}
	}
	for _, spoil := range []func(*Options){
		func(o *Options) { o.Episodes = 0 }, func(o *Options) { o.Most = 2 }, func(o *Options) { o.MinHold = 0 },
		func(o *Options) { o.MaxHold = o.MinHold - 1 }, func(o *Options) { o.Kinds = nil }, func(o *Options) { o.Kinds = []Kind{"rain"} },
	} {
		o := Long()
		spoil(&o)
		if o.Check() == nil {
			t.Errorf("%+v accepted", o)
		}
	}
}

func TestScenarios(t *testing.T) {
	for name, s := range Scenarios() {
		for _, e := range s.Episodes {
			if e.Name == "" || e.Hold <= 0 || len(e.Faults) == 0 {
				t.Errorf("%s: %+v", name, e)
			}
			for _, f := range e.Faults {
				sound(t, s, e, f)
			}
		}
	}
}
