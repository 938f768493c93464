package demo

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/beside"
	"github.com/quorate/quorate/internal/delay"
)

// echoes are gateways' peers that send back what they get.
func echoes(t *testing.T, regions ...string) map[string]string {
	t.Helper()
	peers := map[string]string{}
	for _, region := range regions {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
			}
		}()
		t.Cleanup(func() { _ = ln.Close(); <-ended })
		peers[region] = ln.Addr().String()
	}
	return peers
}

// trip returns the round trip of a byte on a connection that is there already.
func trip(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	at := time.Now()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return time.Since(at)
}

func TestLinksHaveTheirDistances(t *testing.T) {
	all, err := newLinks(echoes(t, places()...), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer all.close()
	for _, at := range places() {
		roads := all.from(at)
		if len(roads) != 3 {
			t.Errorf("%s has %d roads", at, len(roads))
		}
		for _, r := range roads {
			c, err := net.Dial("tcp", r.address)
			if err != nil {
				t.Fatal(err)
			}
			trip(t, c)
			// The best of three: a busy machine makes a trip longer, never shorter.
			if got := min(trip(t, c), trip(t, c), trip(t, c)); got < r.rtt || got > r.rtt+60*time.Millisecond {
				t.Errorf("%s – %s: %s, want %s", at, r.to, got, r.rtt)
			}
			_ = c.Close()
		}
	}
}

func TestDeedsReachTheRightLinks(t *testing.T) {
	all, err := newLinks(echoes(t, founders()...), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer all.close()
	oneWay := func() (ms []int64) {
		for _, l := range all {
			l.each(func(p *delay.Proxy) { ms = append(ms, p.Delay().Milliseconds()) })
		}
		return ms
	}
	same := func(got []int64, want ...int64) bool {
		for i := range got {
			if got[i] != want[i] {
				return false
			}
		}
		return len(got) == len(want)
	}
	if got := oneWay(); !same(got, 40, 40, 60, 60, 95, 95) {
		t.Errorf("at first %d", got)
	}
	all.slow(euWest, usEast, 250*time.Millisecond)
	if got := oneWay(); !same(got, 125, 125, 60, 60, 95, 95) {
		t.Errorf("slowed down %d", got)
	}
	all.home()
	if got := oneWay(); !same(got, 40, 40, 60, 60, 95, 95) {
		t.Errorf("at home %d", got)
	}
	all.cut(apSouth)
	for _, l := range all {
		c, err := net.Dial("tcp", l.ways[0].Address())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte("x"))
		_ = c.SetReadDeadline(time.Now().Add(4*l.rtt + 100*time.Millisecond))
		_, err = io.ReadFull(c, make([]byte, 1))
		if cut := l.a == apSouth || l.b == apSouth; (err != nil) != cut {
			t.Errorf("%s – %s: %v while ap-south is cut off", l.a, l.b, err)
		}
		_ = c.Close()
	}
	if err := all.heal(apSouth); err != nil {
		t.Error(err)
	}
	c, err := net.Dial("tcp", all[1].ways[0].Address())
	if err != nil {
		t.Fatal(err)
	}
	trip(t, c)
	_ = c.Close()
}

// A door leads home while there is somebody, then to the nearest region, and home again.
func TestDoorLeadsToWhoAnswers(t *testing.T) {
	listen, stop := named(t)
	doors, err := openDoors(listen, 1)
	t.Cleanup(func() {
		for _, d := range doors {
			d.close()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	says := func(at, want string) {
		t.Helper()
		c, err := net.Dial("tcp", doors[at].listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if got, err := io.ReadAll(c); err != nil || string(got) != want {
			t.Errorf("%q %v, want %q", got, err, want)
		}
	}
	says(euWest, euWest)
	stop[euWest]()
	says(euWest, usEast)
	doors[euWest].move(listen[apSouth])
	says(euWest, apSouth)
	says(saEast, usEast) // until somebody adds it
	doors[saEast].move(listen[saEast])
	says(saEast, saEast)
	for _, at := range founders() {
		if n := len(doors[at].far); n != 2 {
			t.Errorf("%s's agents are led to %d other regions", at, n)
		}
	}
}

// named are listeners that tell their name and hang up, until they are stopped.
func named(t *testing.T) (at map[string]string, stop map[string]func()) {
	t.Helper()
	at, stop = map[string]string{}, map[string]func(){}
	for _, region := range places() {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at[region] = ln.Addr().String()
		stop[region] = beside.Serve(t, ln, func(c net.Conn) { _, _ = io.WriteString(c, region) })
	}
	return at, stop
}
