package demo

import (
	"errors"
	"time"

	"github.com/quorate/quorate/internal/delay"
)

// link is the way between two regions: one proxy for each side's connections to the other.
type link struct {
	distance
	ways [2]*delay.Proxy // in front of b's gateway for a, in front of a's for b
}

type links []link

// wobble is how much longer than its delay something may take, one way.
const wobble = 2 * time.Millisecond

// newLinks lays a link for each distance between two of the peers, whose addresses are given. close ends it, also after
// an error.
func newLinks(peers map[string]string, seed uint64) (links, error) {
	var all links
	for i, d := range distances() {
		if peers[d.a] == "" || peers[d.b] == "" {
			continue
		}
		all = append(all, link{distance: d})
		for way, to := range []string{d.b, d.a} {
			p, err := delay.Start(delay.Config{Target: peers[to], Delay: d.rtt / 2, Jitter: wobble, Seed: seed + uint64(2*i+way)})
			if err != nil {
				return all, err
			}
			all[len(all)-1].ways[way] = p
		}
	}
	return all, nil
}

// from returns the links of a region, each with the other end and the address that leads there.
func (ls links) from(region string) (out []road) {
	for _, l := range ls {
		switch region {
		case l.a:
			out = append(out, road{l.b, l.ways[0].Address(), l.rtt})
		case l.b:
			out = append(out, road{l.a, l.ways[1].Address(), l.rtt})
		}
	}
	return out
}

// to returns the address that leads to a region, from the first of the others.
func (ls links) to(region string) string {
	for _, l := range ls {
		if l.b == region {
			return l.ways[0].Address()
		}
	}
	return ""
}

// road is a link as one end sees it.
type road struct {
	to, address string
	rtt         time.Duration
}

func (l link) each(do func(*delay.Proxy)) {
	for _, p := range l.ways {
		if p != nil {
			do(p)
		}
	}
}

func (ls links) slow(a, b string, rtt time.Duration) {
	for _, l := range ls {
		if l.a == a && l.b == b || l.a == b && l.b == a {
			l.each(func(p *delay.Proxy) { p.Set(rtt / 2) })
		}
	}
}

// home sets every round trip back.
func (ls links) home() {
	for _, l := range ls {
		l.each(func(p *delay.Proxy) { p.Set(l.rtt / 2) })
	}
}

func (ls links) cut(region string) { ls.of(region, (*delay.Proxy).Cut) }

func (ls links) heal(region string) error {
	var failed error
	ls.of(region, func(p *delay.Proxy) { failed = errors.Join(failed, p.Heal()) })
	return failed
}

func (ls links) of(region string, do func(*delay.Proxy)) {
	for _, l := range ls {
		if l.a == region || l.b == region {
			l.each(do)
		}
	}
}

func (ls links) close() {
	for _, l := range ls {
		l.each((*delay.Proxy).Close)
	}
}
