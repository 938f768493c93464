package demo

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/bench/failover"
)

// quiet is the longest time without a line when the output is not a terminal.
const quiet = 2 * time.Second

// screen draws the progress: a block drawn again and again on a terminal, lines elsewhere. Writes
// that fail are ignored: a closed pipe must not end the demo before its verdict.
type screen struct {
	out      io.Writer
	terminal bool
	width    int
	drawn    int // lines of the block on the terminal
	gaps     int // faults whose gap was printed
	printed  time.Duration
}

// say prints a line that stays.
func (s *screen) say(format string, args ...any) {
	s.drawn = 0
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}

// show draws one snapshot.
func (s *screen) show(n failover.Snapshot) {
	if s.terminal {
		s.redraw(block(n))
		return
	}
	if n.Gaps == s.gaps && n.Elapsed-s.printed < quiet {
		return
	}
	if n.Gaps > s.gaps {
		_, _ = fmt.Fprintf(s.out, "%6.1fs  %s: next answers for all agents within %s\n", n.Elapsed.Seconds(), n.Event, round(n.LastGap))
	}
	_, _ = fmt.Fprintf(s.out, "%6.1fs  %s\n", n.Elapsed.Seconds(), summary(n))
	s.gaps, s.printed = n.Gaps, n.Elapsed
}

// redraw replaces the block drawn before.
func (s *screen) redraw(lines []string) {
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.drawn)
	}
	for _, l := range lines {
		b.WriteString("\x1b[2K" + clip(l, s.width) + "\n")
	}
	s.drawn = len(lines)
	_, _ = io.WriteString(s.out, b.String())
}

// clip keeps a line from wrapping, which would break the count of lines to go back.
func clip(line string, width int) string {
	if width <= 0 {
		width = 100
	}
	if r := []rune(line); len(r) >= width {
		return string(r[:width-1])
	}
	return line
}

func block(n failover.Snapshot) []string {
	lines := []string{
		"",
		fmt.Sprintf("%s   %.0f calls/s", clock(n.Elapsed), n.CallsPerSecond),
		"  " + summary(n),
		fmt.Sprintf("  kills %d, longest gap %s, subscription updates %d", n.Faults, round(n.LongestGap), n.Updates),
	}
	for _, node := range n.Nodes {
		lines = append(lines, fmt.Sprintf("  node %s %-7s %s", node.ID, "("+node.Era+")", strings.Repeat("■", int(min(node.InFlight, 40)))))
	}
	return append(lines, "  last: "+n.Event, "  Ctrl-C ends the demo")
}

func summary(n failover.Snapshot) string {
	return fmt.Sprintf("calls %d, failed %d, outcome unknown %d of %d once calls, retried %d, sessions migrated %d, lost %d",
		n.Calls, n.Lost, n.Unknown, n.Once, n.Counters.Retried, n.Counters.Migrated, n.SessionsLost)
}

// table prints the end of a demo.
func (s *screen) table(r failover.Result) {
	var updates int64
	for _, sub := range r.Subscriptions {
		updates += sub.Updates
	}
	s.say("")
	s.say("%10s %8s %9s %18s %13s", "calls", "failed", "retried", "migrated sessions", "longest gap")
	s.say("%10d %8d %9d %18d %13s", r.Calls, r.Lost, r.Counters.Retried, r.Counters.Migrated, round(r.Gap(1)))
	s.say("")
	s.say("%d kills, %d of them on a node with a call in flight; %d subscription updates arrived.", r.Faults, r.Busy, updates)
	s.say("%d of %d calls must not happen twice: %d were cut and answered \"outcome unknown\" (%d had been executed), %d ran twice.",
		r.Once, r.Calls, r.Unknown, r.UnknownExecuted, r.Duplicate)
	s.say("A gap is the time from a kill to the answer of the last agent's first safe call sent after it.")
}

func round(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}
