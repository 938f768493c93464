package demo

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/admin"
)

// made is how the founders' gateways see sa-east: nil for one that does not know it.
func made(orders ...*admin.OrderStatus) view {
	v := view{edges: map[string]edge{}}
	for i, at := range founders() {
		e := edge{sees: map[string]admin.Region{at: {Name: at, State: "on"}}}
		if orders[i] != nil {
			e.sees[saEast] = admin.Region{Name: saEast, State: "on", Order: orders[i]}
		}
		v.edges[at] = e
	}
	return v
}

func TestStanding(t *testing.T) {
	on, draining, refused := &admin.OrderStatus{State: "on"}, &admin.OrderStatus{State: "draining"}, &admin.OrderStatus{State: "off", Refused: true}
	for want, v := range map[string]view{
		alone:                 made(nil, nil, nil),
		"sa-east is on":       made(on, refused, on),
		"sa-east is draining": made(draining, draining, draining),
		"":                    made(on, draining, draining),
	} {
		if got := standing(v); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := standing(made(on, nil, on)); got != "" {
		t.Errorf("%q while one does not know it", got)
	}
}

// acted is a stage on which somebody else adds sa-east and drains it, look by look.
type acted struct {
	scene
	looks []view
	end   func() // what happens when all is seen
}

func (a *acted) look(context.Context, map[string]edge) map[string]edge {
	v := a.looks[0]
	if len(a.looks) > 1 {
		a.looks = a.looks[1:]
	} else {
		a.end()
	}
	return v.edges
}

func TestHoldHasARowForEachWhile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	on, draining := &admin.OrderStatus{State: "on"}, &admin.OrderStatus{State: "draining"}
	st := &acted{scene: scene{over: make(chan struct{})}, end: cancel, looks: []view{
		made(nil, nil, nil), made(nil, nil, nil), made(on, nil, nil), made(on, on, on), made(draining, on, on), made(draining, draining, draining), made(nil, nil, nil), made(nil, nil, nil),
	}}
	s, out := stageShow(t, &st.scene)
	s.stage = st
	var led []bool
	s.look(ctx)
	for ctx.Err() == nil {
		if err := s.while(ctx, func(home bool) { led = append(led, home) }); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, r := range s.rows {
		names = append(names, r.name)
	}
	if got := strings.Join(names, ", "); got != "three regions, sa-east is on, sa-east is draining, three regions" {
		t.Errorf("rows %s", got)
	}
	if len(led) != 2 || !led[0] || led[1] {
		t.Errorf("sa-east's agents are led home %v", led)
	}
	if len(s.sums) != len(s.rows) || !strings.Contains(s.sums[1], "sa-east is on: ") {
		t.Errorf("said %q", s.sums)
	}
	if !strings.Contains(out.String(), "us-east knows sa-east\n") || !strings.Contains(out.String(), "us-east knows sa-east no more") {
		t.Errorf("output:\n%s", out)
	}
}

// The table of a hold has an end; the last row goes on.
func TestHoldIsBounded(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*frame)
	defer cancel()
	st := &acted{scene: scene{over: make(chan struct{})}, end: func() {}, looks: []view{
		made(nil, nil, nil), made(&admin.OrderStatus{State: "on"}, &admin.OrderStatus{State: "on"}, &admin.OrderStatus{State: "on"}), made(nil, nil, nil),
	}}
	s, _ := stageShow(t, &st.scene)
	s.stage, s.rows = st, make([]row, maxRows)
	if err := s.while(ctx, func(bool) {}); err != nil || len(s.rows) != maxRows+1 || ctx.Err() == nil {
		t.Errorf("%v, %d rows, and the hold goes on: %v", err, len(s.rows), ctx.Err() == nil)
	}
}

// What a shell reads holds a token, and replaces nobody's file.
func TestClaim(t *testing.T) {
	file := filepath.Join(t.TempDir(), "fleet.env")
	remove, err := claim(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := claim(file); err == nil {
		t.Error("a file was replaced")
	}
	remove()
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}
