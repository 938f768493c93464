package sessions_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/internal/testnet"
)

// tally is what became of changes that were answered, once the gateway that had answered them was killed.
type tally struct {
	sessions, answered, lost int
	worst                    time.Duration // from the answer of the oldest lost one to the kill
}

func (l tally) String() string {
	return fmt.Sprintf("N=%d changes of %d sessions answered, %d lost, the oldest %s before the kill", l.answered, l.sessions, l.lost, l.worst.Round(time.Millisecond))
}

// maxChanges is how many of one session are made at most: each is a subscription of its own.
const maxChanges = 1000

// changing has sessions of a gateway change all the time, pausing in between, until during has returned and the gateway is
// lost: killed, and where hosts are apart with what it has sent and nobody has got yet. Then another one is asked for what
// it has of them. during is told how many changes were answered so far.
func (w *world) changing(owner, other *member, n int, pause time.Duration, during func(answered func() int)) tally {
	w.t.Helper()
	sessions, changes := make([]*raw, n), make([][]time.Duration, n) // by session, when each change was answered
	w.all(n, "opened", func(i int) *answer { sessions[i] = w.raw(owner.url()); return w.insist(sessions[i].begin) })
	w.copied(owner)
	var answered atomic.Int64
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	defer stop()
	killed := make(chan time.Duration, 1)
	go func() {
		during(func() int { return int(answered.Load()) })
		w.wreck(owner, true) // in the midst of changes
		at := monotonic()
		owner.kill()
		stop()
		killed <- at
	}()
	w.eachOf(n, n, func(i int) error {
		for k := 1; k <= maxChanges; {
			a := sessions[i].subscribe(ctx, k)
			switch {
			case a.good():
				changes[i] = append(changes[i], a.at)
				answered.Add(1)
				k++
			case !a.later():
				return a.err
			}
			w.pass(pause)
		}
		return nil
	})
	l := tally{sessions: n}
	at := <-killed
	w.forgetful()
	for i, r := range sessions {
		held := w.patient(r.at(other).settings)
		if !held.good() {
			w.t.Errorf("session %d: %s", i, held)
			continue
		}
		l.answered += len(changes[i])
		for k, when := range changes[i] {
			if !strings.Contains(held.said+",", fmt.Sprintf("%s/%d,", mcpnode.UpdatesURI, k+1)) {
				l.lost++
				l.worst = max(l.worst, at-when)
			}
		}
	}
	return l
}

// forgetful starts all nodes anew. They hold nothing of any session then: what is in place after it is what gateways have
// kept, and not what the node of a session still has.
func (w *world) forgetful() {
	w.t.Helper()
	for _, n := range w.nodes {
		n.process.Kill()
		<-n.process.Done()
		w.startNode(n)
	}
}

// wreck cuts a gateway's host off, if it has one of its own, or gives it back.
func (w *world) wreck(m *member, off bool) {
	if w.net != nil {
		w.net.Isolate(m.at.host, func(c *testnet.Condition) { c.Cut = off })
	}
}

// patient asks as long as an engine takes to mend.
func (w *world) patient(ask func() *answer) *answer {
	for end := monotonic() + healed; ; w.pass(50 * time.Millisecond) {
		if a := ask(); !a.later() || monotonic() > end {
			return a
		}
	}
}

// TestLossIsTheLag kills a gateway whose sessions change all the time: what is lost of changes that were answered is no
// older than the lag that was measured, and in a healthy fleet that is short.
func TestLossIsTheLag(t *testing.T) {
	w := newWorld(t, setup{})
	_, p99 := w.lossIsTheLag(t)
	judge(t, "lag, p99", p99, 500*time.Millisecond)
}

// lossIsTheLag judges the loss by the lag, of which it returns the p99.
func (w *world) lossIsTheLag(t *testing.T) (l tally, p99 time.Duration) {
	t.Helper()
	owner, other := w.members[0], w.members[1]
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	defer stop()
	lags := make(chan []float64, 1)
	l = w.changing(owner, other, 20, 5*time.Millisecond, func(func() int) {
		go func() { lags <- owner.lags(ctx) }()
		w.pass(2 * time.Second)
	})
	stop()
	measured := <-lags
	p99, most := time.Duration(quantile(measured, .99))*time.Millisecond, time.Duration(quantile(measured, 1))*time.Millisecond
	t.Logf("%s; lag: N=%d, p99 %s, worst %s", l, len(measured), p99, most)
	if l.answered < 10*l.sessions || len(measured) < 10 {
		t.Errorf("%d changes and %d measurements are too few", l.answered, len(measured))
	}
	if bound := most + 100*time.Millisecond; l.worst > bound {
		t.Errorf("lost changes of %s before the kill; the lag was never more than %s", l.worst, bound)
	}
	return l, p99
}

// lags measures the lag of a gateway until it is gone or ctx ends, in milliseconds.
func (m *member) lags(ctx context.Context) (all []float64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return all
		case <-tick.C:
		}
		v, ok := m.metric("quorate_session_replication_lag_ms")
		if !ok {
			return all
		}
		all = append(all, v)
	}
}

// TestNothingAnsweredIsLost does the same where changes are answered once they are kept elsewhere: nothing is lost, also
// when the servers of the engine are killed and cut off before or at that moment. Copies that are a long way behind lose
// something, so that a loss would be seen.
func TestNothingAnsweredIsLost(t *testing.T) {
	t.Run("quorum", func(t *testing.T) {
		w := newWorld(t, setup{config: "replication: {strategy: quorum}\n"})
		w.loses(t, w.changing(w.members[0], w.members[1], 20, 5*time.Millisecond, func(func() int) { w.pass(2 * time.Second) }), false)
	})
	t.Run("jetstream", func(t *testing.T) {
		networks(t)
		w := newWorld(t, jetstreamWay(seed(t)).setup)
		for round := range number(t, "ROUNDS", 3) {
			owner, other := w.members[round%3], w.members[(round+1)%3]
			f := []fault{w.killNATS(), w.cutNATS()}[round%2]
			together := round%3 == 2 // with the gateway
			l := w.changing(owner, other, 10, 40*time.Millisecond, func(answered func() int) {
				w.until(answered, 50)
				f.hurt(round)
				if together {
					return
				}
				w.pass(f.lasts)
				if err := f.heal(round); err != nil {
					t.Error(err)
				}
				w.until(answered, answered()+50)
			})
			t.Logf("%s, then %s killed; at once: %t", f.name, owner.name, together)
			w.loses(t, l, false)
			if together {
				if err := f.heal(round); err != nil {
					t.Fatal(err)
				}
			}
			w.wreck(owner, false)
			w.start(owner)
			w.writable(w.members...)
			if err := w.recovered(f.name); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("control: async, copies 80 ms away", func(t *testing.T) {
		networks(t)
		w := newWorld(t, setup{apart: true, far: 80 * time.Millisecond, seed: seed(t)})
		l, _ := w.lossIsTheLag(t)
		w.loses(t, l, true)
	})
}

// until waits, for no longer than an engine may take to mend, until so many changes are answered.
func (w *world) until(answered func() int, n int) {
	for end := monotonic() + healed; answered() < n && monotonic() < end; w.pass(20 * time.Millisecond) {
	}
}

// loses checks whether anything that was answered is lost.
func (w *world) loses(t *testing.T, l tally, want bool) {
	t.Helper()
	t.Log(l)
	if l.answered < 5*l.sessions {
		t.Errorf("%d changes are too few", l.answered)
	}
	if (l.lost > 0) != want {
		t.Errorf("%d changes that were answered are lost, wanted some: %t", l.lost, want)
	}
}
