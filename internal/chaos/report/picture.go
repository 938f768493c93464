package report

import (
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/strategies"
)

// Measures of the picture, in pixels.
const (
	left   = 90
	width  = 1100
	top    = 68
	row    = 46
	gateY  = 8 // of a gateway's bars within its row
	barTop = 14
)

// Colours: gates and effects are judged by eye against the shaded faults.
const (
	openColour    = "#2f9e44"
	closedColour  = "#ced4da"
	effectColour  = "#1c5dbf"
	refusedColour = "#e8590c"
	wrongColour   = "#c2255c"
	faultColour   = "#fff3bf"
	downColour    = "#343a40"
)

// picture is one drawing under way.
type picture struct {
	strings.Builder
	h     *history.History
	scale float64 // pixels a second
}

// Picture is an SVG: a row for each gateway with its gate (as it says itself), the effects that came through it and
// the writes that it refused, against the times of the faults and of violations.
func Picture(h *history.History, v history.Verdict) string {
	end := max(h.End, time.Second)
	p := &picture{h: h, scale: float64(width) / end.Seconds()}
	rows := 0
	for _, g := range h.Gateways {
		if g.Role != strategies.Witness {
			rows++
		}
	}
	height := top + rows*row + 60
	fmt.Fprintf(p, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", left+width+20, height)
	fmt.Fprintf(p, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	p.text(8, 16, strings.SplitN(h.Title, "\n", 2)[0])
	p.faults(top + rows*row)
	i := 0
	for _, g := range h.Gateways {
		if g.Role != strategies.Witness {
			p.gateway(g.Name, top+i*row)
			i++
		}
	}
	p.violations(v, top+rows*row)
	p.axis(end, top+rows*row)
	p.legend(height - 14)
	p.WriteString("</svg>\n")
	return p.String()
}

func (p *picture) x(t history.Time) float64 { return left + p.scale*t.Seconds() }

func (p *picture) rect(from, until history.Time, y, height int, colour, title string) {
	fmt.Fprintf(p, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"><title>%s</title></rect>`+"\n",
		p.x(from), y, max(0.5, p.x(until)-p.x(from)), height, colour, html.EscapeString(title))
}

// veil is a rect through which one sees what is below.
func (p *picture) veil(from, until history.Time, y, height int, colour, title string) {
	p.WriteString(`<g fill-opacity="0.25">`)
	p.rect(from, until, y, height, colour, title)
	p.WriteString("</g>\n")
}

func (p *picture) text(x float64, y int, text string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%d">%s</text>`+"\n", x, y, html.EscapeString(text))
}

// named is how many episodes are named beside their shade; of more, the names would run into each other. Every shade
// tells its name to who points at it.
const named = 12

// faults shades the time of each episode and names it.
func (p *picture) faults(bottom int) {
	for _, e := range p.h.Episodes {
		p.rect(e.Begin, e.Heal, 24, bottom-24, faultColour, e.Name)
	}
	for i, e := range p.h.Episodes {
		if len(p.h.Episodes) <= named {
			p.text(p.x(e.Begin)+2, 34+12*(i%3), e.Name)
		}
	}
}

// gateway draws one row.
func (p *picture) gateway(name string, y int) {
	p.text(8, y+barTop+8, name)
	p.gates(name, y+gateY)
	p.lives(name, y+gateY+11)
	p.ticks(y+gateY+14, effectColour, effects(p.h, name))
	p.ticks(y+gateY+24, refusedColour, refusals(p.h, name))
}

// gates joins samples that say the same to bars.
func (p *picture) gates(name string, y int) {
	var from, last history.Time
	var open, any bool
	flush := func() {
		if any {
			p.rect(from, last, y, 10, map[bool]string{true: openColour, false: closedColour}[open], fmt.Sprintf("%s: open %t", name, open))
		}
	}
	for _, s := range p.h.Samples {
		if s.Gateway != name {
			continue
		}
		if !any || s.Open != open {
			last = s.At
			flush()
			from, open, any = s.At, s.Open, true
		}
		last = s.At
	}
	flush()
}

// lives draws when the process was dead or stopped.
func (p *picture) lives(name string, y int) {
	var down history.Time = -1
	for _, c := range p.h.Changes {
		if c.From != name || c.To != "" {
			continue
		}
		if c.Down {
			down = c.At
		} else if down >= 0 {
			p.rect(down, c.At, y, 3, downColour, name+" does not run")
			down = -1
		}
	}
}

// ticks draws moments, one for each pixel at most.
func (p *picture) ticks(y int, colour string, times []history.Time) {
	seen := map[int]bool{}
	fmt.Fprintf(p, `<path stroke="%s" d="`, colour)
	for _, t := range times {
		if x := int(p.x(t)); !seen[x] {
			seen[x] = true
			fmt.Fprintf(p, "M%d %dv8", x, y)
		}
	}
	p.WriteString(`"/>` + "\n")
}

func effects(h *history.History, gateway string) (times []history.Time) {
	for _, e := range h.Effects {
		if e.Gateway == gateway {
			times = append(times, e.At)
		}
	}
	return times
}

func refusals(h *history.History, gateway string) (times []history.Time) {
	for _, c := range h.Calls {
		if c.Gateway == gateway && c.Kind == history.Write && c.Outcome == history.Refused {
			times = append(times, c.Return)
		}
	}
	return times
}

func (p *picture) violations(v history.Verdict, bottom int) {
	for _, x := range v.Violations {
		p.veil(x.First, x.Last, 20, bottom-20, wrongColour, x.String())
	}
}

func (p *picture) axis(end history.Time, y int) {
	step := time.Second
	for end/step > 20 {
		step *= 5
	}
	for t := history.Time(0); t <= end; t += step {
		p.text(p.x(t), y+14, fmt.Sprintf("%.0f s", t.Seconds()))
		fmt.Fprintf(p, `<path stroke="#adb5bd" d="M%.1f %dv4"/>`+"\n", p.x(t), y)
	}
}

func (p *picture) legend(y int) {
	x := float64(left)
	for _, e := range []struct{ colour, text string }{
		{openColour, "gate open (sampled)"}, {closedColour, "closed"}, {effectColour, "effects"}, {refusedColour, "refused writes"},
		{faultColour, "faults"}, {downColour, "process down"}, {wrongColour, "violation"},
	} {
		fmt.Fprintf(p, `<rect x="%.1f" y="%d" width="10" height="10" fill="%s"/>`+"\n", x, y-9, e.colour)
		p.text(x+14, y, e.text)
		x += 30 + 7*float64(len(e.text))
	}
}
