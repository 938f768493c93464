package jetstream

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Servers whose connections take as long as others, by asFar, are as far away; what takes as long as tooFar comes last.
const asFar, tooFar = 5 * time.Millisecond, 500 * time.Millisecond

// nearest orders servers by how long a connection takes, and those that are as far away at random, so that gateways spread
// over them. A gateway beside a server saves a way over the distance with each question, and loses its connection when
// its own region is lost, not when another one is.
func (s *Store) nearest(servers []string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), tooFar)
	defer cancel()
	took := make(map[string]time.Duration, len(servers))
	var mu sync.Mutex
	var work sync.WaitGroup
	for _, server := range servers {
		work.Go(func() {
			d := s.distance(ctx, server)
			mu.Lock()
			defer mu.Unlock()
			took[server] = d
		})
	}
	work.Wait()
	sorted := slices.Clone(servers)
	rand.Shuffle(len(sorted), func(i, j int) { sorted[i], sorted[j] = sorted[j], sorted[i] })
	slices.SortStableFunc(sorted, func(a, b string) int { return cmp.Compare(took[a]/asFar, took[b]/asFar) })
	return sorted
}

// distance is how long a connection to a server takes.
func (s *Store) distance(ctx context.Context, server string) time.Duration {
	u, err := url.Parse(server)
	if err != nil {
		return tooFar
	}
	address := net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), usualPorts[u.Scheme]))
	dial := func() (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", address) }
	if s.from != nil {
		dial = func() (net.Conn, error) { return s.from.Dial("tcp", address) }
	}
	began := time.Now()
	c, err := dial()
	if err != nil {
		return tooFar
	}
	_ = c.Close()
	return min(time.Since(began), tooFar)
}

// usualPorts are those of URLs that name none.
var usualPorts = map[string]string{"nats": "4222", "tls": "4222", "ws": "80", "wss": "443"}
