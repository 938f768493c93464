package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/delay"
)

// door is the one address that a region's agents know. Like a TCP balancer it knows nothing of what passes: a connection
// leads to the region's own gateway, or, where there is none or it does not take it, to the nearest other one.
type door struct {
	listener net.Listener
	home     atomic.Pointer[string] // "": nobody is led to the region's own gateway
	far      []*delay.Proxy         // nearest first
	work     sync.WaitGroup
	ctx      context.Context
	stop     context.CancelFunc
}

// knockTime bounds one attempt to connect.
const knockTime = 500 * time.Millisecond

// openDoors opens a door in every region that has a gateway; listen are their addresses. Sa-east's leads elsewhere until
// it is moved. close ends it, also after an error.
func openDoors(listen map[string]string, seed uint64) (doors map[string]*door, err error) {
	doors = map[string]*door{}
	for i, region := range places() {
		if listen[region] == "" {
			continue
		}
		d, err := openDoor(region, listen, seed+uint64(100+10*i))
		if err != nil {
			return doors, fmt.Errorf("door of %s: %w", region, err)
		}
		doors[region] = d
	}
	return doors, nil
}

func openDoor(region string, listen map[string]string, seed uint64) (d *door, err error) {
	d = &door{}
	d.ctx, d.stop = context.WithCancel(context.Background())
	home := listen[region]
	if region == saEast {
		home = ""
	}
	d.move(home)
	ways := slices.SortedStableFunc(slices.Values(distances()), func(a, b distance) int { return int(a.rtt - b.rtt) })
	for i, way := range ways {
		other := way.b
		if region == way.b {
			other = way.a
		} else if region != way.a || other == saEast { // which the others' agents do not know
			continue
		}
		p, err := delay.Start(delay.Config{Target: listen[other], Delay: way.rtt / 2, Jitter: wobble, Seed: seed + uint64(i)})
		if err != nil {
			d.close()
			return nil, err
		}
		d.far = append(d.far, p)
	}
	if d.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		d.close()
		return nil, err
	}
	d.work.Go(d.serve)
	return d, nil
}

// url is what the region's agents are told.
func (d *door) url() string { return "http://" + d.listener.Addr().String() + "/mcp" }

// move says where the region's own gateway is now.
func (d *door) move(home string) { d.home.Store(&home) }

func (d *door) serve() {
	for {
		c, err := d.listener.Accept()
		if err != nil {
			return // closed
		}
		d.work.Go(func() { d.carry(c) })
	}
}

// carry joins a connection to one that leads on, until either ends.
func (d *door) carry(near net.Conn) {
	defer near.Close()
	far, err := d.knock()
	if err != nil {
		return
	}
	defer far.Close()
	defer context.AfterFunc(d.ctx, func() { _, _ = near.Close(), far.Close() })()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(far, near)
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
	<-ended
}

// knock connects to the first gateway that answers.
func (d *door) knock() (net.Conn, error) {
	dialer := net.Dialer{Timeout: knockTime}
	var at []string
	if home := *d.home.Load(); home != "" {
		at = append(at, home)
	}
	for _, p := range d.far {
		at = append(at, p.Address())
	}
	var problems []error
	for _, a := range at {
		c, err := dialer.DialContext(d.ctx, "tcp", a)
		if err == nil {
			return c, nil
		}
		problems = append(problems, err)
	}
	return nil, errors.Join(problems...)
}

func (d *door) close() {
	d.stop()
	if d.listener != nil {
		_ = d.listener.Close()
	}
	d.work.Wait()
	for _, p := range d.far {
		p.Close()
	}
}
