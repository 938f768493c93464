package demo

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/bench/failover"
)

const (
	// holdTime bounds a hold.
	holdTime = 30 * time.Minute
	// maxRows bounds a hold's table; the last row goes on then.
	maxRows = 50
)

// hold breaks nothing until ctx or its time ends: what happens is somebody else's doing, who is told how in file. The
// table has a row for each while in which the fleet's gateways made the same of sa-east.
func (s *show) hold(ctx context.Context, w *world, file string) error {
	if err := w.invite(file); err != nil {
		return err
	}
	s.out.act(1, 1, act{name: "hold", says: "nothing is broken here; sa-east is yours to add, to drain and to remove"})
	s.out.say("%s", w.invitation(file))
	ctx, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	s.look(ctx)
	for ctx.Err() == nil {
		if err := s.while(ctx, w.lead); err != nil {
			return err
		}
	}
	return nil
}

// while goes on as long as the gateways make the same of sa-east. Its agents turn to its own edge when it is a region of
// the fleet's, and back when it is none: lead is what their balancer does then.
func (s *show) while(ctx context.Context, lead func(home bool)) error {
	now := cmp.Or(standing(s.now), alone)
	if home := now != alone; home != s.led {
		s.led = home
		lead(home)
		s.load.Leave(saEast)
	}
	before, gap := s.load.Figures(), s.load.Watch()
	for next := now; (next == now || next == "" || len(s.rows) >= maxRows) && ctx.Err() == nil; next = standing(s.now) {
		if err := s.watch(ctx, frame); err != nil {
			return err
		}
	}
	r := s.row(act{name: now}, before, gap)
	s.rows = append(s.rows, r)
	s.sums = append(s.sums, fmt.Sprintf("%s: %d calls, sa-east gave %d answers.", now, r.calls, answersOf(s.told, saEast)-answersOf(before, saEast)))
	return nil
}

// What the gateways may make of sa-east. These are names in the table.
const (
	alone = "three regions"
	there = "sa-east is " // on, draining or off, as is wanted of it
)

// standing is what the founders' gateways make of sa-east; "" while they do not agree.
func standing(v view) string {
	said := ""
	for _, at := range founders() {
		word, r := alone, v.edges[at].sees[saEast]
		switch {
		case r.Name == "":
		case r.Order == nil || r.Order.Refused:
			word = there + "on"
		default:
			word = there + r.Order.State
		}
		if said != "" && said != word {
			return ""
		}
		said = word
	}
	return said
}

// answersOf counts the answers to all agents that a region gave.
func answersOf(f failover.Figures, region string) (n int64) {
	for _, by := range f.Answers {
		n += by[region]
	}
	return n
}

// lead lets sa-east's agents, when they connect next, come to its own edge, or to that of the nearest other region.
func (w *world) lead(home bool) {
	address := ""
	if home {
		address = w.gateways[saEast].Listen()
	}
	w.doors[saEast].move(address)
}

// claim makes a file that only its owner may read. It replaces none, and remove takes it away.
func claim(file string) (remove func(), err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return func() { _ = os.Remove(file) }, f.Close()
}

// invite writes what a shell needs to change the fleet into a file that was claimed.
func (w *world) invite(file string) error {
	text := fmt.Sprintf("export QUORATE_ADMIN_URL=%s\nexport QUORATE_ADMIN_TOKEN=%s\nexport TF_VAR_fourth=%s\n",
		w.gateways[usEast].AdminURL(), w.token, w.links.to(saEast))
	return os.WriteFile(file, []byte(text), 0o600)
}

// invitation says what to do with it.
func (w *world) invitation(file string) string {
	if whole, err := filepath.Abs(file); err == nil {
		file = whole
	}
	var pids []string
	for _, n := range w.pools[saEast].Nodes() {
		pids = append(pids, fmt.Sprint(n.PID()))
	}
	return fmt.Sprintf("sa-east runs beside the fleet: gateway pid %d, nodes pid %s. In another shell, as terraform/examples/three-regions shows:\n"+
		"  . %s\nThis goes on until Ctrl-C, %d minutes at most.", w.gateways[saEast].PID(), strings.Join(pids, " and "), file, int(holdTime.Minutes()))
}
