package regional

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/regions/failover"
)

const (
	// viewVersion is the version of a view's schema. Fields may be added to it, never changed.
	viewVersion = 1
	// MaxView is how many bytes a view has at most in JSON.
	MaxView = 64 << 10
)

// ErrView is wrapped by errors about what is not a view that this gateway understands.
var ErrView = errors.New("not a view of version 1")

// View is what one gateway tells the others: what it thinks of every region, and the operators' orders
// that it knows. In JSON it is versioned; unknown fields are ignored. Times are ages, because clocks differ.
type View struct {
	Gateway, Region string // who says so
	opinions        []opinion
	orders          []order
}

type opinion struct {
	Region  string `json:"region"`
	Failing bool   `json:"failing"`
	AgeMS   int64  `json:"age_ms"`
}

type order struct {
	Region  string              `json:"region"`
	State   failover.OrderState `json:"state"`
	OverMS  int64               `json:"over_ms"`
	By      string              `json:"by"`
	Version uint64              `json:"version"`
	Gateway string              `json:"gateway"` // where it was given
	At      time.Time           `json:"at"`      // by the clock there
	AgeMS   int64               `json:"age_ms"`  // since carrying it out began
}

// schema is a view in JSON.
type schema struct {
	V        int       `json:"v"`
	Gateway  string    `json:"gateway"`
	Region   string    `json:"region"`
	Opinions []opinion `json:"opinions"`
	Orders   []order   `json:"orders"`
}

// MarshalJSON writes at most MaxView bytes.
func (v View) MarshalJSON() ([]byte, error) {
	return json.Marshal(schema{viewVersion, v.Gateway, v.Region, v.opinions, v.orders})
}

// UnmarshalJSON returns ErrView for what is too large, of another version or malformed.
func (v *View) UnmarshalJSON(b []byte) error {
	var s schema
	switch {
	case len(b) > MaxView:
		return fmt.Errorf("regional: view: %w: %d bytes", ErrView, len(b))
	case json.Unmarshal(b, &s) != nil: // the decoder's text would quote the sender
		return fmt.Errorf("regional: view: %w: malformed", ErrView)
	case s.V != viewVersion:
		return fmt.Errorf("regional: view: %w: version %d", ErrView, s.V)
	}
	*v = View{s.Gateway, s.Region, s.Opinions, s.Orders}
	return nil
}

// View returns what this gateway tells others now.
func (d *Driver) View() View {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.view(time.Now())
}

func (d *Driver) view(now time.Time) View {
	v := View{Gateway: d.cfg.Gateway, Region: d.cfg.Region}
	for _, s := range d.fleet.Regions() {
		if s.Opinion.Known {
			v.opinions = append(v.opinions, opinion{s.Name, s.Opinion.Failing, s.Opinion.Age.Milliseconds()})
		}
	}
	for _, o := range d.orders.sorted() {
		v.orders = append(v.orders, o.wire(now))
	}
	return v
}

func (o given) wire(now time.Time) order {
	return order{
		Region: o.Region, State: o.State, OverMS: o.Over.Milliseconds(), By: o.By, Version: o.Version, Gateway: o.Gateway,
		At: o.At, AgeMS: max(now.Sub(o.Began), 0).Milliseconds(),
	}
}

// given returns the order as this gateway keeps it.
func (o order) given(now time.Time) given {
	return given{
		Order:  Order{State: o.State, Over: milliseconds(o.OverMS), By: o.By},
		Region: o.Region, Version: o.Version, Gateway: o.Gateway, At: o.At, Began: now.Add(-milliseconds(o.AgeMS)),
	}
}

// milliseconds is n ms; what is negative or beyond a year is cut, so that nothing overflows.
func milliseconds(n int64) time.Duration {
	const year = 365 * 24 * time.Hour
	return time.Duration(min(max(n, -1), year.Milliseconds())) * time.Millisecond
}

// Receive takes in the view of another gateway. gateway is the sender's name, and v.Region where it
// runs: the caller takes both from its certificate, because that region's vote hangs on it.
func (d *Driver) Receive(gateway string, v View) {
	if !name.MatchString(gateway) || !name.MatchString(v.Region) || gateway == d.cfg.Gateway && v.Region == d.cfg.Region {
		return
	}
	now := time.Now()
	d.mu.Lock()
	for _, o := range v.opinions[:min(len(v.opinions), failover.MaxRegions)] {
		d.step(now, failover.Report{Region: o.Region, From: v.Region, Gateway: gateway, Failing: o.Failing, Age: milliseconds(o.AgeMS)})
	}
	news := false
	for _, o := range v.orders[:min(len(v.orders), failover.MaxRegions)] {
		news = d.learn(gateway, o.given(now), now) || news
	}
	if news {
		d.wakeSaver()
	}
	d.done(news) // pass on what is new: not every gateway has a link to every other
}

// learn takes in an order from another gateway and reports whether it is news.
func (d *Driver) learn(from string, o given, now time.Time) bool {
	switch err := d.orders.merge(o, d.known()); {
	case errors.Is(err, errOld):
		return false
	case err != nil:
		d.cfg.Logger.Warn("an order from another gateway is ignored", "gateway", from, "cause", err.Error())
		return false
	}
	d.step(now, o.event(now))
	return true
}
