package pool

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
)

// Ports outside the ephemeral range of Linux (32768..60999): while a node is dead, an outgoing
// connection could otherwise be given the node's port and keep it from listening again, or even
// connect to itself.
const (
	firstPort = 20000
	ports     = 12000
)

var errNoPort = errors.New("pool: no free port in 20000..31999")

// Reserve finds a loopback port that nothing listens on and keeps other pools, also of other processes,
// from choosing it until the closer is closed. A name in the abstract socket namespace is the mark: it
// needs no file and goes with its process.
func Reserve() (address string, mark io.Closer, err error) {
	at := rand.IntN(ports)
	for i := range ports {
		port := firstPort + (at+i)%ports
		mark, err := net.Listen("unix", fmt.Sprintf("@quorate-node-%d", port))
		if err != nil {
			continue
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if ln, err := net.Listen("tcp", address); err == nil {
			return address, mark, ln.Close()
		}
		_ = mark.Close()
	}
	return "", nil, errNoPort
}
