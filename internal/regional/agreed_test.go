package regional

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/regions/failover"
)

// group is a log of several gateways: what one proposes is applied by all that are not away, in one order.
type group struct {
	mu      sync.Mutex
	entries [][]byte
	members map[string]*member
}

type member struct {
	*Agreed
	applied int
	away    bool
}

var errNoQuorum = errors.New("no quorum")

func newGroup() *group { return &group{members: map[string]*member{}} }

// join makes a driver that follows the group.
func (g *group) join(t *testing.T, name, dir string) *Driver {
	t.Helper()
	m := &member{Agreed: NewAgreed()}
	g.members[name] = m
	cfg := config()
	cfg.Gateway, cfg.DataDir, cfg.Agreed = name, dir, m.Agreed
	cfg.Propose = func(command []byte) error { return g.propose(m, command) }
	return newDriver(t, cfg)
}

func (g *group) propose(by *member, command []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if by.away {
		return errNoQuorum
	}
	g.entries = append(g.entries, command)
	var err error
	for _, m := range g.members {
		if e := g.catchUp(m); m == by {
			err = e
		}
	}
	return err
}

// catchUp applies what a member has missed and returns the last entry's error.
func (g *group) catchUp(m *member) (err error) {
	for ; m.applied < len(g.entries) && !m.away; m.applied++ {
		_, err = m.Apply(uint64(m.applied+1), g.entries[m.applied])
	}
	return err
}

func (g *group) returns(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members[name].away = false
	_ = g.catchUp(g.members[name]) // refused entries are refused everywhere
}

func TestOrdersOfTheGroupReachEveryGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup()
		a, b := g.join(t, "gw-a", ""), g.join(t, "gw-b", "")
		if err := a.Order("eu", Order{State: failover.OrderDraining, Over: time.Minute, By: "ann"}); err != nil {
			t.Fatal(err)
		}
		for _, d := range []*Driver{a, b} {
			if o := statusOf(t, d, "eu").Order; o == nil || o.State != failover.OrderDraining || o.By != "ann" || o.Gateway != "us/gw-a" {
				t.Errorf("%+v", o)
			}
		}
		time.Sleep(30 * time.Second)
		b.turn(nil)
		if s := statusOf(t, b, "eu"); s.Share < 0.45 || s.Share > 0.55 {
			t.Errorf("share %v after half the time", s.Share)
		}
		g.members["gw-b"].away = true
		if err := b.Order("eu", Order{State: failover.OrderOn}); !errors.Is(err, errNoQuorum) {
			t.Errorf("in a minority: %v", err)
		}
		if err := a.Order("eu", Order{State: failover.OrderOff}); err != nil {
			t.Fatal(err)
		}
		if o := statusOf(t, b, "eu").Order; o.State != failover.OrderDraining {
			t.Errorf("the minority's order: %+v", o)
		}
		g.returns("gw-b")
		if o := statusOf(t, b, "eu").Order; o.State != failover.OrderOff {
			t.Errorf("after the return: %+v", o)
		}
	})
}

func TestRefusedOrdersAreNotProposed(t *testing.T) {
	g := newGroup()
	d := g.join(t, "gw-a", "")
	if err := d.Order("moon", Order{State: failover.OrderOff}); !errors.Is(err, ErrUnknownRegion) {
		t.Errorf("unknown: %v", err)
	}
	if err := d.Order("eu", Order{State: failover.OrderOff, Over: -1}); !errors.Is(err, ErrBadOrder) {
		t.Errorf("bad: %v", err)
	}
	for _, region := range []string{"eu", "ap"} {
		if err := d.Order(region, Order{State: failover.OrderOff}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Order("us", Order{State: failover.OrderOff}); !errors.Is(err, ErrLastRegion) {
		t.Errorf("the last one: %v", err)
	}
	if len(g.entries) != 2 {
		t.Errorf("%d entries", len(g.entries))
	}
}

// An order that a gateway gave on its own before there was a group is older than any of the group's, and one that it
// hears from a gateway outside the group later is newer.
func TestOrdersFromBeforeTheGroupGiveWay(t *testing.T) {
	cfg := config()
	alone := newDriver(t, cfg)
	for range 5 {
		if err := alone.Order("eu", Order{State: failover.OrderOff}); err != nil {
			t.Fatal(err)
		}
	}
	g := newGroup()
	d := g.join(t, "gw-b", "")
	d.Receive("gw", alone.View())
	if o := statusOf(t, d, "eu").Order; o == nil || o.State != failover.OrderOff {
		t.Fatalf("%+v", o)
	}
	if err := d.Order("eu", Order{State: failover.OrderOn}); err != nil {
		t.Fatal(err)
	}
	if o := statusOf(t, d, "eu").Order; o.State != failover.OrderOn {
		t.Errorf("%+v", o)
	}
	alone.Receive("gw-b", d.View())
	if o := statusOf(t, alone, "eu").Order; o.State != failover.OrderOn {
		t.Errorf("outside the group: %+v", o)
	}
	if err := alone.Order("eu", Order{State: failover.OrderOff}); err != nil {
		t.Fatal(err)
	}
	d.Receive("gw", alone.View())
	if o := statusOf(t, d, "eu").Order; o.State != failover.OrderOff {
		t.Errorf("from outside: %+v", o)
	}
}

// A gateway that starts again is given every entry anew, and goes on where its disk says the order stood.
func TestRestartCarriesOnAnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, dir := newGroup(), t.TempDir()
		d := g.join(t, "gw-a", dir)
		stop := running(d)
		if err := d.Order("eu", Order{State: failover.OrderDraining, Over: 10 * time.Minute}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		stop()
		time.Sleep(5 * time.Minute)
		again := g.join(t, "gw-a", dir)
		g.returns("gw-a")
		again.turn(nil)
		if s := statusOf(t, again, "eu"); s.Share < 0.45 || s.Share > 0.55 || s.Order == nil {
			t.Errorf("share %v, order %+v", s.Share, s.Order)
		}
	})
}

func TestSnapshotsOfOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup()
		d := g.join(t, "gw-a", "")
		if err := d.Order("eu", Order{State: failover.OrderDraining, Over: 10 * time.Minute}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if err := d.Order("ap", Order{State: failover.OrderOff}); err != nil {
			t.Fatal(err)
		}
		b, err := g.members["gw-a"].Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		late := NewAgreed()
		cfg := config()
		cfg.Gateway, cfg.Agreed, cfg.Propose = "gw-late", late, func([]byte) error { return errNoQuorum }
		fresh := newDriver(t, cfg)
		if err := late.Restore(b); err != nil {
			t.Fatal(err)
		}
		fresh.turn(nil)
		if s := statusOf(t, fresh, "eu"); s.Share < 0.45 || s.Share > 0.55 {
			t.Errorf("share %v", s.Share)
		}
		if o := statusOf(t, fresh, "ap").Order; o == nil || o.State != failover.OrderOff {
			t.Errorf("%+v", o)
		}
		if again, err := late.Snapshot(); err != nil || string(again) != string(b) {
			t.Errorf("%s\n%s %v", b, again, err)
		}
		for text, want := range map[string]error{
			`{"format":2}`: ErrNewer, strings.Replace(string(b), `"by"`, `"from"`, 1): ErrNewer, strings.Replace(string(b), "off", "gone", 1): ErrNewer,
			`{`: ErrRefused, strings.Repeat("x", MaxView+1): ErrRefused,
			strings.Replace(string(b), `"region":"ap"`, `"region":"eu"`, 1):  ErrRefused,
			strings.Replace(string(b), `"region":"ap"`, `"region":"a b"`, 1): ErrBadOrder,
			strings.Replace(string(b), `"over_ms":0`, `"over_ms":-1`, 1):     ErrBadOrder,
			strings.Replace(string(b), `"version":`, `"version":99`, 1):      ErrBadOrder,
		} {
			if err := late.Restore([]byte(text)); !errors.Is(err, want) {
				t.Errorf("%.200s: %v, want %v", text, err, want)
			}
		}
		if again, _ := late.Snapshot(); string(again) != string(b) {
			t.Error("a refused snapshot changed something")
		}
	})
}

func TestOrdersOfTheGroupAreBounded(t *testing.T) {
	a := NewAgreed()
	apply := func(index uint64, region, state string) error {
		_, err := a.Apply(index, fmt.Appendf(nil, `{"format":1,"order":{"region":%q,"state":%q,"by":"x","gateway":"us/gw"}}`, region, state))
		return err
	}
	for i := range failover.MaxRegions {
		if err := apply(uint64(i+1), fmt.Sprint("r", i), "off"); err != nil {
			t.Fatal(err)
		}
	}
	if err := apply(100, "more", "off"); !errors.Is(err, ErrRefused) {
		t.Errorf("one more: %v", err)
	}
	if err := apply(101, "r7", "on"); err != nil {
		t.Fatal(err)
	}
	if err := apply(102, "more", "off"); err != nil {
		t.Errorf("in place of one that says nothing: %v", err)
	}
	for entry, want := range map[string]error{
		`{`: ErrRefused, strings.Repeat("x", maxAgreed+1): ErrRefused, `{"format":1,"order":{"region":"a b"}}`: ErrRefused,
		`{"format":2}`: ErrNewer, `{"format":1,"orders":[]}`: ErrNewer, `{"format":1,"order":{"state":"gone"}}`: ErrNewer,
	} {
		if _, err := a.Apply(103, []byte(entry)); !errors.Is(err, want) {
			t.Errorf("%.50s: %v, want %v", entry, err, want)
		}
	}
	cfg := config()
	cfg.Agreed = a
	if _, err := New(cfg); err == nil {
		t.Error("a driver that cannot propose is made")
	}
}
