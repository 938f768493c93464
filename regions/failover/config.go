// Package failover decides how much traffic each region should get: one pure state machine per region and
// the rules across them that keep a fleet from talking itself out of service. It must not know sockets,
// clocks, files, the gateway or how evidence is collected.
//
// It is the slow one of three clocks. Single requests are re-routed within milliseconds by breakers and
// retries; here the weights of whole regions move, over seconds and minutes, on evidence of several checks
// from several vantages.
package failover

import (
	"errors"
	"fmt"
	"time"
)

// Config is the pace of one fleet. The zero value of every field stands for its default.
type Config struct {
	// Interval is how often every region is checked; 10 ms..1 h, default 5 s. Evidence counts for three of it.
	Interval time.Duration
	// Failures is how many failed checks in a row are an opinion; 1..100, default 3.
	Failures int
	// Vantages is how many regions, this gateway's own among them, must be of one opinion before a region is
	// evacuated; 1..64, default 2. With 1 this gateway's own word is enough.
	Vantages int
	// HoldDown is how long an evacuated region must be well before traffic returns; 1 ms..24 h, default 5 min.
	// It doubles with every further evacuation, up to MaxHoldDown, and halves again with every MaxHoldDown
	// that passes well.
	HoldDown time.Duration
	// MaxHoldDown is at most 7 d, default 60 min; where it is less than HoldDown, HoldDown counts.
	MaxHoldDown time.Duration
	// Ramp is how long traffic takes to return, from none to all; 1 ms..24 h, default 60 s.
	Ramp time.Duration
	// Evacuate is how long automation takes to shift all traffic away; 1 ms..24 h, default 30 s. The first
	// step, an Interval's worth, is taken at once.
	Evacuate time.Duration
	// Timeout is how long nothing may take the traffic before the least bad region gets it; 1 ms..1 h,
	// default 10 s.
	Timeout time.Duration
}

const (
	// reportsLast is for how many intervals evidence counts.
	reportsLast = 3
	// successes is how many good checks in a row end the opinion that a region fails.
	successes = 2
	// enough is the share of healthy nodes that still bears a region's full share.
	enough = 0.5
	// floor is the share that a degraded region keeps: nothing is emptied on the word of one vantage.
	floor = 0.1
	// quietPart of the hold-down must pass without a single failed check before traffic returns.
	quietPart = 5
	// MaxRegions bounds the regions of a fleet, and with it the orders.
	MaxRegions = 64
	// maxVantages bounds the gateways whose opinion of one region is kept.
	maxVantages = 256
	// crumb is what rounding may leave of a share.
	crumb = 1e-9
)

// WithDefaults returns c with defaults filled in, or every field that is out of range.
func (c Config) WithDefaults() (Config, error) {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	or(&c.Interval, 5*time.Second)
	or(&c.HoldDown, 5*time.Minute)
	or(&c.MaxHoldDown, time.Hour)
	c.MaxHoldDown = max(c.MaxHoldDown, c.HoldDown)
	or(&c.Ramp, time.Minute)
	or(&c.Evacuate, 30*time.Second)
	or(&c.Timeout, 10*time.Second)
	if c.Failures == 0 {
		c.Failures = 3
	}
	if c.Vantages == 0 {
		c.Vantages = 2
	}
	return c, c.check()
}

func (c Config) check() error {
	var problems []error
	within := func(name string, d, least, most time.Duration) {
		if d < least || d > most {
			problems = append(problems, fmt.Errorf("%s %s is outside %s..%s", name, d, least, most))
		}
	}
	const day = 24 * time.Hour
	within("interval", c.Interval, 10*time.Millisecond, time.Hour)
	within("hold-down", c.HoldDown, time.Millisecond, day)
	within("largest hold-down", c.MaxHoldDown, time.Millisecond, 7*day)
	within("ramp", c.Ramp, time.Millisecond, day)
	within("evacuation", c.Evacuate, time.Millisecond, day)
	within("timeout", c.Timeout, time.Millisecond, time.Hour)
	if c.Failures < 1 || c.Failures > 100 {
		problems = append(problems, fmt.Errorf("failures %d is outside 1..100", c.Failures))
	}
	if c.Vantages < 1 || c.Vantages > MaxRegions {
		problems = append(problems, fmt.Errorf("vantages %d is outside 1..%d", c.Vantages, MaxRegions))
	}
	if len(problems) > 0 {
		return fmt.Errorf("failover: config: %w", errors.Join(problems...))
	}
	return nil
}

// quiet is how long not one check may fail before traffic returns.
func (c *Config) quiet() time.Duration { return c.HoldDown / quietPart }

// holdDown is the hold-down after the given number of evacuations.
func (c *Config) holdDown(strikes int) time.Duration {
	d := c.HoldDown
	for ; strikes > 1 && d < c.MaxHoldDown; strikes-- {
		d *= 2
	}
	return min(d, c.MaxHoldDown)
}
