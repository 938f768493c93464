package asked

import (
	"errors"
	"testing"
	"time"

	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
)

func TestHolds(t *testing.T) {
	began := time.Now()
	up := host.Status{State: host.Running}
	again := up
	again.Restarts++
	one, two := new(int), new(int)
	last := func(err error) Answer[*int] { return Answer[*int]{"question", LifeOf(one, up), began, err} }
	for name, tc := range map[string]struct {
		err  error
		key  string
		life Life[*int]
		at   time.Duration
		want bool
	}{
		"an answer":        {nil, "question", LifeOf(one, up), time.Hour, true},
		"a refusal":        {strategies.Refuse("no"), "question", LifeOf(one, up), time.Hour, true},
		"a young fault":    {errors.New("no"), "question", LifeOf(one, up), Again - 1, true},
		"an old fault":     {errors.New("no"), "question", LifeOf(one, up), Again, false},
		"another question": {nil, "more", LifeOf(one, up), 0, false},
		"another process":  {nil, "question", LifeOf(two, up), 0, false},
		"another life":     {nil, "question", LifeOf(one, again), 0, false},
		"not up any more":  {nil, "question", LifeOf(one, host.Status{State: host.Waiting}), 0, false},
	} {
		if got := last(tc.err).Holds(tc.key, tc.life, began.Add(tc.at)); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestKey(t *testing.T) {
	a, b := strategies.Gateway{Name: "a", JoinIndex: 1}, strategies.Gateway{Name: "b", JoinIndex: 2}
	roster := strategies.Roster{b, a}
	key := Key(roster, 1)
	if key != Key(strategies.Roster{a, b}, 1) {
		t.Error("the order counts")
	}
	if roster[0] != b {
		t.Error("the caller's roster is sorted")
	}
	for name, other := range map[string]string{"rest": Key(roster, 2), "roster": Key(strategies.Roster{a}, 1)} {
		if other == key {
			t.Errorf("another %s does not count", name)
		}
	}
}
