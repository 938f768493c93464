package regional

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/quorate/quorate/regions/failover"
)

// Order is what an operator wants of a region.
type Order struct {
	State failover.OrderState
	Over  time.Duration // how long shifting the traffic away takes, 0..MaxOver; 0 for OrderOn
	By    string        // who wants it; default "operator"
}

const (
	// maxBy bounds the name of who gave an order, in bytes.
	maxBy = 64
	// maxVersion is the largest version that JSON numbers carry exactly.
	maxVersion = 1 << 53
)

func (o *Order) check() error {
	o.By = cmp.Or(o.By, "operator")
	switch {
	case o.State > failover.OrderOff:
		return fmt.Errorf("%w: state %d is none of on, draining, off", ErrBadOrder, o.State)
	case o.Over < 0 || o.Over > MaxOver:
		return fmt.Errorf("%w: %s is outside 0s..%s", ErrBadOrder, o.Over, MaxOver)
	case o.State == failover.OrderOn && o.Over != 0:
		return fmt.Errorf("%w: traffic returns over the configured ramp, not over a time of the order's own", ErrBadOrder)
	case !plain(o.By):
		return fmt.Errorf("%w: by must be at most %d bytes of printable text", ErrBadOrder, maxBy)
	}
	return nil
}

// plain reports whether s can stand in a log line.
func plain(s string) bool {
	for _, c := range s {
		if !unicode.IsPrint(c) {
			return false
		}
	}
	return s != "" && len(s) <= maxBy && utf8.ValidString(s)
}

// where reports whether s is REGION/NAME.
func where(s string) bool {
	region, gateway, _ := strings.Cut(s, "/")
	return name.MatchString(region) && name.MatchString(gateway)
}

// given is an order as it stands in the fleet. Orders for one region are ordered by version (a Lamport
// counter) and then the gateway where they were given.
type given struct {
	Order
	Region  string
	Version uint64
	Gateway string    // REGION/NAME
	At      time.Time // by that gateway's clock, for people
	Began   time.Time // by this gateway's clock: when carrying it out began
}

func (o given) after(other given) bool {
	return o.Version > other.Version || o.Version == other.Version && o.Gateway > other.Gateway
}

func (o given) check() error {
	switch {
	case !name.MatchString(o.Region):
		return fmt.Errorf("%w: %q is not the name of a region", ErrBadOrder, o.Region)
	case o.Version == 0 || o.Version > maxVersion:
		return fmt.Errorf("%w: version %d is outside 1..%d", ErrBadOrder, o.Version, int64(maxVersion))
	case !where(o.Gateway):
		return fmt.Errorf("%w: it does not say where it was given", ErrBadOrder)
	}
	return o.Order.check()
}

func (o given) event(now time.Time) failover.Order {
	return failover.Order{
		Region: o.Region, State: o.State, Over: o.Over, By: o.By,
		Version: o.Version, Gateway: o.Gateway, Elapsed: max(now.Sub(o.Began), 0),
	}
}

// orders are the last ones of all regions, also of regions that this gateway does not know: it passes
// them on. At most failover.MaxRegions.
type orders map[string]given

// errOld: a newer order, or this very one, is known.
var errOld = errors.New("not newer than what is known")

// merge takes in an order from elsewhere. Where there are too many, one for an unknown region gives way
// to one for a known region.
func (all orders) merge(o given, known func(string) bool) error {
	if err := o.check(); err != nil {
		return err
	}
	if had, ok := all[o.Region]; ok && !o.after(had) {
		return errOld
	} else if !ok && len(all) >= failover.MaxRegions && !all.giveWay(o, known) {
		return fmt.Errorf("%w: there are %d others already", ErrBadOrder, len(all))
	}
	all[o.Region] = o
	return nil
}

func (all orders) giveWay(o given, known func(string) bool) bool {
	if !known(o.Region) {
		return false
	}
	for _, other := range all.sorted() {
		if !known(other.Region) {
			delete(all, other.Region)
			return true
		}
	}
	return false
}

func (all orders) sorted() []given {
	return slices.SortedFunc(maps.Values(all), func(a, b given) int { return cmp.Compare(a.Region, b.Region) })
}

// next is the version of the next order given here: higher than all that were ever seen.
func (all orders) next() (uint64, error) {
	newest := uint64(0)
	for _, o := range all {
		newest = max(newest, o.Version)
	}
	if newest >= maxVersion {
		return 0, fmt.Errorf("%w: versions are used up", ErrBadOrder)
	}
	return newest + 1, nil
}

// Order carries an operator's order out, here and in the whole fleet: by Propose, else through Publish. Errors:
// ErrUnknownRegion, ErrLastRegion and ErrBadOrder, after which nothing has changed, ErrNotSaved, and what Propose
// returns.
func (d *Driver) Order(region string, o Order) error {
	if err := o.check(); err != nil {
		return fmt.Errorf("regional: order: %w", err)
	}
	if d.cfg.Propose != nil {
		if err := d.propose(region, o); err != nil {
			return fmt.Errorf("regional: order: %w", err)
		}
		return nil
	}
	d.ordering.Lock()
	defer d.ordering.Unlock()
	if err := d.give(region, o); err != nil {
		return fmt.Errorf("regional: order: %w", err)
	}
	if d.file == nil {
		return nil
	}
	if err := d.save(); err != nil {
		d.wakeSaver()
		return fmt.Errorf("regional: order: %w: %w", ErrNotSaved, err)
	}
	return nil
}

// give puts a new order in force. Everybody hears of it before the disk does, which may be full.
func (d *Driver) give(region string, o Order) error {
	now := time.Now()
	d.mu.Lock()
	if err := d.fleet.Refusal(region, o.State); err != nil {
		d.mu.Unlock()
		return err
	}
	version, err := d.orders.next()
	if err != nil {
		d.mu.Unlock()
		return err
	}
	g := given{Order: o, Region: region, Version: version, Gateway: d.cfg.Region + "/" + d.cfg.Gateway, At: now, Began: now}
	if err := d.orders.merge(g, d.known()); err != nil {
		d.mu.Unlock()
		return err
	}
	d.step(now, g.event(now))
	d.done(true)
	return nil
}
