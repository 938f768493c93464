package consulproc

import (
	"context"
	"fmt"
	"net"
)

// ports are those of one agent, each free for TCP and UDP on loopback when it was chosen.
type ports struct{ http, server, serfLAN, serfWAN int }

// freePorts asks the kernel; somebody else may take one before the agent does, so a start is tried again.
func freePorts() (p ports, err error) {
	var held []interface{ Close() error }
	defer func() {
		for _, h := range held {
			_ = h.Close()
		}
	}()
	for _, into := range []*int{&p.http, &p.server, &p.serfLAN, &p.serfWAN} {
		ln, packets, err := freePort()
		if err != nil {
			return ports{}, fmt.Errorf("consulproc: ports: %w", err)
		}
		held = append(held, ln, packets)
		*into = ln.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}

// freePort holds one port for both protocols, since gossip uses both.
func freePort() (net.Listener, net.PacketConn, error) {
	var last error
	for range 10 {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, nil, err
		}
		packets, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp4", ln.Addr().String())
		if err == nil {
			return ln, packets, nil
		}
		last = err
		ln.Close()
	}
	return nil, nil, last
}
