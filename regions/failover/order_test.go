package failover

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

func TestDraining(t *testing.T) {
	s := newScene(t, Config{}, "eu", "ap")
	s.run(10 * time.Second)
	s.order("eu", OrderDraining, 5*time.Minute)
	s.want("eu", regions.Evacuating, 1, "ordered by alice: draining over 5m0s")
	s.run(150 * time.Second)
	s.want("eu", regions.Evacuating, 0.5, "ordered by alice: draining over 5m0s")
	s.run(150 * time.Second)
	s.want("eu", regions.Off, 0, "ordered by alice: draining over 5m0s, done")
	if s.f.Barred("eu") {
		t.Error("drained is barred")
	}
	s.run(2 * time.Hour) // well all the time: only an order ends an order
	s.want("eu", regions.Off, 0, "ordered by alice: draining over 5m0s, done")
	s.order("eu", OrderOn, 0)
	s.want("eu", regions.Recovering, 0, "ordered by alice: on")
	if took := s.until("eu", regions.On, time.Hour); took < 59*time.Second || took > 61*time.Second {
		t.Errorf("ramp of %s", took)
	}
}

func TestOff(t *testing.T) {
	s := newScene(t, Config{}, "eu", "ap")
	s.order("eu", OrderOff, 0)
	s.want("eu", regions.Off, 0, "ordered by alice: off, done")
	if !s.f.Barred("eu") || s.count("eu", regions.Evacuating) != 1 {
		t.Error("not barred, or not by way of evacuating")
	}
	s.order("ap", OrderOff, time.Minute)
	if s.f.Barred("ap") {
		t.Error("barred before its traffic is gone")
	}
	s.run(time.Minute)
	if !s.f.Barred("ap") || s.f.Weights()["us"] != 1 {
		t.Errorf("%+v", s.f.Regions())
	}
	// Nobody else is left: the last one stays whatever happens to it.
	s.at["us"].health = 0
	s.run(10 * time.Minute)
	if s.f.Weights()["us"] != 1 || !s.f.Barred("ap") || !s.f.Barred("eu") {
		t.Errorf("%+v", s.f.Regions())
	}
	s.order("us", OrderOff, 0)
	if s.f.Barred("us") || !strings.Contains(s.f.Cause("us"), "refused: it would leave no region in service") {
		t.Errorf("the last region was turned off by order: %s", s.f.Cause("us"))
	}
}

func TestRefusal(t *testing.T) {
	s := newScene(t, Config{}, "eu")
	if err := s.f.Refusal("sa", OrderOff); !errors.Is(err, ErrUnknownRegion) {
		t.Error(err)
	}
	if err := s.f.Refusal("us", OrderOff); err != nil {
		t.Error(err)
	}
	s.order("eu", OrderDraining, 0)
	err := s.f.Refusal("us", OrderDraining)
	if want := `failover: "us" cannot be draining: it would leave no region in service: eu is ordered by alice: draining`; !errors.Is(err, ErrLastRegion) || err.Error() != want {
		t.Error(err)
	}
	if err := s.f.Refusal("us", OrderOn); err != nil {
		t.Error(err)
	}
	alone := newScene(t, Config{})
	if err := alone.f.Refusal("us", OrderDraining); !errors.Is(err, ErrLastRegion) {
		t.Error(err)
	}
}

// An order for a region that automation has turned off already, and the end of it.
func TestOrderOverAutomation(t *testing.T) {
	s := newScene(t, Config{}, "eu", "ap")
	s.lose()
	s.until("eu", regions.Off, time.Minute)
	s.order("eu", OrderDraining, 0)
	s.want("eu", regions.Off, 0, "ordered by alice: draining")
	s.regain()
	s.run(2 * time.Hour)
	s.want("eu", regions.Off, 0, "ordered by alice: draining")

	s.lose() // on beats the hold-down, even for a region that still fails: three new checks decide
	s.run(time.Minute)
	s.order("eu", OrderOn, 0)
	s.want("eu", regions.Recovering, 0, "ordered by alice: on")
	s.until("eu", regions.Off, 20*time.Second)

	s.regain()
	s.run(10 * time.Second)
	s.order("eu", OrderOn, 0)
	s.until("eu", regions.On, 61*time.Second)
}

// A region that fails while it is being drained over a day does not wait for the day's end.
func TestDrainingFaster(t *testing.T) {
	s := newScene(t, Config{}, "eu", "ap")
	s.run(10 * time.Second)
	s.order("eu", OrderDraining, 24*time.Hour)
	s.run(time.Minute)
	s.lose()
	s.until("eu", regions.Off, 2*time.Minute)
	s.want("eu", regions.Off, 0, "ordered by alice: draining over 24h0m0s, done")
}

// A drained region is there for when nothing else is; a barred one is not.
func TestDrainedServesInPanic(t *testing.T) {
	for _, state := range []OrderState{OrderDraining, OrderOff} {
		s := newScene(t, Config{}, "eu", "ap")
		s.order("us", state, 0)
		s.lose()
		s.until("eu", regions.Off, time.Minute)
		s.at["ap"].health = 0
		s.at["eu"].cut = true
		s.run(time.Minute)
		if got := s.f.Share("us"); got != map[OrderState]float64{OrderDraining: 1}[state] {
			t.Errorf("%s: share %v (%s)", state, got, s.f.Cause("us"))
		}
		if state == OrderOff {
			continue
		}
		s.want("us", regions.Recovering, 1, "nothing took the traffic for 10s: the least bad region serves, although ordered by alice: draining")
		s.at["ap"].health = 1
		s.run(90 * time.Second)
		if s.f.State("us") != regions.Evacuating || s.f.Share("us") < 0.2 {
			t.Errorf("%s, share %v: the order is not taken up again gradually", s.f.State("us"), s.f.Share("us"))
		}
		s.run(time.Minute)
		s.want("us", regions.Off, 0, "ordered by alice: draining, done")
	}
}

// A gateway that starts, or hears of an order late, takes it up where the others are.
func TestElapsed(t *testing.T) {
	s := newScene(t, Config{}, "eu", "ap")
	s.step(Order{Region: "eu", State: OrderDraining, Over: 4 * time.Minute, Version: 1, Elapsed: time.Minute})
	if got := s.f.Share("eu"); got != 0.75 {
		t.Errorf("share %v after a quarter", got)
	}
	s.run(time.Minute)
	if got := s.f.Share("eu"); got != 0.5 {
		t.Errorf("share %v after half", got)
	}
	s.step(Order{Region: "ap", State: OrderOff, Over: time.Minute, Version: 2, Elapsed: time.Hour})
	if !s.f.Barred("ap") {
		t.Error("an order that is long over is begun again")
	}
	s.step(Order{Region: "ap", State: OrderState(7), Version: 3})
	if !s.f.Barred("ap") {
		t.Error("an order without a meaning counts")
	}
}

// The same orders in whatever way: the same end, and one region at least is left.
func TestOrdersConverge(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	names := []string{"us", "eu", "ap", "sa"}
	end := func(orders []Order) string {
		s := newScene(t, Config{}, names[1:]...)
		for _, o := range orders {
			s.step(o)
			s.run(time.Duration(rnd.IntN(3)) * time.Second)
		}
		s.run(3 * time.Minute)
		out, left := "", 0
		for _, r := range s.f.Regions() {
			out += fmt.Sprint(r.Name, r.State, r.Share, r.Barred, r.Refused, r.Order.Version, " ")
			left += one(r.Share == 1)
		}
		if left == 0 {
			t.Errorf("none is left of %v: %s", orders, out)
		}
		return out
	}
	const sets = 300
	differ := 0
	for range sets {
		var orders []Order
		for i := range 2 + rnd.IntN(8) {
			orders = append(orders, Order{
				Region: names[rnd.IntN(len(names))], State: OrderState(rnd.IntN(3)), Over: time.Duration(rnd.IntN(60)) * time.Second,
				Version: uint64(1 + rnd.IntN(i+1)), Gateway: string(rune('a' + i)),
			})
		}
		want := end(orders)
		rnd.Shuffle(len(orders), func(i, j int) { orders[i], orders[j] = orders[j], orders[i] })
		if got := end(orders); got != want {
			t.Fatalf("%v\nends with %s\nin another way with %s", orders, got, want)
		}
		for i := range orders { // the control: the last to arrive wins
			orders[i].Version = uint64(100 + i)
		}
		differ += one(end(orders) != want)
	}
	t.Logf("N=%d sets of orders: 0 differ by the way they come; %d do where the last to arrive wins", sets, differ)
	if differ == 0 {
		t.Error("the control does not differ")
	}
}

func TestOrderWords(t *testing.T) {
	for o := OrderOn; o <= OrderOff; o++ {
		var back OrderState
		word, err := o.MarshalText()
		if err != nil || back.UnmarshalText(word) != nil || back != o {
			t.Errorf("%s comes back as %s", o, back)
		}
	}
	var o OrderState
	if o.UnmarshalText([]byte("gone")) == nil || OrderState(9).String() != "invalid" {
		t.Error("an unknown word is taken")
	}
}
