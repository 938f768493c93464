package control

import (
	"context"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

// distances are the last measured ones. One that a busy moment has made long counts for nothing: voters wait the largest
// promise they ever stored, so that a promise that grew by mistake would delay every fence for good.
type distances struct {
	last [measured]time.Duration
	n    int // how many there were
}

// measured is how many distances are looked at, one for each interval.
const measured = 25

func (d *distances) add(far time.Duration) {
	d.last[d.n%measured] = far
	d.n++
}

// median returns the one in the middle; false until there are enough.
func (d *distances) median() (time.Duration, bool) {
	if d.n < measured {
		return 0, false
	}
	all := d.last
	slices.Sort(all[:])
	return all[measured/2], true
}

// promise is P for the measured distance. It grows when it must, and shrinks when it is far too long: a change is one of the
// rule, and what was measured at the start and later differ by a little.
func (n *Node) promise(now, far time.Duration) time.Duration {
	want := authority.DefaultPromise(n.cfg.Interval, max(far, n.cfg.Distance))
	want = want.Round(10 * time.Millisecond)
	if want > now*21/20 || want < now/2 {
		return min(want*5/4, authority.MostPromise)
	}
	return now
}

// implied is the distance that a promise was made for, at most: the log knows what this process has not measured yet.
// One that is no longer than the shortest there is, and its reserve, says nothing.
func (n *Node) implied(promise time.Duration) time.Duration {
	if promise <= authority.DefaultPromise(0, 0)*5/4 {
		return 0
	}
	return max(0, promise/5-n.cfg.Interval)
}

// reach is how far the farthest voter is expected to be, by what is configured, what the log or the disk say, and what
// links have measured so far.
func (n *Node) reach() time.Duration {
	r := n.fsm.read().view.Ruling
	far := max(n.cfg.Distance, n.implied(max(r.Now.Promise, n.store.promises.Promise)))
	if n.cfg.Links == nil {
		return far
	}
	for _, l := range n.cfg.Links.Links() {
		votes := slices.ContainsFunc(r.Now.Voters, func(m authority.Member) bool { return m.Name == l.Gateway })
		if l.Up && (votes || slices.Contains(n.cfg.Expect, l.Gateway)) {
			far = max(far, l.RTT)
		}
	}
	return far
}

// measure takes in how far the voters are now, and fits Raft's timeouts to it. A follower's count: it calls elections.
func (n *Node) measure(ctx context.Context, far *distances) {
	if n.cfg.Alone {
		return
	}
	var promise time.Duration
	if n.driver.do(ctx, func(d *driver) { far.add(d.far()); promise = d.view.Ruling.Now.Promise }) != nil {
		return
	}
	if m, ok := far.median(); ok {
		n.retime(max(m, n.implied(promise)))
	}
}

// retime fits Raft's timeouts to a distance. Small changes are not worth one.
func (n *Node) retime(distance time.Duration) {
	n.mu.Lock()
	r, tenure := n.raft, n.tenure
	n.mu.Unlock()
	if r == nil || n.hasty.Load() {
		return
	}
	c := r.ReloadableConfig()
	want := timeouts(distance, tenure)
	if want <= c.ElectionTimeout*5/4 && want >= c.ElectionTimeout*4/5 {
		return
	}
	c.HeartbeatTimeout, c.ElectionTimeout = want, want
	if err := r.ReloadConfig(c); err != nil {
		n.log.Warn("raft keeps its timeouts", "cause", err.Error())
		return
	}
	n.log.Info("raft's timeouts follow the measured distance", "election", want.String(), "distance", distance.String())
	if want < election(distance) {
		n.log.Warn("the voters are farther away than when this gateway was started: start it again when that is convenient", "distance", distance.String())
	}
}

// timeouts is the election timeout for a distance, within what a leader's tenure bears. Less is not valid. With more, a
// leader's heartbeats, which are a fifth of it apart and take a round trip, would come too late for its tenure.
func timeouts(distance, tenure time.Duration) time.Duration {
	return min(max(election(distance), tenure), 3*tenure)
}
