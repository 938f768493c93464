package natsproc

import (
	"fmt"
	"math/rand/v2"
	"net"

	"github.com/quorate/quorate/internal/child"
)

// Loopback returns places for n servers on this machine. Each has a loopback address of its own, from which no connection
// goes out, so that nothing takes its ports while it is dead.
func Loopback(g *child.Group, n int) (all []Place, err error) {
	for range 100 {
		net24 := fmt.Sprintf("127.%d.%d", 16+rand.IntN(200), rand.IntN(256))
		l, err := net.Listen("tcp", net24+".1:4222")
		if err != nil {
			continue // somebody else's
		}
		for i := range n {
			host := fmt.Sprintf("%s.%d", net24, i+1)
			all = append(all, Place{
				Name: fmt.Sprintf("nats-%d", i+1), Client: host + ":4222", Cluster: host + ":6222", Monitoring: host + ":8222",
				Region: fmt.Sprintf("region-%d", i+1), Group: g,
			})
		}
		return all, l.Close()
	}
	return nil, fmt.Errorf("natsproc: no loopback network is free")
}
