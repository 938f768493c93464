package regional

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/failover"
)

func onDisk(dir string) Config {
	cfg := config()
	cfg.DataDir = dir
	return cfg
}

func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "not", "there", "yet")
		d := newDriver(t, onDisk(dir))
		if err := errors.Join(
			d.Order("eu", Order{State: failover.OrderDraining, Over: 10 * time.Minute, By: "alice"}),
			d.Order("ap", Order{State: failover.OrderOff, By: "bob"})); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Minute) // killed: nothing more is written
		d = newDriver(t, onDisk(dir))
		if s := statusOf(t, d, "eu"); s.State != regions.Evacuating || s.Share != 0.6 || s.Cause != "ordered by alice: draining over 10m0s" {
			t.Errorf("%+v", s)
		}
		if s := statusOf(t, d, "ap"); !s.Barred || s.Order.By != "bob" {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour)
		if err := newDriver(t, onDisk(dir)).Order("ap", Order{State: failover.OrderOn}); err != nil {
			t.Fatal(err)
		}
		d = newDriver(t, onDisk(dir))
		if s := statusOf(t, d, "ap"); s.State != regions.On || s.Order.State != failover.OrderOn {
			t.Errorf("%+v", s)
		}
		if s := statusOf(t, d, "eu"); s.State != regions.Off || s.Barred {
			t.Errorf("%+v", s)
		}
	})
}

// The clock was put back between two starts: the order is not put off until it is that late again.
func TestClockPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		text := `{"v":1,"orders":[{"region":"eu","state":"draining","over_ms":60000,"by":"x","version":1,"gateway":"us/gw","began":"2030-01-01T00:00:00Z"}]}`
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d := newDriver(t, onDisk(dir)) // in the year 2000
		defer running(d)()
		time.Sleep(61 * time.Second)
		if s := statusOf(t, d, "eu"); s.State != regions.Off {
			t.Errorf("%+v", s)
		}
	})
}

func TestBadFile(t *testing.T) {
	good := `{"region":"eu","state":"off","by":"x","version":1,"gateway":"us/gw"}`
	for what, tc := range map[string]struct {
		text  string
		aside bool
	}{
		"empty":                    {"", true},
		"torn":                     {`{"v":1,"orders":[` + good, true},
		"of a later program":       {`{"v":2,"orders":[]}`, true},
		"zeros":                    {strings.Repeat("\x00", 4096), true},
		"huge":                     {`{"v":1,"x":"` + strings.Repeat("x", maxFile) + `"}`, true},
		"one bad order among good": {`{"v":1,"orders":[{"region":"a/p","state":"off","by":"x","version":1,"gateway":"g"},` + good + `]}`, false},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, fileName)
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			cfg := onDisk(dir)
			cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			d := newDriver(t, cfg)
			aside, _ := filepath.Glob(path + ".bad-*")
			if (len(aside) == 1) != tc.aside || !strings.Contains(log.String(), "level=ERROR") {
				t.Errorf("set aside: %v, log: %.200s", aside, log.String())
			}
			if tc.aside {
				if kept, err := os.ReadFile(aside[0]); err != nil || string(kept) != tc.text {
					t.Errorf("what was set aside is not what was there: %v", err)
				}
			} else if !statusOf(t, d, "eu").Barred {
				t.Error("the good order is lost with the bad one")
			}
			if err := d.Order("ap", Order{State: failover.OrderOff}); err != nil {
				t.Error(err)
			}
			if s := statusOf(t, newDriver(t, onDisk(dir)), "ap"); !s.Barred {
				t.Error("orders given afterwards do not survive")
			}
		})
	}
}

// The disk is gone when the operator needs it: the order counts all the same, and is saved when the disk
// is back.
func TestDiskGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "data")
		cfg := onDisk(dir)
		var told atomic.Int64
		cfg.Publish = func(View) { told.Add(1) }
		d := newDriver(t, cfg)
		stop := running(d)
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		if err := d.Order("eu", Order{State: failover.OrderOff}); !errors.Is(err, ErrNotSaved) {
			t.Errorf("no word of the disk: %v", err)
		}
		if !statusOf(t, d, "eu").Barred || told.Load() == 0 {
			t.Error("the order waits for the disk")
		}
		time.Sleep(time.Minute)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(saveAgain + time.Second)
		if !statusOf(t, newDriver(t, onDisk(dir)), "eu").Barred {
			t.Error("not saved when the disk was back")
		}
		stop()
	})
}

// Orders from elsewhere are saved too, at the latest when the gateway ends.
func TestLearntIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d := newDriver(t, onDisk(dir))
		stop := running(d)
		d.Receive("x", View{Region: "ap", orders: []order{
			{Region: "eu", State: failover.OrderOff, By: "x", Version: 3, Gateway: "ap/x"},
			{Region: "mars", State: failover.OrderOff, By: "x", Version: 4, Gateway: "ap/x"}, // not ours, but somebody's
		}})
		stop()
		d = newDriver(t, onDisk(dir))
		if !statusOf(t, d, "eu").Barred || len(d.View().orders) != 2 {
			t.Errorf("%+v", d.View())
		}
	})
}
