package control

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/rulebook"
)

func alone(t *testing.T, dir string, change func(*Config)) *Node {
	t.Helper()
	cfg := Config{Gateway: "a", Region: "r", Dir: dir, Alone: true, Rules: rulebook.Rulebook{}, Ask: majority, Logger: quiet()}
	if change != nil {
		change(&cfg)
	}
	n, err := Open(cfg)
	must(t, err)
	return n
}

// A fleet of one has a life, soon, and another one after every start; what the last one owned may be claimed then.
func TestAloneLives(t *testing.T) {
	dir := t.TempDir()
	var last authority.Life
	for i := range 4 {
		n := alone(t, dir, nil)
		if !n.Allow() {
			t.Error("it may not write from the first moment")
		}
		began := time.Now()
		eventually(t, "it lives", func() bool { return n.Life().Incarnation != 0 })
		t.Logf("start %d: %s after %s", i, n.Life(), time.Since(began).Round(time.Millisecond))
		if took := time.Since(began); took > time.Second {
			t.Errorf("it lives after %s", took)
		}
		if life := n.Life(); life == last || last.Incarnation != 0 && !n.Ended(last) || n.Ended(life) {
			t.Errorf("%s after %s", life, last)
		}
		if i > 0 {
			ballot, err := n.Claim(t.Context(), authority.Take{Record: fmt.Sprint("r", i), Minter: last, Claimant: n.Life()})
			if err != nil || n.Owner(fmt.Sprint("r", i), last) != (authority.Claim{Ballot: ballot, Owner: n.Life()}) {
				t.Errorf("not claimed: %v", err)
			}
		}
		if all := n.Carriers(); len(all) != 1 || all[0].Life != n.Life() {
			t.Errorf("%+v", all)
		}
		last = n.Life()
		must(t, n.Close(context.Background()))
	}
	n := alone(t, "", nil)
	eventually(t, "it lives without a directory", func() bool { return n.Life().Incarnation != 0 })
	must(t, n.Close(context.Background()))
}

// The leader forgets claims of records whose lifetime is over, and no others.
func TestForget(t *testing.T) {
	over := "r0"
	n := alone(t, "", func(c *Config) {
		c.Expired = func(record string, _ time.Time) bool { return record >= over }
	})
	defer func() { must(t, n.Close(context.Background())) }()
	eventually(t, "it lives", func() bool { return n.Life().Incarnation != 0 })
	const records = 2*maxForgotten + 10
	life := n.Life()
	done := make(chan error, records)
	for i := range records {
		go func() {
			_, err := n.Claim(t.Context(), authority.Take{Record: fmt.Sprint("r", i), Minter: life, Claimant: life, Released: true})
			done <- err
		}()
	}
	for range records {
		must(t, <-done)
	}
	over = "r9"
	must(t, n.forget(t.Context(), time.Now()))
	left := 0
	for _, c := range n.fsm.claimed() {
		if left++; c.record >= over {
			t.Errorf("%s is not forgotten", c.record)
		}
	}
	if left == 0 || left == records {
		t.Errorf("%d of %d claims are left", left, records)
	}
	over = "r"
	must(t, n.forget(t.Context(), time.Now()))
	if left := len(n.fsm.claimed()); left != 0 {
		t.Errorf("%d claims are left", left)
	}
}
