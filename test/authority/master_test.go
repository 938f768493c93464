package authority_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// masterIs is the section split_brain under which one voter's acknowledgement is needed.
func masterIs(name string) string {
	return fmt.Sprintf("split_brain: {strategy: configured_master, master: %s}\n", name)
}

// TestMasterMoves gives the part of the master from one gateway to another while agents write: files change, members are
// started again one at a time, and one of them, at one of the steps, stands still for 2 s. Then whoever has lost the
// part is stopped, and writes go on; whoever has it is stopped, and nobody writes.
func TestMasterMoves(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	f, a, b, w := three(t, masterIs("gw-1"))
	l := f.begin(2, 1, a, b)
	owner, other := a, b
	const rounds = 2
	for range rounds {
		owner, other = other, owner
		f.split = masterIs(owner.name)
		order := []*member{a, b, w}
		rnd.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		lags, step := rnd.IntN(len(order)), rnd.IntN(len(order))
		for i, m := range order {
			if i == step && lags != i {
				order[lags].signal(syscall.SIGSTOP)
			}
			m.kill()
			f.start(m)
			if i == step && lags != i {
				f.pass(2 * time.Second)
				order[lags].signal(syscall.SIGCONT)
			}
			f.await(healed, m.name+" is ready", func() bool { return m.status("/readyz") == 200 })
		}
		f.await(healed, "the rule names "+owner.name, func() bool {
			r := other.cluster().Rule
			return r.Words == owner.name && !r.Changing
		})
		f.writable(a, b)
		t.Logf("%s is the master; %s stood still when %s was started", owner.name, order[lags].name, order[step].name)
	}

	// P: as long as a gate stays open on acknowledgements of before.
	promise := time.Duration(owner.cluster().Rule.PromiseMS) * time.Millisecond
	const frozen = 4 * time.Second
	without := f.while(other, frozen)
	if n := len(f.by(owner, without, without+frozen)); n == 0 {
		t.Error("who lost the part is stopped, and the master writes nothing")
	}
	f.writable(a, b)
	stopped := f.while(owner, frozen)
	if n := len(f.by(other, stopped+promise+500*time.Millisecond, stopped+frozen)); n != 0 {
		t.Errorf("%d effects without the master, %s after its promise began", n, promise)
	}
	control := len(f.by(other, stopped-time.Second, stopped))
	if control == 0 {
		t.Error("control: there were no effects before the master was stopped")
	}
	f.writable(a, b)
	l.end()
	j := f.hold(l.writes)
	good, refused, failed := count(l.writes)
	t.Logf("N=%d moves, %d writes (%d done, %d refused, %d cut while their gateway was started), %d effects", rounds, len(l.writes), good, refused, failed, j.effects)
}

// while stops a member for a time and returns when it was stopped.
func (f *fleet) while(m *member, d time.Duration) time.Duration {
	stopped := monotonic()
	m.signal(syscall.SIGSTOP)
	f.pass(d)
	m.signal(syscall.SIGCONT)
	return stopped
}
