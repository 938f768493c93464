package regional

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/failover"
)

const sample = `{"v":1,"gateway":"gw-b","region":"eu","later":{"x":[1]},
	"opinions":[{"region":"ap","failing":true,"age_ms":1200,"why":"?"}],
	"orders":[{"region":"ap","state":"draining","over_ms":60000,"by":"bob","version":7,"gateway":"eu/gw-b","at":"2026-01-02T03:04:05Z","age_ms":30000}]}`

func TestView(t *testing.T) {
	var v View
	if err := json.Unmarshal([]byte(sample), &v); err != nil {
		t.Fatal(err)
	}
	d := newDriver(t, config())
	var passedOn []View
	d.cfg.Publish = func(v View) { passedOn = append(passedOn, v) }
	for range 3 {
		d.Receive("gw-b", v)
	}
	s := statusOf(t, d, "ap")
	if len(s.Vantages) != 2 || s.Vantages[1].Opinion != "failing" || s.Vantages[1].Region != "eu" || s.Vantages[1].Age < 1200*time.Millisecond {
		t.Errorf("%+v", s.Vantages)
	}
	if math.Abs(s.Share-0.5) > 0.01 || s.Order == nil || s.Order.By != "bob" || s.Order.At.Year() != 2026 || s.Order.Gateway != "eu/gw-b" {
		t.Errorf("%+v %+v", s, s.Order)
	}
	if len(passedOn) != 1 {
		t.Errorf("passed on %d times", len(passedOn))
	}
	// The next order given here is newer than all that were heard of.
	if err := d.Order("ap", Order{State: failover.OrderOn, By: "carol"}); err != nil {
		t.Fatal(err)
	}
	d.Receive("gw-b", v)
	if s := statusOf(t, d, "ap"); s.Order.By != "carol" || s.State != regions.Recovering {
		t.Errorf("%+v", s.Order)
	}
}

func TestViewRefused(t *testing.T) {
	for what, text := range map[string]string{
		"another version": strings.Replace(sample, `"v":1`, `"v":2`, 1),
		"no version":      `{}`,
		"not an object":   `[1]`,
		"a strange state": strings.Replace(sample, "draining", "gone", 1),
		"too large":       strings.Replace(sample, `"later"`, `"x":"`+strings.Repeat("x", MaxView)+`","later"`, 1),
	} {
		var v View
		if err := json.Unmarshal([]byte(text), &v); !errors.Is(err, ErrView) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The largest view there can be fits.
func TestViewFits(t *testing.T) {
	long := func(i int) string { return fmt.Sprintf("%064d", i) }
	cfg := config()
	cfg.Gateway, cfg.Region, cfg.Regions = long(1), long(2), nil
	for i := range failover.MaxRegions - 1 {
		cfg.Regions = append(cfg.Regions, Remote{Name: long(100 + i)})
	}
	d := newDriver(t, cfg)
	v := View{Gateway: "g", Region: "r"}
	for i := range failover.MaxRegions {
		v.orders = append(v.orders, order{
			Region: long(100 + i - 1), State: failover.OrderDraining, OverMS: MaxOver.Milliseconds(), By: strings.Repeat("<", maxBy),
			Version: maxVersion - 1, Gateway: long(1) + "/" + long(2), At: time.Now(), AgeMS: 1 << 60,
		})
	}
	d.Receive("g", v)
	for range 3 {
		var all []Evidence
		for _, r := range d.Regions() {
			all = append(all, Evidence{Region: r.Name, Nodes: 1, Reachable: true, Health: 1})
		}
		d.checked = time.Time{}
		d.turn(all)
	}
	b, err := json.Marshal(d.View())
	t.Logf("%d bytes with %d opinions and %d orders", len(b), len(d.View().opinions), len(d.View().orders))
	if err != nil || len(b) > MaxView || len(d.View().opinions) != failover.MaxRegions {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// What an authentic but broken, or hostile, gateway may send.
func TestReceiveNonsense(t *testing.T) {
	d := newDriver(t, config())
	good := order{Region: "eu", State: failover.OrderOff, By: "x", Version: 3, Gateway: "ap/x"}
	with := func(change func(*order)) order { o := good; change(&o); return o }
	d.Receive("x", View{Region: "ap", orders: []order{
		with(func(o *order) { o.Region = "e/u" }),
		with(func(o *order) { o.Version = 0 }),
		with(func(o *order) { o.Version = maxVersion + 1 }),
		with(func(o *order) { o.Gateway = "" }),
		with(func(o *order) { o.By = "a\x1b[2J" }),
		with(func(o *order) { o.OverMS = math.MaxInt64 }),
		with(func(o *order) { o.OverMS = -5 }),
		with(func(o *order) { o.State = 9 }),
	}, opinions: []opinion{{Region: "eu", Failing: true, AgeMS: math.MinInt64}, {Region: "eu", Failing: true, AgeMS: math.MaxInt64}}})
	if s := statusOf(t, d, "eu"); s.Order != nil || s.State != regions.On || len(s.Vantages) > 2 {
		t.Errorf("%+v", s)
	}
	for _, v := range []View{{Region: ""}, {Region: "a b"}, {Region: "us"}} {
		v.orders = []order{good}
		d.Receive(map[bool]string{true: "gw", false: "x"}[v.Region == "us"], v) // the last is this gateway itself
	}
	d.Receive("", View{Region: "ap", orders: []order{good}})
	if statusOf(t, d, "eu").Order != nil {
		t.Error("an order from nobody counts")
	}

	flood := View{Region: "ap"}
	for n := range 20 {
		flood.orders = nil
		for i := range failover.MaxRegions {
			flood.orders = append(flood.orders, with(func(o *order) { o.Region = fmt.Sprintf("r%d-%d", n, i) }))
		}
		d.Receive("x", flood)
	}
	if n := len(d.orders); n > failover.MaxRegions {
		t.Errorf("%d orders are kept", n)
	}
	if err := d.Order("eu", Order{State: failover.OrderOff}); err != nil {
		t.Errorf("no room for an order of the operator's: %v", err)
	}
	d.Receive("x", View{Region: "ap", orders: []order{with(func(o *order) { o.Region, o.Version = "ap", 99 })}})
	if !statusOf(t, d, "ap").Barred {
		t.Error("no room for an order for a known region")
	}
}

func FuzzView(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(`{"v":1,"orders":[{"region":"eu","state":"off","version":9007199254740992,"gateway":"x"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v View
		if json.Unmarshal(b, &v) != nil {
			return
		}
		d := newDriver(t, config())
		d.Receive("gw-b", v)
		sum := 0.0
		for _, s := range d.Status() {
			sum += s.Weight
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("weights sum to %v", sum)
		}
	})
}
