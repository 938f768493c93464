package regional

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/regions/failover"
)

// PartName is the name of the orders' part of the replicated state.
const PartName = "orders"

// agreedFormat is the newest form of commands and snapshots that this release reads, and the one that it writes.
const agreedFormat = 1

// agreedBase is added to the index of an order's entry, so that an order that the group agreed on is newer than
// those that gateways gave on their own before there was a group.
const agreedBase = maxVersion / 2

// maxAgreed bounds a command, and MaxView a snapshot, in bytes.
const maxAgreed = 4 << 10

// Errors of the orders' part that callers branch on.
var (
	// ErrRefused: the order is refused, at every gateway alike.
	ErrRefused = errors.New("refused")
	// ErrNewer: a newer release wrote this. A gateway that meets it in the log must stop applying.
	ErrNewer = errors.New("written by a newer release")
)

// Agreed is the part of the replicated state that holds operators' orders. A driver that has it in its Config
// follows it. Apply, Snapshot and Restore are for one goroutine.
type Agreed struct {
	mu     sync.Mutex
	orders orders
	follow func([]given) // nil until a driver follows
}

// NewAgreed returns the part without any order.
func NewAgreed() *Agreed { return &Agreed{orders: make(orders)} }

// attach makes f hear of every order, of those that there are at once.
func (a *Agreed) attach(f func([]given)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.follow = f
	f(a.orders.sorted())
}

type agreedCommand struct {
	Format int   `json:"format"`
	Order  order `json:"order"`
}

type agreedSnapshot struct {
	Format int     `json:"format"`
	Orders []order `json:"orders"`
}

// Apply takes in the order of the entry at index. ErrRefused: nothing changed, here and everywhere. ErrNewer: this
// release cannot read the entry.
func (a *Agreed) Apply(index uint64, command []byte) ([]byte, error) {
	var c agreedCommand
	if err := decodeAgreed(command, maxAgreed, &c); err != nil {
		return nil, fmt.Errorf("regional: order %d: %w", index, err)
	}
	o := c.Order.given(time.Now())
	a.mu.Lock()
	defer a.mu.Unlock()
	o.Version = a.version(index)
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("regional: order %d: %w: %w", index, ErrRefused, err)
	}
	if _, there := a.orders[o.Region]; !there && len(a.orders) >= failover.MaxRegions && !a.orders.dropOn() {
		return nil, fmt.Errorf("regional: order %d: %w: %w: there are %d others", index, ErrRefused, ErrBadOrder, len(a.orders))
	}
	a.orders[o.Region] = o
	a.tell([]given{o})
	return nil, nil
}

// version is that of the order at index: newer than all others, also after a snapshot of a longer log was restored.
func (a *Agreed) version(index uint64) uint64 {
	v := agreedBase + index
	for _, o := range a.orders {
		v = max(v, o.Version+1)
	}
	return v
}

// dropOn forgets the oldest order that gives a region back: it says what is so without it.
func (all orders) dropOn() bool {
	var oldest *given
	for _, o := range all.sorted() {
		if o.State == failover.OrderOn && (oldest == nil || o.Version < oldest.Version) {
			oldest = &o
		}
	}
	if oldest != nil {
		delete(all, oldest.Region)
	}
	return oldest != nil
}

func (a *Agreed) tell(news []given) {
	if a.follow != nil {
		a.follow(news)
	}
}

// Snapshot returns the orders as bytes for Restore.
func (a *Agreed) Snapshot() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := agreedSnapshot{Format: agreedFormat, Orders: []order{}}
	for _, o := range a.orders.sorted() {
		s.Orders = append(s.Orders, o.wire(o.Began)) // ages are this gateway's own and no part of the state
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("regional: snapshot: %w", err)
	}
	return b, nil
}

// Restore replaces the orders by a snapshot's; after an error they stay. ErrNewer: a newer release wrote it.
func (a *Agreed) Restore(snapshot []byte) error {
	var s agreedSnapshot
	if err := decodeAgreed(snapshot, MaxView, &s); err != nil {
		return fmt.Errorf("regional: restore: %w", err)
	}
	now := time.Now()
	all := make(orders)
	for _, w := range s.Orders {
		o := w.given(now)
		if o.At.Before(now) {
			o.Began = o.At // an order of long ago is carried out, as far as anybody here can tell
		}
		if _, twice := all[o.Region]; twice || len(all) >= failover.MaxRegions {
			return fmt.Errorf("regional: restore: %w: orders for %q twice, or too many", ErrRefused, o.Region)
		}
		if err := o.check(); err != nil {
			return fmt.Errorf("regional: restore: %w", err)
		}
		all[o.Region] = o
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.orders = all
	a.tell(all.sorted())
	return nil
}

// decodeAgreed reads a command or a snapshot of up to most bytes.
func decodeAgreed(b []byte, most int, into any) error {
	var head struct {
		Format int `json:"format"`
	}
	if len(b) > most {
		return fmt.Errorf("%w: %d bytes", ErrRefused, len(b))
	}
	if json.Unmarshal(b, &head) != nil { // the decoder's text would quote the sender
		return fmt.Errorf("%w: malformed", ErrRefused)
	}
	if head.Format > agreedFormat {
		return fmt.Errorf("%w: format %d, this release reads up to %d", ErrNewer, head.Format, agreedFormat)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", ErrNewer, err)
	}
	return nil
}

// propose has the group agree on an order, which then comes back through Agreed.
func (d *Driver) propose(region string, o Order) error {
	d.mu.Lock()
	err := d.fleet.Refusal(region, o.State)
	d.mu.Unlock()
	if err != nil {
		return err
	}
	now := time.Now()
	g := given{Order: o, Region: region, Gateway: d.cfg.Region + "/" + d.cfg.Gateway, At: now, Began: now}
	command, err := json.Marshal(agreedCommand{Format: agreedFormat, Order: g.wire(now)})
	if err != nil {
		return err
	}
	err = d.cfg.Propose(command)
	if errors.Is(err, ErrRefused) {
		return fmt.Errorf("%w: %w", ErrBadOrder, err)
	}
	return err
}

// obey takes in what the group agreed on.
func (d *Driver) obey(news []given) {
	now := time.Now()
	d.mu.Lock()
	fresh := false
	for _, o := range news {
		fresh = d.learn("the control group", o, now) || fresh
	}
	if fresh {
		d.wakeSaver()
	}
	d.done(fresh)
}
