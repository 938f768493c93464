package failover

import (
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

// The controls: machines with one rule broken each. The referee must find every one of them out, or it
// could not be believed where it finds nothing.

// strangers are regions that know nothing of each other: each machine sees its own evidence alone.
type strangers struct {
	each []Fleet
}

func newStrangers(t testing.TB, cfg Config) *strangers {
	s := &strangers{}
	for range simNames {
		s.each = append(s.each, newSound(t, cfg).f)
	}
	return s
}

func (m *strangers) Step(now time.Time, e Event) (all []Effect) {
	for i, name := range simNames {
		var about string
		switch e := e.(type) {
		case Check:
			about = e.Region
		case Report:
			about = e.Region
		case Load:
			about = e.Region
		case Order:
			about = e.Region
		}
		own := e
		if about != name {
			own = Tick{}
		}
		var effects []Effect
		m.each[i], effects = Step(m.each[i], now, own)
		for _, f := range effects {
			if f.Region == name {
				all = append(all, f)
			}
		}
	}
	return all
}

func (m *strangers) Regions() (all []Status) {
	for i := range m.each {
		all = append(all, m.each[i].Regions()[i])
	}
	return all
}

func (m *strangers) Weights() map[string]float64 {
	out, sum := map[string]float64{}, 0.0
	for _, s := range m.Regions() {
		sum += s.Share
	}
	for _, s := range m.Regions() {
		if sum > 0 {
			out[s.Name] = s.Share / sum
		}
	}
	return out
}

// twisted is the real machine with something done to what goes in or comes out.
type twisted struct {
	sound
	in      func(Event) Event // nil result: dropped
	effects func([]Effect) []Effect
	status  func(now time.Time, s Status) Status
	weights func(map[string]float64, []Status) map[string]float64
	now     time.Time
}

func (m *twisted) Step(now time.Time, e Event) []Effect {
	m.now = now
	if m.in != nil {
		e = m.in(e)
	}
	effects := m.sound.Step(now, e)
	if m.effects != nil {
		effects = m.effects(effects)
	}
	return effects
}

func (m *twisted) Regions() []Status {
	all := m.sound.Regions()
	for i := range all {
		if m.status != nil {
			all[i] = m.status(m.now, all[i])
		}
	}
	return all
}

func (m *twisted) Weights() map[string]float64 {
	if m.weights != nil {
		return m.weights(m.sound.Weights(), m.sound.Regions())
	}
	return m.sound.Weights()
}

func TestControls(t *testing.T) {
	arrivals := uint64(0)
	for _, c := range []struct {
		rule, how string
		make      func() machine
	}{
		{inRange, "a ramp without an end", func() machine {
			return &twisted{sound: *newSound(t, Config{}), status: func(now time.Time, s Status) Status {
				if s.State == regions.Recovering || s.State == regions.On && s.Cause == "all of its traffic is back" {
					s.Share = float64(now.Sub(s.Since)) / float64(time.Minute)
				}
				return s
			}}
		}},
		{sumToOne, "shares used as they are", func() machine {
			return &twisted{sound: *newSound(t, Config{}), weights: func(_ map[string]float64, all []Status) map[string]float64 {
				out := map[string]float64{}
				for _, s := range all {
					out[s.Name] = s.Share / float64(len(all))
				}
				return out
			}}
		}},
		{legal, "states that are left out", func() machine {
			return &twisted{sound: *newSound(t, Config{}), effects: func(all []Effect) []Effect {
				if len(all) == 2 && all[0].Region == all[1].Region {
					return []Effect{{Region: all[0].Region, From: all[0].From, To: all[1].To, Cause: all[1].Cause}}
				}
				return all
			}}
		}},
		{reasoned, "causes lost", func() machine {
			return &twisted{sound: *newSound(t, Config{}), effects: func(all []Effect) []Effect {
				for i := range all {
					all[i].Cause = ""
				}
				return all
			}}
		}},
		{notAll, "regions that do not know each other", func() machine { return newStrangers(t, Config{}) }},
		{notMe, "regions that do not know each other", func() machine { return newStrangers(t, Config{}) }},
		{twoSee, "one vantage is enough", func() machine { return newSound(t, Config{Vantages: 1}) }},
		{obeyed, "the last order to arrive wins", func() machine {
			return &twisted{sound: *newSound(t, Config{}), in: func(e Event) Event {
				if o, ok := e.(Order); ok {
					arrivals++
					o.Version = 1<<40 + arrivals
					return o
				}
				return e
			}}
		}},
		{room, "load not looked at", func() machine {
			return &twisted{sound: *newSound(t, Config{}), in: func(e Event) Event {
				if _, ok := e.(Load); ok {
					return Tick{}
				}
				return e
			}}
		}},
		{served, "nobody is called up", func() machine { return newSound(t, Config{Timeout: time.Hour}) }},
		{unrushed, "called up at once", func() machine { return newSound(t, Config{Timeout: time.Millisecond}) }},
	} {
		t.Run(c.rule+": "+c.how, func(t *testing.T) {
			t.Parallel()
			r, _ := simulate(c.make(), 2, steps, c.rule)
			if r.broken[c.rule] == 0 {
				t.Fatalf("N=%d steps, and the referee did not notice", steps)
			}
			t.Logf("seed 2: broken, %.300s", r.example[c.rule])
		})
	}
}
