package demo

import (
	"time"

	"github.com/quorate/quorate/internal/bench/failover"
)

// pace keeps the counts of the last moments, from which the rates are made.
type pace struct{ marks []mark }

type mark struct {
	at      time.Duration
	figures failover.Figures
}

// paceOver is the time that a rate is an average over.
const paceOver = time.Second

// since adds the counts of now, and returns those that what is new is counted from.
func (p *pace) since(at time.Duration, f failover.Figures) mark {
	p.marks = append(p.marks, mark{at, f})
	for len(p.marks) > 2 && at-p.marks[1].at >= paceOver {
		p.marks = p.marks[1:]
	}
	return p.marks[0]
}

// rates returns the answers per second from one mark to the next.
func rates(first, last mark) map[string]map[string]float64 {
	took := (last.at - first.at).Seconds()
	out := make(map[string]map[string]float64, len(last.figures.Answers))
	for site, by := range last.figures.Answers {
		out[site] = make(map[string]float64, len(by))
		for region, n := range by {
			if n -= first.figures.Answers[site][region]; took > 0 && n > 0 {
				out[site][region] = float64(n) / took
			}
		}
	}
	return out
}

// writes returns what became of each region's writes between two counts.
func writes(before, after failover.Figures) map[string]failover.Writes {
	out := make(map[string]failover.Writes, len(after.Writes))
	for site, n := range after.Writes {
		was := before.Writes[site]
		out[site] = failover.Writes{Done: n.Done - was.Done, Refused: n.Refused - was.Refused}
	}
	return out
}
