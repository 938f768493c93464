package peer

import (
	"slices"
	"time"
)

// Link is the link to one remote, or from one gateway.
type Link struct {
	Region, Address string
	Gateway         string // "" until it has said its name, as Region is when the remote has none
	In              bool   // the other side dialed
	Up              bool
	Since           time.Time
	RTT             time.Duration // median of the recent pings
	Loss            float64       // part of the recent pings without a pong in time
	Heard           time.Time     // when the last pong came, or it came up; zero while it is down
	Version         string
	Advertised      string // where it says its listener is reached, HOST:PORT; "" when it does not say
	Error           string // why it is down, or went down last
	// Refused is when it was found last that nobody listens at the address: a kernel answered. Zero unless that is why it
	// is down.
	Refused time.Time
	Foreign bool // it is down because the two are of different clusters, or generations of one
}

// Links returns the links to all remotes, and those that others have dialed, by region and address. Remotes without
// a region that are this gateway itself are left out.
func (p *Peers) Links() []Link {
	p.mu.Lock()
	remotes, inbound := make([]*remote, 0, len(p.remotes)), make([]*session, 0, len(p.inbound))
	for _, r := range p.remotes {
		remotes = append(remotes, r)
	}
	for s := range p.inbound {
		inbound = append(inbound, s)
	}
	p.mu.Unlock()
	var all []Link
	for _, r := range remotes {
		if !r.itself() {
			all = append(all, r.link())
		}
	}
	for _, s := range inbound {
		all = append(all, s.link())
	}
	slices.SortFunc(all, func(a, b Link) int {
		return compare(a.Region, b.Region, a.Address, b.Address)
	})
	return all
}

// seek has the remotes dial at once that lead to a gateway: those that were it when they were up last, and those at the
// address that it says is its own. Those that are up do as soon as they are down. A link that it has dialed came up or
// ended: whether it is there is known sooner than by their turns.
func (p *Peers) seek(gateway, address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.remotes {
		r.mu.Lock()
		if r.last.Gateway == gateway || r.to.Address == address {
			notify(r.again)
		}
		r.mu.Unlock()
	}
}

func compare(pairs ...string) int {
	for i := 0; i+1 < len(pairs); i += 2 {
		switch {
		case pairs[i] < pairs[i+1]:
			return -1
		case pairs[i] > pairs[i+1]:
			return 1
		}
	}
	return 0
}

// link describes a session that is up.
func (s *session) link() Link {
	id := s.trust.identity
	l := Link{Region: id.Region, Gateway: id.Gateway, Since: s.began, Version: printable(s.theirs.Version), Advertised: s.theirs.advertised()}
	if l.In = s.out == nil; l.In {
		l.Address = s.conn.RemoteAddr().String()
	} else {
		l.Address = s.out.to.Address
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.Up, l.RTT, l.Loss = s.err == nil, s.health.rtt(), s.health.loss(s.now())
	if l.Up {
		l.Heard = s.began.Add(s.health.answered)
	}
	return l
}
