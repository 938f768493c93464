package authority

import (
	"testing"
	"time"
)

// bug is one that the checker must find, what brings it out (nil, or a change to every plan of the hunt), and the
// first seed from 0 that found it.
type bug struct {
	name  string
	flaws flaws
	focus func(*plan)
	seed  int
}

// crashes has voters with slow disks start again and again, and read the log slowly, under a rule that rests on
// one of them.
func crashes(p *plan) {
	p.strategy, p.restarts, p.slander, p.fsync, p.lag, p.changes = 2, 4, 0.05, 400*time.Millisecond, 1500*time.Millisecond, 0
}

// replays is crashes with quick disks.
func replays(p *plan) {
	crashes(p)
	p.fsync, p.eachView = 10*time.Millisecond, true
}

// shrinks has long promises followed by short ones, and gateways that are behind.
func shrinks(p *plan) {
	p.promise, p.changes, p.lag, p.slander, p.restarts, p.lease = 1200*time.Millisecond, 3, 1500*time.Millisecond, 0, 0, 0
}

// regrets has suspicions raised, cleared and raised again while proposals come late.
func regrets(p *plan) {
	p.slander, p.late, p.changes, p.restarts, p.relay = 0.3, 0.3, 0, 0, 2*time.Second
}

// hurries has everything follow at once, on clocks that are almost a margin apart, with long promises.
func hurries(p *plan) {
	p.drift, p.tick, p.slander, p.lag, p.changes = 0.024, 20*time.Millisecond, 0.01, 0, 0
	p.promise, p.lease, p.to, p.end = 3*time.Second, 0, 8*time.Second, 9*time.Second
}

// wipes has voters lose their stores under a rule that rests on one of them.
func wipes(p *plan) {
	p.strategy, p.wipe, p.lag, p.slander, p.changes, p.restarts, p.stops = 2, 4, 2*time.Second, 0.03, 0, 0, 0
}

func bugs() []bug {
	return []bug{
		{"confirms while its ack promises", flaws{noPromise: true}, nil, 5},
		{"confirms right after a start", flaws{noBootWait: true}, replays, 22},
		{"no fsync", flaws{noFsync: true, earlyConfirm: true}, crashes, 270},
		{"confirms before the fsync", flaws{earlyConfirm: true}, crashes, 1450},
		{"an empty store votes", flaws{emptyVotes: true}, wipes, 1466},
		{"a replay un-refuses", flaws{unrefuse: true}, replays, 118},
		{"a promise that shrinks", flaws{shrinking: true}, shrinks, 150},
		{"no margin", flaws{noMargin: true}, hurries, 32},
		{"a gate that was suspended and does not notice", flaws{noJump: true}, func(p *plan) { p.suspends = 4 }, 10},
		{"acks counted from their receipt", flaws{fromReceipt: true}, nil, 159},
		{"acks without the rule's version", flaws{untagged: true}, nil, 162},
		{"no joint rule", flaws{noJoint: true}, nil, 15},
		{"a fence judged by the new rule alone", flaws{newAlone: true}, func(p *plan) { p.changes, p.slander = 3, 0.03 }, 44},
		{"a change finished by the new rule alone", flaws{finishAlone: true}, nil, 104},
		{"a fence that names no suspicion", flaws{nameless: true}, regrets, 63},
		{"a stale confirmation counted after clear and suspect again", flaws{staleConfirm: true}, nil, 7},
		{"clear revives who is fenced", flaws{unfence: true}, nil, 7},
		{"a claim that checks no ballot", flaws{noBallot: true}, nil, 0},
		{"a delayed release claimed after another claim", flaws{lateRelease: true}, nil, 0},
	}
}

// plan is what the seed draws for a bug: fleets of 3 to 5, every strategy, any set of cut links.
func (b bug) plan(seed uint64) plan {
	n := 3 + int(seed)%3
	p := wild(n, int(seed/3)%len(strategyNames), links(n, seed*0x9e3779b97f4a7c15>>20), seed)
	if b.focus != nil {
		b.focus(&p)
	}
	return p
}

func TestPlantedBugsAreFound(t *testing.T) {
	most := amount(t, "QUORATE_AUTHORITY_HUNT", 5000)
	for _, b := range bugs() {
		t.Run(b.name, func(t *testing.T) {
			y, rules := newTally(), newThresholds()
			start := uint64(amount(t, "QUORATE_AUTHORITY_FROM", b.seed))
			for seed := start; seed < start+uint64(most); seed++ {
				f := b.flaws
				bad := hunt(b.plan(seed), &f, rules, y)
				if bad == "" {
					continue
				}
				t.Logf("seed %d, N=%d schedules from seed %d: %s", seed, y.runs, start, bad)
				if bad := hunt(b.plan(seed), &flaws{}, rules, y); bad != "" {
					t.Errorf("seed %d: found without the bug, too: %s", seed, bad)
				}
				return
			}
			t.Fatalf("not found: %s", y)
		})
	}
}
