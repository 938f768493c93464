package demo

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// The longest times without a line when the output is not a terminal: a hold's is read by whoever changes the fleet.
const (
	quiet     = 5 * time.Second
	quietHold = time.Second
)

// screen draws the progress: a block drawn again and again on a terminal, lines elsewhere. Writes
// that fail are ignored: a closed pipe must not end the demo before its verdict.
type screen struct {
	out      io.Writer
	terminal bool
	width    int
	quiet    time.Duration // the longest without a line when it is no terminal; default quiet
	drawn    int           // lines of the block on the terminal

	heading string
	says    string
	lacks   []string
	events  []string // the last ones
	known   view     // whose changes were told
	printed time.Duration
}

// maxEvents is how many events a terminal shows.
const maxEvents = 6

// say prints a line that stays.
func (s *screen) say(format string, args ...any) {
	s.drawn = 0
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}

// act begins an act.
func (s *screen) act(i, of int, a act) {
	s.heading, s.says, s.lacks = fmt.Sprintf("%d of %d: %s", i, of, a.name), a.says, nil
	if !s.terminal {
		s.say("")
		s.say("%s – %s", s.heading, a.says)
	}
}

// event tells of something that happened.
func (s *screen) event(at time.Duration, what string) {
	line := fmt.Sprintf("%6.1fs  %s", at.Seconds(), what)
	if !s.terminal {
		s.say("%s", line)
		return
	}
	s.events = append(s.events, line)
	s.events = s.events[max(0, len(s.events)-maxEvents):]
}

// waiting sets what has still to be seen.
func (s *screen) waiting(lacks []string) { s.lacks = lacks }

// show tells what changed since the last view, and draws or, now and then, sums up.
func (s *screen) show(v view) {
	for _, what := range changes(s.known, v) {
		s.event(v.elapsed, what)
	}
	s.known = v
	if s.terminal {
		s.redraw(s.block(v))
		return
	}
	if v.elapsed-s.printed >= cmp.Or(s.quiet, quiet) {
		s.printed = v.elapsed
		s.say("%6.1fs  %s; %s", v.elapsed.Seconds(), summary(v), traffic(v))
	}
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

// block is always as high: the lines that go back are counted.
func (s *screen) block(v view) []string {
	lines := []string{"", fmt.Sprintf("%s  %s", clock(v.elapsed), s.heading), "       " + s.says, ""}
	for _, region := range v.regions() {
		lines = append(lines, edgeLines(region, v)...)
	}
	lines = append(lines, "", "  "+summary(v), "  waiting to see: "+cmp.Or(strings.Join(s.lacks, "; "), "–"), "")
	for i := range maxEvents {
		line := ""
		if i < len(s.events) {
			line = s.events[i]
		}
		lines = append(lines, line)
	}
	return append(lines, "  Ctrl-C ends the demo")
}

// edgeLines show one region: itself, who answers its agents, and what it sees of the others.
func edgeLines(region string, v view) []string {
	e := v.edges[region]
	own := e.sees[region]
	return []string{
		fmt.Sprintf("  %-9s %-10s %d/%d nodes   gate %-6s   %s", region, cmp.Or(own.State, "?"), e.healthy, e.nodes, cmp.Or(e.gate, "?"), bars(v.rates[region])),
		fmt.Sprintf("  %9s sees %s", "", others(region, e)),
	}
}

func others(region string, e edge) string {
	var out []string
	for _, other := range places() {
		o := e.sees[other]
		if other == region || other == saEast && o.Name == "" {
			continue
		}
		out = append(out, fmt.Sprintf("%-8s %-10s %3.0f ms %-6s", other, cmp.Or(o.State, "?"), o.RTTMS, cmp.Or(o.Class, "?")))
	}
	return strings.TrimRight(strings.Join(out, " · "), " ")
}

// perBar is how many answers per second one mark stands for.
const perBar = 5

// bars shows answers per second by the region that gave them, the most first.
func bars(rates map[string]float64) string {
	names := make([]string, 0, len(rates))
	for region, n := range rates {
		if n >= 0.5 {
			names = append(names, region)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(rates[b], rates[a]), cmp.Compare(a, b)) })
	for i, region := range names {
		names[i] = fmt.Sprintf("%s %.0f/s %s", region, rates[region], strings.Repeat("■", min(int(rates[region]/perBar)+1, 20)))
	}
	return cmp.Or(strings.Join(names, "  "), "no answers")
}

func summary(v view) string {
	f := v.figures
	refused := int64(0)
	for _, w := range f.Writes {
		refused += w.Refused
	}
	added := ""
	if _, ok := v.edges[saEast]; ok {
		added = fmt.Sprintf(", sa-east answered %d", answersOf(f, saEast))
	}
	return fmt.Sprintf("calls %d, safe ones failed %d, writes refused %d, outcome unknown %d of %d once calls, sessions lost %d, updates %d%s",
		f.Calls, f.SafeLost, refused, f.Unknown, f.Once, f.SessionsLost, f.Updates, added)
}

// traffic says who answers whom, on one line.
func traffic(v view) string {
	var out []string
	for _, region := range v.regions() {
		var by []string
		for _, other := range places() {
			if n := v.rates[region][other]; n >= 0.5 {
				by = append(by, fmt.Sprintf("%s %.0f/s", other, n))
			}
		}
		out = append(out, region+" ← "+cmp.Or(strings.Join(by, " + "), "nobody"))
	}
	return strings.Join(out, ", ")
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}
