package control_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/strategies"
)

// observer looks at all gateways again and again, for what must never be seen.
type observer struct {
	t       *testing.T
	members []*member
	looks   atomic.Uint64
}

// look reads which lives have ended anywhere, and then who holds an open gate: an ended life must not.
func (o *observer) look(ctx context.Context) {
	ended := map[authority.Life]string{}
	for _, m := range o.members {
		for l := range m.node.Gone() {
			ended[l] = m.name
		}
	}
	for _, m := range o.members {
		life, open, err := m.node.Holds(ctx)
		if by := ended[life]; err == nil && open && by != "" {
			o.t.Errorf("%s holds an open gate, and has ended by what %s has applied", life, by)
		}
	}
	o.looks.Add(1)
}

func (o *observer) run(ctx context.Context) {
	for ctx.Err() == nil {
		o.look(ctx)
	}
}

// Under random partitions a gate closes within its promise on every side but one, no life that has ended holds one, and
// what was acknowledged is there in the end, once.
func TestPartitions(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	names := []string{"a", "b", "c"}
	f := newFleet(t, names...)
	o := &observer{t: t}
	for _, name := range names {
		o.members = append(o.members, f.start(name, strategies.Voter))
	}
	f.formed(o.members...)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var work sync.WaitGroup
	work.Go(func() { o.run(ctx) })
	var sure, unsure atomic.Uint64
	for _, m := range o.members {
		work.Go(func() { m.addUntil(ctx, &sure, &unsure) })
	}
	for began := time.Now(); time.Since(began) < partitioned(); {
		sides := f.randomPartition(random, names)
		wait(ctx, o.members[0].node.Ruling().Now.Promise+200*time.Millisecond)
		o.oneSide(sides)
		wait(ctx, time.Duration(random.IntN(1500))*time.Millisecond)
		f.partition()
		wait(ctx, time.Duration(random.IntN(3000))*time.Millisecond)
	}
	f.partition()
	f.formed(o.members...)
	stop()
	work.Wait()
	o.members[0].add(t, 0)
	within(t, 10*time.Second, "all have the same", func() bool {
		v := o.members[0].log.value()
		return o.members[1].log.value() == v && o.members[2].log.value() == v
	})
	if got := o.members[0].log.value(); got < sure.Load() || got > sure.Load()+unsure.Load() {
		t.Errorf("%d applied, %d acknowledged, %d unknown", got, sure.Load(), unsure.Load())
	}
	t.Logf("%d looks, %d acknowledged, %d unknown", o.looks.Load(), sure.Load(), unsure.Load())
}

// partitioned is how long the cuts go on.
func partitioned() time.Duration {
	if testing.Short() {
		return 5 * time.Second
	}
	return 15 * time.Second
}

// randomPartition cuts one off, or everybody from everybody.
func (f *fleet) randomPartition(random *rand.Rand, names []string) [][]string {
	i := random.IntN(len(names) + 1)
	if i == len(names) {
		sides := [][]string{{names[0]}, {names[1]}, {names[2]}}
		f.partition(sides...)
		return sides
	}
	sides := [][]string{{names[i]}, slices.Delete(slices.Clone(names), i, i+1)}
	f.partition(sides...)
	return sides
}

// oneSide checks that the gates that are open are on one side.
func (o *observer) oneSide(sides [][]string) {
	var open []string
	for _, side := range sides {
		for _, m := range o.members {
			if slices.Contains(side, m.name) && m.node.Allow() && (len(side) < 2) {
				open = append(open, m.name)
			}
		}
	}
	if len(open) > 0 {
		o.t.Errorf("%v write, of %v", open, sides)
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// addUntil adds one again and again, and counts what came of it.
func (m *member) addUntil(ctx context.Context, sure, unsure *atomic.Uint64) {
	one := binary.BigEndian.AppendUint64(nil, 1)
	for ctx.Err() == nil {
		if !m.node.Allow() {
			wait(ctx, 10*time.Millisecond)
			continue
		}
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		if _, _, err := m.node.Propose(try, "counter", one); err != nil {
			unsure.Add(1)
		} else {
			sure.Add(1)
		}
		cancel()
		wait(ctx, 5*time.Millisecond)
	}
}
