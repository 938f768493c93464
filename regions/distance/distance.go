// Package distance turns measured round trips to a region into one figure and the latency class that
// follows from it. It must not know how round trips are measured, nor what is done with a class; it has no
// clock of its own.
package distance

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/regions"
)

// Config says how samples become a distance. The zero value of every field stands for its default.
type Config struct {
	Seed   time.Duration  // taken for the distance until measured, from 0
	Bounds regions.Bounds // of the classes; default regions.DefaultBounds
	// Window is how many recent samples the median is taken of, 1 to 99, default 9: less than half of them
	// being odd moves nothing.
	Window int
	// Alpha is the weight of a new median in the smoothed distance, over 0 to 1, default 0.3.
	Alpha float64
	// Hysteresis is how far past a class's bound the distance must be, as a part of it, 0 to 1; default 0.2.
	// Negative: none.
	Hysteresis float64
	// Dwell is how long it must stay there before the class changes, default 2 s. Negative: none.
	Dwell time.Duration
}

// Samples outside 0..maxSample are measurements gone wrong: a clock that jumped, a process that slept.
const maxSample = time.Minute

// enough is how many samples end the seed's time.
const enough = 3

// ErrConfig is wrapped by every error of New.
var ErrConfig = errors.New("distance: config")

func (c Config) withDefaults() (Config, error) {
	if c.Bounds == (regions.Bounds{}) {
		c.Bounds = regions.DefaultBounds()
	}
	if c.Window == 0 {
		c.Window = 9
	}
	if c.Alpha == 0 {
		c.Alpha = 0.3
	}
	if c.Hysteresis == 0 {
		c.Hysteresis = 0.2
	}
	if c.Dwell == 0 {
		c.Dwell = 2 * time.Second
	}
	c.Hysteresis, c.Dwell = max(c.Hysteresis, 0), max(c.Dwell, 0)
	if err := c.Bounds.Check(); err != nil {
		return c, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if c.Seed < 0 || c.Seed > maxSample || c.Window < 1 || c.Window > 99 || !(c.Alpha > 0 && c.Alpha <= 1) || c.Hysteresis > 1 {
		return c, fmt.Errorf("%w: seed %s, window %d, alpha %v or hysteresis %v is out of range", ErrConfig, c.Seed, c.Window, c.Alpha, c.Hysteresis)
	}
	return c, nil
}

// Estimator holds the distance to one region. It is not safe for concurrent use.
type Estimator struct {
	cfg     Config
	samples []time.Duration // a ring of the recent ones
	next    int
	sorted  []time.Duration // space for the median
	rtt     time.Duration
	class   regions.Class
	wanted  regions.Class // the class that the distance has been asking for
	since   time.Time     // since when it has
}

// New returns an estimator at its seed.
func New(cfg Config) (*Estimator, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Estimator{cfg: cfg, samples: make([]time.Duration, 0, cfg.Window), sorted: make([]time.Duration, cfg.Window)}
	e.rtt, e.class = cfg.Seed, cfg.Bounds.Of(cfg.Seed)
	e.wanted = e.class
	return e, nil
}

// Seed replaces the seed; it does nothing once the distance is measured.
func (e *Estimator) Seed(rtt time.Duration) {
	if e.Measured() || rtt < 0 || rtt > maxSample {
		return
	}
	e.rtt, e.class = rtt, e.cfg.Bounds.Of(rtt)
	e.wanted = e.class
}

// RTT returns the distance: the smoothed median, or the seed.
func (e *Estimator) RTT() time.Duration { return e.rtt }

// Class returns the fastest class that the region serves.
func (e *Estimator) Class() regions.Class { return e.class }

// Measured reports whether the distance is measured rather than the seed.
func (e *Estimator) Measured() bool { return len(e.samples) >= min(enough, e.cfg.Window) }

// Observe takes in one round trip and reports whether the class has changed. It allocates nothing.
func (e *Estimator) Observe(rtt time.Duration, now time.Time) bool {
	if rtt <= 0 || rtt > maxSample {
		return false
	}
	if len(e.samples) < e.cfg.Window {
		e.samples = append(e.samples, rtt)
	} else {
		e.samples[e.next] = rtt
	}
	e.next = (e.next + 1) % e.cfg.Window
	if !e.Measured() {
		return false
	}
	first := len(e.samples) == min(enough, e.cfg.Window) && e.next == len(e.samples)%e.cfg.Window
	if median := e.median(); first {
		e.rtt = median // nothing measured was there to smooth
	} else {
		e.rtt += time.Duration(e.cfg.Alpha * float64(median-e.rtt))
	}
	return e.judge(now)
}

func (e *Estimator) median() time.Duration {
	s := e.sorted[:copy(e.sorted, e.samples)]
	slices.Sort(s)
	return s[len(s)/2]
}

// judge changes the class when the distance has asked for another one for long enough.
func (e *Estimator) judge(now time.Time) bool {
	wanted := e.asksFor()
	if wanted != e.wanted {
		e.wanted, e.since = wanted, now
	}
	if wanted == e.class || now.Sub(e.since) < e.cfg.Dwell {
		return false
	}
	e.class = wanted
	return true
}

// asksFor is the class of the distance, but the present one while the distance is not clearly past its bounds.
func (e *Estimator) asksFor() regions.Class {
	slower := e.cfg.Bounds.Of(time.Duration(float64(e.rtt) / (1 + e.cfg.Hysteresis)))
	faster := e.cfg.Bounds.Of(time.Duration(float64(e.rtt) * (1 + e.cfg.Hysteresis)))
	switch {
	case slower > e.class:
		return slower
	case faster < e.class:
		return faster
	}
	return e.class
}
