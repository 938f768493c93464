package schedule

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/configuredmaster"
)

// Options bound a seeded schedule.
type Options struct {
	Episodes int           // 1..100
	MinHold  time.Duration // of an episode
	MaxHold  time.Duration
	Most     int // gateways, from 3
	// Kinds that are possible; Rule is made only under a strategy with a master.
	Kinds []Kind
	// Sessions are what a schedule's Sessions are drawn from; none: "".
	Sessions []string
}

// Check returns every option that is out of range.
func (o Options) Check() error {
	var problems []error
	if o.Episodes < 1 || o.Episodes > 100 {
		problems = append(problems, fmt.Errorf("%d episodes: write 1..100", o.Episodes))
	}
	if o.Most < 3 || o.Most > 9 {
		problems = append(problems, fmt.Errorf("%d gateways: write 3..9", o.Most))
	}
	if o.MinHold < time.Second || o.MaxHold < o.MinHold || o.MaxHold > time.Hour {
		problems = append(problems, fmt.Errorf("episodes of %s to %s: write from 1 s to 1 h", o.MinHold, o.MaxHold))
	}
	for _, k := range o.Kinds {
		if !slices.Contains(Kinds(), k) {
			problems = append(problems, fmt.Errorf("kind %q: write some of %v", k, Kinds()))
		}
	}
	for _, c := range o.Sessions {
		if c != "" && c != history.Quorum && c != history.Async {
			problems = append(problems, fmt.Errorf("sessions %q: write %s or %s", c, history.Quorum, history.Async))
		}
	}
	if len(o.Kinds) == 0 {
		problems = append(problems, errors.New("no kind of fault"))
	}
	return errors.Join(problems...)
}

// Short is what a test run can bear: about a quarter of a minute.
func Short() Options {
	return Options{Episodes: 2, MinHold: 1500 * time.Millisecond, MaxHold: 3 * time.Second, Most: 3, Kinds: Kinds(), Sessions: classes()}
}

// Long is what the command takes.
func Long() Options {
	return Options{Episodes: 4, MinHold: 2 * time.Second, MaxHold: 6 * time.Second, Most: 5, Kinds: Kinds(), Sessions: classes()}
}

// classes look at sessions in half of the runs, since it costs time.
func classes() []string { return []string{"", "", history.Quorum, history.Async} }

// Kinds are all kinds of faults that a seeded schedule may have.
func Kinds() []Kind { return []Kind{Cut, OneWay, Loss, Flap, Kill, Freeze, Clock, Full, Rule} }

// dice are the choices of one seed.
type dice struct {
	*rand.Rand
	o Options
	s *Schedule
}

// Seeded is the schedule of a seed.
func Seeded(seed uint64, o Options) Schedule {
	s := Schedule{Seed: seed}
	d := dice{rand.New(rand.NewPCG(seed, 0xc4a05)), o, &s}
	s.Gateways = d.shape()
	s.Strategy = pick(d, Strategies())
	if s.Strategy == configuredmaster.Name {
		s.Master = pick(d, s.voters())
	}
	for i := range o.Episodes {
		e := d.episode()
		if i < o.Episodes-1 && d.IntN(3) == 0 { // the next fault comes during the recovery from this one
			e.Rest = d.span(0, time.Second)
		}
		s.Episodes = append(s.Episodes, e)
	}
	if len(o.Sessions) > 0 { // the last thing drawn: with one class or another, a seed has the same faults
		s.Sessions = pick(d, o.Sessions)
	}
	return s
}

func pick[T any](d dice, from []T) T { return from[d.IntN(len(from))] }

// span is in whole 100 ms, for people.
func (d dice) span(least, most time.Duration) time.Duration {
	return (least + time.Duration(d.Int64N(int64(most-least)+1))).Round(100 * time.Millisecond)
}

// shape is three voters, five, two and a witness, or three and members.
func (d dice) shape() []history.Gateway {
	all := Voters(3)
	switch d.IntN(4) {
	case 1:
		all[2].Role = strategies.Witness
	case 2:
		for len(all) < d.o.Most {
			all = append(all, history.Gateway{Name: fmt.Sprintf("gw-%d", len(all)+1), Region: fmt.Sprintf("r%d", len(all)%3+1), Role: strategies.Member})
		}
	case 3:
		all = Voters(max(3, d.o.Most))
	}
	return all
}

// episode is one fault, or two at once in one of four.
func (d dice) episode() Episode {
	e := Episode{Hold: d.span(d.o.MinHold, d.o.MaxHold)}
	e.Faults = append(e.Faults, d.fault(e.Hold))
	if d.IntN(4) == 0 {
		if f := d.fault(e.Hold); f.Kind != e.Faults[0].Kind {
			e.Faults = append(e.Faults, f)
		}
	}
	var names []string
	for _, f := range e.Faults {
		names = append(names, f.String())
	}
	e.Name = strings.Join(names, " and ")
	return e
}

// fault is one of the kinds; a line is cut about as often as all else together happens.
func (d dice) fault(hold time.Duration) Fault {
	kind := pick(d, d.o.Kinds)
	if slices.Contains(d.o.Kinds, Cut) && d.IntN(3) == 0 {
		kind = Cut
	}
	if kind == Rule && d.s.Master == "" {
		kind = Cut
	}
	names := d.s.Names()
	f := Fault{Kind: kind}
	switch kind {
	case Cut:
		return d.cut()
	case OneWay:
		f.From, f.To = d.pair()
	case Loss:
		f.From, f.Loss = []string{pick(d, names)}, float64(1+d.IntN(30))/100
	case Flap:
		f.From, f.For = []string{pick(d, names)}, time.Second
	case Kill:
		f.From, f.For = []string{d.anyone()}, d.span(100*time.Millisecond, hold)
	case Freeze:
		f.From, f.For = []string{d.anyone()}, d.span(min(time.Second, hold), hold)
	case Clock:
		f.From, f.Shift = []string{pick(d, names)}, pick(d, []time.Duration{-time.Hour, time.Hour})
	case Full:
		f.From = []string{pick(d, names)}
	case Rule:
		f.To = []string{pick(d, d.s.voters())}
	}
	return f
}

// cut is a split into two sides, one gateway or the leader isolated, a bridge, or one line.
func (d dice) cut() Fault {
	names := d.s.Names()
	switch d.IntN(5) {
	case 0:
		return Fault{Kind: Cut, From: []string{pick(d, names)}}
	case 1:
		return Fault{Kind: Cut, From: []string{Leader}}
	case 2:
		return Fault{Kind: Cut, From: []string{Leader}, To: []string{pick(d, names)}}
	case 3: // a bridge: who is on neither side sees both
		d.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		at := 1 + d.IntN(len(names)-2)
		return Fault{Kind: Cut, From: names[:at], To: names[at+1:]}
	}
	return split(names, 1+d.IntN(1<<(len(names)-1)-1))
}

func (d dice) pair() (from, to []string) {
	names := d.s.Names()
	d.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:1], names[1:2]
}

// anyone is the leader in one of three.
func (d dice) anyone() string {
	if d.IntN(3) == 0 {
		return Leader
	}
	return pick(d, d.s.Names())
}
