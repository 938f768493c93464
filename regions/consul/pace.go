package consul

import "time"

const (
	// minGap is the least time between two questions: at most ten a second, however fast the server answers.
	minGap = 100 * time.Millisecond
	// maxIdleGap bounds the gap towards a server that does not block and has no news.
	maxIdleGap = 5 * time.Second
	// maxWorkGap bounds the gap that the work of taking in an answer asks for.
	maxWorkGap = 500 * time.Millisecond
	// rest is how many times the work of one answer is left free before the next.
	rest = 2
	// jitter is how much longer than asked a wait may be drawn, as a share, so that gateways spread out.
	jitter = 0.5
)

// pace says when the next question is due. It is pure; the zero value is a source that begins.
type pace struct {
	failures int // in a row
	idle     int // answers in a row without news that came before the wait was over
}

// news is the wait after an answer with news that took work to take in. A service of 10,000 whose checks flap all the
// time costs about a third of one processor so, and its news wait for less than a second.
func (p pace) news(work time.Duration) (time.Duration, pace) {
	return max(minGap, min(rest*work, maxWorkGap)), pace{}
}

// silent is the wait after an answer without news: least after one that blocked, doubling for a server that does not.
func (p pace) silent(blocked bool) (time.Duration, pace) {
	if blocked {
		return minGap, pace{}
	}
	return doubled(minGap, p.idle, maxIdleGap), pace{idle: p.idle + 1}
}

// failed is the wait after a question without an answer, from least to most.
func (p pace) failed(least, most time.Duration) (time.Duration, pace) {
	return doubled(least, p.failures, most), pace{failures: p.failures + 1}
}

func doubled(d time.Duration, times int, most time.Duration) time.Duration {
	for ; times > 0 && d < most; times-- {
		d *= 2
	}
	return min(d, most)
}

// jittered makes d longer by up to jitter; random is uniform in [0,1).
func jittered(d time.Duration, random float64) time.Duration {
	return time.Duration(float64(d) * (1 + jitter*random))
}
