package regional

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/failover"
)

var everywhere = []string{"ap", "eu", "us"}

// fleet is one real driver per region, in a world in which regions die and links are cut. Views travel
// as JSON.
type fleet struct {
	t       testing.TB
	mu      sync.Mutex
	dead    map[string]bool
	cut     map[[2]string]bool
	health  map[string]float64
	drivers map[string]*Driver
	stop    map[string]func()
	changed map[string]int
	dirs    map[string]string
	cfg     failover.Config
}

func newFleet(t testing.TB, cfg failover.Config) *fleet {
	f := &fleet{
		t: t, dead: map[string]bool{}, cut: map[[2]string]bool{}, health: map[string]float64{}, drivers: map[string]*Driver{},
		stop: map[string]func(){}, changed: map[string]int{}, dirs: map[string]string{}, cfg: cfg,
	}
	for _, region := range everywhere {
		f.health[region], f.dirs[region] = 1, t.TempDir()
	}
	for _, region := range everywhere {
		f.start(region)
	}
	t.Cleanup(func() {
		for _, stop := range f.stop {
			stop()
		}
	})
	return f
}

func (f *fleet) start(region string) {
	f.t.Helper()
	var others []Remote
	for _, other := range everywhere {
		if other != region {
			others = append(others, Remote{Name: other, Seed: 80 * time.Millisecond})
		}
	}
	d, err := New(Config{
		Gateway: "gw", Region: region, Regions: others, DataDir: f.dirs[region], Failover: f.cfg,
		Gather:  func() []Evidence { return f.gather(region) },
		Changed: func() { f.mu.Lock(); f.changed[region]++; f.mu.Unlock() },
		Publish: func(v View) { f.publish(region, v) },
		Logger:  slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	f.mu.Lock()
	f.drivers[region] = d
	f.mu.Unlock()
	f.stop[region] = sync.OnceFunc(func() { cancel(); <-done })
}

// up reports whether a can talk to b.
func (f *fleet) up(a, b string) bool {
	return !f.dead[a] && !f.dead[b] && !f.cut[[2]string{a, b}] && !f.cut[[2]string{b, a}]
}

func (f *fleet) gather(region string) (all []Evidence) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, other := range everywhere {
		e := Evidence{Region: other, Nodes: 3, Health: f.health[other], RTT: 80 * time.Millisecond, Class: regions.Slow}
		if e.Reachable = region == other || f.up(region, other); !e.Reachable {
			e.Health = 0
		}
		all = append(all, e)
	}
	return all
}

func (f *fleet) publish(from string, v View) {
	payload, err := json.Marshal(v)
	if err != nil {
		f.t.Error(err)
	}
	for _, to := range everywhere {
		f.mu.Lock()
		d, up := f.drivers[to], f.up(from, to)
		f.mu.Unlock()
		if to == from || d == nil || !up {
			continue
		}
		var got View
		if err := json.Unmarshal(payload, &got); err != nil {
			f.t.Error(err)
		}
		d.Receive("gw", got)
	}
}

func (f *fleet) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fleet) see(from, of string) Status {
	for _, s := range f.drivers[from].Status() {
		if s.Name == of {
			return s
		}
	}
	f.t.Fatalf("%s does not know %s", from, of)
	return Status{}
}

func (f *fleet) want(from, of string, state regions.RegionState) {
	f.t.Helper()
	if s := f.see(from, of); s.State != state {
		f.t.Errorf("%s sees %s %s (%s), want %s", from, of, s.State, s.Cause, state)
	}
}

// evacuations counts those that a driver has seen of all regions.
func (f *fleet) evacuations(from string) (n int) {
	for _, s := range f.drivers[from].Status() {
		for _, c := range s.History {
			if c.To == regions.Evacuating {
				n++
			}
		}
	}
	return n
}

// A region dies with its gateway; the two that are left evacuate it, and let it back after its hold-down.
func TestRegionLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, failover.Config{})
		began := time.Now()
		time.Sleep(time.Minute)
		f.set(func() { f.dead["eu"] = true })
		f.mu.Lock()
		before := f.changed["us"]
		f.mu.Unlock()
		time.Sleep(time.Minute)
		for _, from := range []string{"us", "ap"} {
			f.want(from, "eu", regions.Off)
		}
		if f.changed["us"]-before < 6 {
			t.Errorf("the table was told %d times of a gradual shift", f.changed["us"]-before)
		}
		if s := f.see("us", "eu"); s.Weight != 0 || math.Abs(f.see("us", "us").Weight-0.5) > 1e-9 || s.Local || !f.see("us", "us").Local {
			t.Errorf("%+v", s)
		}
		f.set(func() { f.dead["eu"] = false })
		time.Sleep(5*time.Minute + 20*time.Second)
		f.want("us", "eu", regions.Recovering)
		time.Sleep(time.Minute)
		f.want("us", "eu", regions.On)
		f.want("ap", "eu", regions.On)
		for _, c := range f.see("us", "eu").History {
			t.Logf("us sees eu after %8s: %s -> %s: %s", c.At.Sub(began), c.From, c.To, c.Cause)
		}
		// The region that was cut off saw everybody fail, and suspected itself.
		if n := f.evacuations("eu"); n != 0 {
			t.Errorf("the dead region evacuated %d others", n)
		}
	})
}

// One link is cut while both ends reach the third: one vantage, no evacuation. The control believes one.
func TestOneCutLink(t *testing.T) {
	for vantages, least := range map[int]int{2: 0, 1: 1} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t, failover.Config{Vantages: vantages})
			time.Sleep(time.Minute)
			f.set(func() { f.cut[[2]string{"us", "eu"}] = true })
			time.Sleep(10 * time.Minute)
			n := f.evacuations("us") + f.evacuations("eu") + f.evacuations("ap")
			t.Logf("vantages %d: %d evacuations in 10 min of one cut link; us sees eu %s: %s", vantages, n, f.see("us", "eu").State, f.see("us", "eu").Cause)
			if vantages == 2 && n > 0 || n < least {
				t.Errorf("%d evacuations", n)
			}
		})
	}
}

// A pool dies while its gateway lives: that gateway says so itself.
func TestPoolLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, failover.Config{})
		f.set(func() { f.health["eu"] = 0 })
		time.Sleep(time.Minute)
		for _, from := range everywhere {
			f.want(from, "eu", regions.Off)
		}
		s := f.see("us", "eu")
		if len(s.Vantages) != 3 || s.Vantages[0].Region != "us" {
			t.Fatalf("%+v", s.Vantages)
		}
		for _, v := range s.Vantages {
			if v.Opinion != "failing" || v.Age > 15*time.Second || v.Gateway != "gw" {
				t.Errorf("%+v", v)
			}
		}
	})
}

func TestOrdersSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, failover.Config{})
		time.Sleep(10 * time.Second)
		if err := f.drivers["us"].Order("eu", Order{State: failover.OrderDraining, Over: 5 * time.Minute, By: "alice"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(150 * time.Second)
		for _, from := range everywhere {
			s := f.see(from, "eu")
			if math.Abs(s.Share-0.5) > 0.01 || s.Cause != "ordered by alice: draining over 5m0s" || s.Order == nil || s.Order.Gateway != "us/gw" {
				t.Errorf("%s: %+v %+v", from, s, s.Order)
			}
		}
		// A gateway that starts in the middle has it from its disk, one with an empty disk from the others.
		for _, region := range []string{"us", "ap"} {
			f.stop[region]()
			if region == "ap" {
				f.dirs[region] = t.TempDir()
			}
			f.start(region)
		}
		if got := f.see("us", "eu").Share; math.Abs(got-0.5) > 0.01 {
			t.Errorf("share %v after a restart", got)
		}
		time.Sleep(10 * time.Second)
		if got := f.see("ap", "eu").Share; got > 0.51 || got < 0.4 {
			t.Errorf("share %v where the order was heard of late", got)
		}
		time.Sleep(150 * time.Second)
		for _, from := range everywhere {
			f.want(from, "eu", regions.Off)
		}
		if err := f.drivers["ap"].Order("eu", Order{State: failover.OrderOn}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(62 * time.Second)
		for _, from := range everywhere {
			f.want(from, "eu", regions.On)
		}
	})
}

// Orders that are given on both sides of a partition: afterwards all gateways have the same, and no two
// of them together turn off everything.
func TestOrdersConverge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, failover.Config{})
		f.set(func() { f.cut[[2]string{"us", "eu"}], f.cut[[2]string{"us", "ap"}] = true, true })
		for at, of := range map[string]string{"us": "eu", "eu": "us", "ap": "ap"} {
			if err := f.drivers[at].Order(of, Order{State: failover.OrderOff, By: at}); err != nil {
				t.Fatal(err)
			}
		}
		f.set(func() { clear(f.cut) })
		time.Sleep(time.Minute + 20*time.Second)
		barred := func(from string) (out []string) {
			for _, s := range f.drivers[from].Status() {
				out = append(out, fmt.Sprint(s.Name, " ", s.Order.By, " ", s.Barred, " ", s.Order.Refused, " ", s.State))
			}
			return out
		}
		first := barred("us")
		t.Log(first)
		for _, from := range everywhere {
			if got := barred(from); !slices.Equal(got, first) {
				t.Errorf("%s has %v, us has %v", from, got, first)
			}
		}
		on := 0
		for _, s := range f.drivers["us"].Regions() {
			if s.State == regions.On && s.Share == 1 {
				on++
			}
		}
		if on != 1 {
			t.Errorf("%d regions left", on)
		}
	})
}
