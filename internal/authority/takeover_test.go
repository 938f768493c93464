package authority

import (
	"testing"
	"time"
)

// TestTakeover measures, in virtual time, from cutting one gateway off until what it owned is claimed by another:
// suspicion, promise, fence and claim, and an election where the lost one led. RELIABILITY's target is 1.2 s in a
// region, for rules that a majority satisfies.
func TestTakeover(t *testing.T) {
	const cut = 2 * time.Second
	rules := newThresholds()
	var worst, sum time.Duration
	runs := 0
	for _, strategy := range []int{0, 3} {
		for seed := range uint64(50) {
			p := calm(3, strategy, links(3, split(3, 1<<(seed%3))), seed)
			p.suspect, p.silence, p.tick, p.from, p.to = true, 450*time.Millisecond, 20*time.Millisecond, cut, time.Minute
			p.delay = time.Millisecond
			w := newWorld(p, &flaws{}, rules)
			w.run(cut)
			lost := w.nodes[seed%3].gate.Life()
			for w.truth.Owner(recordOf(lost), lost).Ballot == 0 && w.now < cut+5*time.Second {
				w.run(w.now + time.Millisecond)
			}
			took := w.now - cut
			worst, sum, runs = max(worst, took), sum+took, runs+1
			if w.found != "" || took > 1200*time.Millisecond {
				t.Errorf("%s, seed %d: claimed after %s %s", strategyNames[strategy], seed, took, w.found)
			}
		}
	}
	t.Logf("N=%d, P=600ms, suspected after 450ms: claimed after %s on average, %s at worst", runs, (sum / time.Duration(runs)).Round(time.Millisecond), worst)
}
