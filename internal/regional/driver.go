package regional

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/failover"
)

// perInterval is how often shares are moved between two checks.
const perInterval = 5

// Driver keeps the fleet's state in one gateway. Its methods may be called concurrently.
type Driver struct {
	cfg   Config
	file  *file // nil: memory only
	saves chan struct{}

	ordering sync.Mutex // one order at a time, through to the disk

	mu       sync.Mutex
	fleet    failover.Fleet
	remotes  map[string]Remote
	capacity int
	seen     map[string]Evidence
	checked  time.Time
	orders   orders
	past     map[string][]Change
	told     []regions.Region // as of the last call of Changed
}

// New returns a driver with the orders that DataDir holds in force. A file of orders that cannot be
// read is set aside with an error in the log: no orders are better than no gateway.
func New(cfg Config) (*Driver, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("regional: new: %w", err)
	}
	now := time.Now()
	fleet, err := failover.New(cfg.Failover, cfg.Region, names(cfg.Regions), now)
	if err != nil {
		return nil, fmt.Errorf("regional: new: %w", err)
	}
	d := &Driver{
		cfg: cfg, fleet: fleet, saves: make(chan struct{}, 1), checked: now, capacity: cfg.Capacity,
		seen: make(map[string]Evidence), past: make(map[string][]Change), orders: make(orders),
	}
	d.setRemotes(cfg.Regions)
	if cfg.DataDir != "" {
		if d.file, err = openFile(cfg.DataDir); err != nil {
			return nil, fmt.Errorf("regional: new: %w", err)
		}
		d.restore(now)
	}
	d.told = d.table()
	if cfg.Agreed != nil {
		cfg.Agreed.attach(d.obey)
	}
	return d, nil
}

// restore puts the orders on disk in force.
func (d *Driver) restore(now time.Time) {
	kept, err := d.file.load(now)
	if err != nil {
		d.cfg.Logger.Error("operators' orders on disk are unusable: this gateway starts without them", "file", d.file.path, "cause", err.Error())
	}
	for _, o := range kept {
		if err := d.orders.merge(o, d.known()); err != nil {
			d.cfg.Logger.Error("an operator's order on disk is ignored", "region", o.Region, "cause", err.Error())
			continue
		}
		d.step(now, o.event(now))
	}
}

func (d *Driver) setRemotes(remotes []Remote) {
	d.remotes = make(map[string]Remote, len(remotes))
	for _, r := range remotes {
		d.remotes[r.Name] = r
	}
}

// known returns whether a name is one of the fleet's.
func (d *Driver) known() func(string) bool {
	return func(region string) bool {
		_, other := d.remotes[region]
		return other || region == d.cfg.Region
	}
}

// Run gathers, judges and shifts until ctx ends.
func (d *Driver) Run(ctx context.Context) {
	var saver sync.WaitGroup
	defer saver.Wait()
	saver.Go(func() { d.keepSaved(ctx) })
	ticker := time.NewTicker(d.tick())
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			d.turn(d.cfg.Gather())
		}
	}
}

func (d *Driver) tick() time.Duration { return d.interval() / perInterval }

func (d *Driver) interval() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fleet.Config().Interval
}

// turn takes in what was gathered and lets time pass.
func (d *Driver) turn(all []Evidence) {
	now := time.Now()
	d.mu.Lock()
	interval := d.fleet.Config().Interval
	checks := now.Sub(d.checked) >= interval-interval/(2*perInterval)
	if checks {
		d.checked = now
	}
	for _, e := range all {
		d.seen[e.Region] = e
		d.step(now, failover.Load{Region: e.Region, Demand: e.Demand, Capacity: e.Capacity})
		if checks && e.Nodes > 0 {
			d.step(now, failover.Check{Region: e.Region, Reachable: e.Reachable, BreakerOpen: e.BreakerOpen, Health: e.Health})
		}
	}
	d.step(now, failover.Tick{})
	d.done(checks)
}

// step moves the fleet and keeps and logs what there is to tell. d.mu is held, or d is not shared yet.
func (d *Driver) step(now time.Time, e failover.Event) {
	var effects []failover.Effect
	d.fleet, effects = failover.Step(d.fleet, now, e)
	d.tell(now, effects)
}

func (d *Driver) tell(now time.Time, effects []failover.Effect) {
	for _, e := range effects {
		level := slog.LevelInfo
		if e.To == regions.Evacuating || e.To == regions.Off {
			level = slog.LevelWarn
		}
		if e.Changed() {
			d.remember(now, e)
			d.cfg.Logger.Log(context.Background(), level, "region changed its state", "of", e.Region, "from", e.From.String(), "to", e.To.String(), "cause", e.Cause)
			continue
		}
		d.cfg.Logger.Log(context.Background(), level, "region keeps its state", "of", e.Region, "state", e.To.String(), "cause", e.Cause)
	}
}

// done unlocks d.mu and then tells who has to know, who may call back.
func (d *Driver) done(publish bool) {
	changed := d.moved()
	var v View
	if publish {
		v = d.view(time.Now())
	}
	d.mu.Unlock()
	if changed {
		d.cfg.Changed()
	}
	if publish {
		d.cfg.Publish(v)
	}
}

// SetRegions replaces the other regions and the own capacity. Regions that stay keep their state, and
// orders for regions that come are put in force. On an error nothing changes.
func (d *Driver) SetRegions(remotes []Remote, capacity int) error {
	if problems := checkRemotes(remotes, capacity); len(problems) > 0 {
		return fmt.Errorf("regional: regions: %w", problems[0])
	}
	now := time.Now()
	d.mu.Lock()
	fleet, effects, err := d.fleet.With(names(remotes), now)
	if err != nil {
		d.mu.Unlock()
		return fmt.Errorf("regional: regions: %w", err)
	}
	d.fleet, d.capacity = fleet, capacity
	d.setRemotes(remotes)
	d.tell(now, effects)
	for region := range d.past {
		if !d.known()(region) {
			delete(d.past, region)
			delete(d.seen, region)
		}
	}
	for _, o := range d.orders {
		d.step(now, o.event(now)) // what is in force already is no news
	}
	d.done(true)
	return nil
}
