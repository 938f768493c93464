package fleet

import (
	"fmt"
	"syscall"

	"github.com/quorate/quorate/internal/chaos/history"
)

// hang stops the first nodes of the gateway's own: their connections stay open and nothing answers.
func (m *Member) hang(count int) error {
	if count < 1 || count > len(m.nodes) {
		return fmt.Errorf("%d of %d nodes", count, len(m.nodes))
	}
	return each(m.nodes[:count], func(n *node) error {
		if err := halt(n.process); err != nil {
			return err
		}
		m.fleet.note(history.Change{From: n.name, Down: true, Stop: true})
		return nil
	})
}

// unhang lets all nodes go on.
func (m *Member) unhang() error {
	return each(m.nodes, func(n *node) error {
		m.fleet.note(history.Change{From: n.name, Stop: true})
		return n.process.Signal(syscall.SIGCONT)
	})
}
