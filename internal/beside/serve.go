package beside

import (
	"net"
	"sync"
)

// Serve hands each connection of a listener to serve, in a goroutine of its own, and closes it when serve returns. stop
// closes the listener and waits until that is so of all; at the latest it is called when the test ends.
func Serve(t T, l net.Listener, serve func(net.Conn)) (stop func()) {
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	stop = sync.OnceFunc(func() {
		_ = l.Close()
		work.Wait()
	})
	t.Cleanup(stop)
	return stop
}
