package control

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/events"
	"github.com/quorate/quorate/internal/planted"
)

// quarters of an interval are how often the driver looks; a heartbeat goes out on every fourth look, and on every
// one while the gate is closed or has just moved to another rule.
const quarters = 4

// driver owns gate, voter and sealer, and nobody else touches them.
type driver struct {
	cfg    *Config
	fsm    *fsm
	me     authority.VoterID
	lease  *authority.Lease
	links  Links
	leader func() string // its name; "": none
	label  func() string
	inbox  chan arrival
	asks   chan func(*driver) // what others want to know or do
	gone   chan struct{}      // closed when nobody does it any more
	seals  chan authority.Command
	scribe *scribe

	gate     *authority.Gate
	voter    *authority.Voter // nil: no vote, or its store has failed
	sealer   *authority.Sealer
	view     authority.View
	open     bool
	judge    chan struct{} // of one: there is news for the steward
	due      *time.Timer   // until the voter can confirm more
	retired  bool          // the fleet has gone on without this gateway
	closings atomic.Uint64 // times that the gate closed
	looks    int
	looked   time.Duration                    // when it looked last
	led      string                           // who led then
	heard    map[authority.Life]time.Duration // when each life was heard last
	others   map[string]told                  // by voter: what it last told the leader
	answered map[string]time.Duration         // by voter: when it last acked
	owes     bool                             // a heartbeat that was held back
	began    time.Duration
	epoch    atomic.Uint64
	version  atomic.Uint64
	promise  atomic.Int64
	life     atomic.Uint64 // the gate's incarnation; 0: none, or it has ended
	resigned atomic.Pointer[resigned]
}

func newDriver(cfg *Config, f *fsm, s *store, lease *authority.Lease) (*driver, error) {
	d := &driver{
		cfg: cfg, fsm: f, me: s.identity.voter(), lease: lease, links: cfg.Links,
		inbox: make(chan arrival, 1024), asks: make(chan func(*driver)), gone: make(chan struct{}), seals: make(chan authority.Command, 64),
		sealer: authority.NewSealer(), heard: map[authority.Life]time.Duration{}, others: map[string]told{}, answered: map[string]time.Duration{}, began: lease.Now(),
		scribe: newScribe(s.keep), judge: make(chan struct{}, 1), due: time.NewTimer(time.Hour),
	}
	if cfg.Role.Votes() {
		started := lease.Now()
		if planted.On(planted.BootWait) {
			started -= time.Hour
		}
		v, err := authority.NewVoter(s.promises, started)
		if err != nil {
			return nil, err
		}
		d.voter = v
	}
	if err := d.newGate(); err != nil {
		return nil, err
	}
	return d, nil
}

// newGate begins with a nonce that no process had before.
func (d *driver) newGate() error {
	g, err := authority.NewGate(authority.GateConfig{Gateway: d.cfg.Gateway, Nonce: rand.Text(), Lease: d.cfg.Lease})
	if err != nil {
		return err
	}
	d.gate = g
	if d.view.Index > 0 {
		g.Apply(d.view)
	}
	return nil
}

func (d *driver) run(ctx context.Context) {
	tick := time.NewTicker(d.cfg.Interval / quarters)
	defer tick.Stop()
	defer d.due.Stop()
	defer d.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.fsm.applied:
			d.apply()
		case a := <-d.inbox:
			d.take(a)
		case n := <-d.scribe.done:
			d.persisted(n)
		case f := <-d.asks:
			f(d)
		case <-tick.C:
			d.look()
		case <-d.due.C:
			d.confirm()
		}
		d.wait()
		d.settle()
	}
}

// close leaves the gate closed, whatever becomes of this process.
func (d *driver) close() {
	close(d.gone)
	d.life.Store(0)
	if !d.cfg.Alone {
		d.lease.Set(0)
	}
}

// do has f run by the driver. When it returns, the request path sees what f did to the gate: who ends it may say so.
func (d *driver) do(ctx context.Context, f func(*driver)) error {
	done := make(chan struct{})
	select {
	case d.asks <- func(d *driver) { defer close(done); f(d); d.settle() }:
		<-done
		return nil
	case <-d.gone:
		return fmt.Errorf("control: %w: this gateway stops", ErrNoQuorum)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// apply takes in what the log says now.
func (d *driver) apply() {
	p := d.fsm.read()
	if p.stuck != nil { // what comes after is not known: this gateway may not write, and promises nothing new
		d.gate.End()
		d.voter = nil
		return
	}
	moved := p.view.Ruling.Version != d.view.Ruling.Version
	d.view = p.view
	d.epoch.Store(max(p.epoch, d.epoch.Load())) // while a log is read again, it was further before
	d.version.Store(uint64(p.view.Ruling.Version))
	d.promise.Store(int64(p.view.Ruling.Now.Promise))
	d.gate.Apply(p.view)
	d.sealer.Apply(p.view)
	if d.voter != nil {
		if r := d.voter.Apply(p.view); r != nil {
			d.scribe.write(*r)
		}
	}
	if moved {
		d.beat() // the acks that counted do not any more
	}
	d.seal()
}

func (d *driver) persisted(w written) {
	if d.voter == nil {
		return
	}
	if w.err != nil {
		d.voter.Failed(w.err)
		d.cfg.Logger.Error("promises cannot be written: this voter is silent until it is started again", "cause", w.err.Error())
		d.cfg.Event(events.VoterFailed, d.cfg.Gateway, w.err.Error())
		return
	}
	d.voter.Persisted(w.number)
	d.confirm()
}

// look is the driver's clock.
func (d *driver) look() {
	d.looks++
	whole := d.looks%quarters == 0
	if whole || !d.open || d.owes {
		d.beat()
	}
	d.confirm()
	if d.succeeded() || whole || d.missing() {
		d.report()
	}
	d.looked = d.lease.Now()
}

// succeeded reports whether another gateway leads than on the last look: it has been told nothing yet.
func (d *driver) succeeded() bool {
	leader := d.leader()
	if leader == d.led {
		return false
	}
	d.led = leader
	if leader == d.cfg.Gateway {
		d.wake()
	}
	return true
}

// wake has the steward look at once.
func (d *driver) wake() {
	select {
	case d.judge <- struct{}{}:
	default:
	}
}

// wait has the driver look again at the moment at which a promise runs out that a fence or a change waits for.
func (d *driver) wait() {
	if d.voter == nil {
		return
	}
	now := d.lease.Now()
	if due := d.voter.Due(now); due != 0 {
		d.due.Reset(due - now)
	}
}
