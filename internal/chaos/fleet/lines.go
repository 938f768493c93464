package fleet

import (
	"sync"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/internal/testnet"
)

// lines are what is between the gateways. Faults may meet on one line, so each is counted.
type lines struct {
	fleet *Fleet
	mu    sync.Mutex
	ways  map[[2]string]*way
}

// way is one direction.
type way struct {
	cuts int
	loss []float64
}

func newLines(f *Fleet) *lines {
	l := &lines{fleet: f, ways: map[[2]string]*way{}}
	for _, a := range f.members {
		for _, b := range f.members {
			if a != b {
				l.ways[[2]string{a.Name, b.Name}] = new(way)
				l.set(a, b)
			}
		}
	}
	return l
}

// set gives a way the condition that its faults make.
func (l *lines) set(a, b *Member) {
	w := l.ways[[2]string{a.Name, b.Name}]
	c := testnet.Condition{Cut: w.cuts > 0}
	if a.Region != b.Region {
		c.Delay = l.fleet.cfg.Delay
	}
	passes := 1.0
	for _, p := range w.loss {
		passes *= 1 - p
	}
	c.Loss = 1 - passes
	l.fleet.net.SetWay(a.host, b.host, c)
}

// cut cuts ways; what was open before is noted as down once it is.
func (l *lines) cut(ways [][2]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var down [][2]string
	for _, k := range ways {
		w := l.ways[k]
		w.cuts++
		if w.cuts == 1 {
			l.set(l.fleet.Member(k[0]), l.fleet.Member(k[1]))
			down = append(down, k)
		}
	}
	for _, k := range down {
		l.fleet.note(history.Change{From: k[0], To: k[1], Down: true})
	}
}

// heal takes cuts away; what opens is noted before.
func (l *lines) heal(ways [][2]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range ways {
		if l.ways[k].cuts == 1 {
			l.fleet.note(history.Change{From: k[0], To: k[1]})
		}
	}
	for _, k := range ways {
		w := l.ways[k]
		w.cuts--
		l.set(l.fleet.Member(k[0]), l.fleet.Member(k[1]))
	}
}

// lose makes ways lose a part of what passes; the function ends that.
func (l *lines) lose(ways [][2]string, part float64) (end func()) {
	change := func(f func(*way)) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, k := range ways {
			f(l.ways[k])
			l.set(l.fleet.Member(k[0]), l.fleet.Member(k[1]))
		}
	}
	change(func(w *way) { w.loss = append(w.loss, part) })
	return func() {
		change(func(w *way) {
			for i, p := range w.loss {
				if p == part {
					w.loss = append(w.loss[:i], w.loss[i+1:]...)
					return
				}
			}
		})
	}
}
